"""What a model can take at all. Routing leaves such deployments out; this is the last check before the call is built."""

from __future__ import annotations

from freehold.domain.deployment import Deployment, EngineKind
from freehold.domain.errors.request import ContentUnsupported, UnsupportedParameter
from freehold.domain.request import InferenceRequest, Task, ToolChoice


def refuse_unable(request: InferenceRequest, deployment: Deployment) -> None:
    """Refuse what the deployment's model cannot take.

    Raises:
        UnsupportedParameter: What only an upstream of the client's own dialect takes.
        ContentUnsupported: Images, tools, texts to embed, documents to rank or a gap to fill that the model has no means for.
    """
    model, native = deployment.model, request.native
    if native is not None and native.only is not None and deployment.engine is not EngineKind.ANTHROPIC:
        only = native.only
        raise UnsupportedParameter(
            source=deployment.name, field=only.field, value=only.shown, reason=only.reason, param=only.field
        )
    if request.task is Task.CHAT and not request.tools and (model.vision or not request.has_images):
        return
    unable = {
        "images": request.has_images and not model.vision,
        "tools": bool(request.tools) and request.tool_choice is not ToolChoice.NONE and not model.tools,
        "documents to rank": request.task is Task.RERANK and not model.reranks,
        "texts to embed": request.task is Task.EMBEDDING and not model.embeds,
        "a gap to fill (suffix)": request.suffix is not None and not model.infill,
    }
    for content, refused in unable.items():
        if refused:
            raise ContentUnsupported(source=deployment.name, deployment=deployment.name, content=content)
