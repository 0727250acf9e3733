"""Can a deployment do the task at all? Asked of the model card, before anything is sent."""

from __future__ import annotations

from freehold.domain.deployment import Deployment, EngineKind, ModelCard
from freehold.domain.request import InferenceRequest, PartKind, Task, ToolChoice, Untranslatable

_BYTES_PER_TOKEN_MAX = 8
"""UTF-8 bytes a token of ordinary text never exceeds on average: English runs at 4 to 5, code and other languages
lower. Dividing by it gives a lower bound, so that only what is clearly too long is turned away here; the engine's own
tokenizer has the last word (``ContextTooLong``)."""


def unable_reason(request: InferenceRequest, deployment: Deployment) -> str:
    """What of ``request`` the deployment cannot take, worded to follow "cannot take"; empty when it is able.

    A model that serves embeddings or reranks serves no answers in text: engines load it in a mode of its own.
    """
    return (
        _wrong_task(request, deployment)
        or _wrong_dialect(request, deployment)
        or _wrong_content(request, deployment)
        or _too_long(request, deployment)
    )


def only_for_its_dialect(request: InferenceRequest, deployment: Deployment) -> Untranslatable | None:
    """What of ``request`` only an upstream of the client's own dialect can take, which this one is not."""
    native = request.native
    return None if native is None or deployment.engine is EngineKind.ANTHROPIC else native.only


def prompt_tokens_at_least(request: InferenceRequest) -> int:
    """Lower bound of the prompt's length in tokens; of the longest text where each is read by itself."""
    if not request.is_generated:
        query = request.ranking.query if request.ranking is not None else ""
        longest = max((len(text.encode()) for text in request.inputs), default=0)
        return (longest + len(query.encode())) // _BYTES_PER_TOKEN_MAX
    texts = [message.text for message in request.messages] + [request.prompt, request.suffix or ""]
    tools = sum(len(tool.name) + len(tool.description) + len(tool.parameters_json) for tool in request.tools)
    return (sum(len(text.encode()) for text in texts) + tools) // _BYTES_PER_TOKEN_MAX


def surely_fits(request: InferenceRequest, context_tokens: int) -> bool:
    """Whether a glance is enough to see that the prompt is not ``is_too_long``."""
    # A text is never longer than the JSON that holds it.
    return 0 < request.body_bytes <= context_tokens * _BYTES_PER_TOKEN_MAX


def is_too_long(request: InferenceRequest, deployment: Deployment) -> bool:
    """Whether the prompt is clearly longer than the deployment's context, and all of it is to be read."""
    if request.cuts or (request.ranking is not None and request.ranking.document_tokens_max is not None):
        return False
    if surely_fits(request, deployment.model.context_tokens):
        return False
    return prompt_tokens_at_least(request) > deployment.model.context_tokens


def _wrong_task(request: InferenceRequest, deployment: Deployment) -> str:
    model = deployment.model
    if request.task is Task.EMBEDDING:
        return "" if model.embeds else f"embedding requests (it {_what_it_does(model)})"
    if request.task is Task.RERANK:
        return "" if model.reranks else f"rerank requests (it {_what_it_does(model)})"
    if model.embeds or model.reranks:
        return f"{request.task} requests (it {_what_it_does(model)})"
    return "a suffix (it cannot fill in the middle)" if request.suffix is not None and not model.infill else ""


def _what_it_does(model: ModelCard) -> str:
    if model.embeds:
        return "serves embeddings and rerankings only" if model.reranks else "serves embeddings only"
    return "serves rerankings only" if model.reranks else "answers in text"


def _wrong_dialect(request: InferenceRequest, deployment: Deployment) -> str:
    only = only_for_its_dialect(request, deployment)
    return "" if only is None else f"{only.field} = {only.shown} ({only.reason})"


def _wrong_content(request: InferenceRequest, deployment: Deployment) -> str:
    model = deployment.model
    kinds = request.content_kinds
    if not model.vision:
        # A card says nothing of audio and files; a model that reads only text surely takes neither.
        for kind, name in ((PartKind.IMAGE, "images"), (PartKind.AUDIO, "audio"), (PartKind.FILE, "files")):
            if kind in kinds:
                return f"{name} (it reads only text)"
    if request.tools and request.tool_choice is not ToolChoice.NONE and not model.tools:
        return "tools (it has none)"
    return ""


def _too_long(request: InferenceRequest, deployment: Deployment) -> str:
    if request.task is Task.COUNT or not is_too_long(request, deployment):
        return ""  # whether it fits is what is asked
    tokens = prompt_tokens_at_least(request)
    return f"a prompt of at least {tokens} tokens (its context is {deployment.model.context_tokens})"
