"""Builds the exact call of a request: path and body. Pure."""

from __future__ import annotations

from freehold.domain.deployment import Deployment, PromptCache
from freehold.domain.ports import UpstreamCall
from freehold.domain.request import InferenceRequest, Task, ToolChoice
from freehold.engines.ability import refuse_unable
from freehold.engines.llama import tools
from freehold.engines.llama.infill import DROPPED, InfillForm, infill_members
from freehold.wire.openai_request import encode_body

INFILL_PATH = "/infill"

_HEADERS = (("content-type", "application/json"),)
_LOGPROB_MEMBERS = ("logprobs", "top_logprobs")
_WRITTEN = (*_LOGPROB_MEMBERS, "suffix", "input_extra")
"""What is in the prompt once that is written."""

_TOOL_MEMBERS = ("tools", "tool_choice", "parallel_tool_calls")

_SLOT_MEMBERS = ("id_slot", "cache_prompt")
"""By which a client would choose what is used again. Where llama.cpp is ours ``seats`` chooses when the call is sent."""

_ENGINE_MEMBERS = (
    "lora", "speculative.type", "speculative.n_max", "speculative.n_min", "speculative.p_min",
)  # fmt: skip
"""By which a client would switch what the deployment's owner chose. An adapter that is switched in a running llama.cpp
answers from what was read under another one: wrong, and a leak between two routes."""


def build_call(
    request: InferenceRequest,
    deployment: Deployment,
    *,
    origin: str,
    want_logprobs: int,
    infill_form: InfillForm | None = None,
    prompt_cache: PromptCache = PromptCache.UNUSED,
    cache_scope: str = "",
) -> UpstreamCall:
    """The call that serves ``request``.

    It is always a stream with progress events: llama.cpp notices that a client left only where it writes to it.

    Args:
        request: What is asked.
        deployment: Who serves it.
        origin: Where that is.
        want_logprobs: Alternatives a token that Freehold wants, 0 for none.
        infill_form: How the model's prompts for fill-in-the-middle are written; ``None`` leaves it to ``/infill``.
        prompt_cache: Whether the body leaves it to the server what it uses again.
        cache_scope: Within which that may be.

    Raises:
        ContentUnsupported: The deployment's model cannot take what is asked.
    """
    refuse_unable(request, deployment)
    if request.suffix is not None:
        path, overrides, dropped = _infill(request, want_logprobs, infill_form, deployment.model.context_tokens)
    else:
        path, overrides, dropped = _ROUTES[request.task](request, want_logprobs)
    if request.is_generated and prompt_cache is not PromptCache.SHARED:
        overrides, dropped = {**overrides, "cache_prompt": False}, (*dropped, *_SLOT_MEMBERS)
    dropped = (*dropped, *_ENGINE_MEMBERS)
    return UpstreamCall(
        origin=origin,
        path=path,
        body=encode_body(
            request, model=deployment.name, overrides=overrides, drop=dropped, rebuild=not deployment.is_on_device
        ),
        headers=_HEADERS,
        request=request,
        want_logprobs=want_logprobs,
        cache_scope=cache_scope,
    )


_Parts = tuple[str, dict[str, object], tuple[str, ...]]


def _chat(request: InferenceRequest, want_logprobs: int) -> _Parts:
    members, dropped = _tools(request)
    return "/v1/chat/completions", _streamed() | _alternatives(request, want_logprobs) | members, dropped


def _tools(request: InferenceRequest) -> tuple[dict[str, object], tuple[str, ...]]:
    """What is said of tools, and what is left out of the body."""
    if tools.is_forced(request):
        return tools.forced_members(request), (*_LOGPROB_MEMBERS, "parallel_tool_calls", "grammar")
    not_offered = request.tool_choice is ToolChoice.NONE
    return {}, (*_LOGPROB_MEMBERS, *_TOOL_MEMBERS) if not_offered else _LOGPROB_MEMBERS


def _completion(request: InferenceRequest, want_logprobs: int) -> _Parts:
    return "/v1/completions", _streamed() | _alternatives(request, want_logprobs), _LOGPROB_MEMBERS


def _infill(request: InferenceRequest, want_logprobs: int, form: InfillForm | None, context_tokens: int) -> _Parts:
    members = _streamed() | _alternatives(request, want_logprobs)
    if form is None:
        return INFILL_PATH, members | infill_members(request), DROPPED
    return "/v1/completions", members | {"prompt": form.prompt(request, context_tokens=context_tokens)}, _WRITTEN


def _embedding(request: InferenceRequest, want_logprobs: int) -> _Parts:
    del request, want_logprobs
    # Numbers: Freehold itself packs them where the client wants base64.
    return "/v1/embeddings", {"encoding_format": "float"}, ()


def _count(request: InferenceRequest, want_logprobs: int) -> _Parts:
    del want_logprobs
    members, dropped = _tools(request)
    return "/v1/chat/completions/input_tokens", {"stream": False} | members, dropped


_ROUTES = {Task.CHAT: _chat, Task.COMPLETION: _completion, Task.EMBEDDING: _embedding, Task.COUNT: _count}


def _streamed() -> dict[str, object]:
    return {"stream": True, "stream_options": {"include_usage": True}, "return_progress": True}


def _alternatives(request: InferenceRequest, want_logprobs: int) -> dict[str, object]:
    """Asks for log-probabilities by llama.cpp's own word: its ``logprobs`` refuses streams with tools.

    Given no alternatives, llama.cpp leaves out the chosen token's probability too.
    """
    client = max(1, request.sampling.top_logprobs) if request.sampling.logprobs else 0
    wanted = max(client, want_logprobs)
    return {"n_probs": wanted} if wanted else {}
