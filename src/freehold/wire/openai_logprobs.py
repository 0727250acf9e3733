"""Log-probabilities in the shapes of chat, of completions and of llama.cpp."""

from __future__ import annotations

from typing import Any, cast

from freehold.domain.request import InferenceRequest, Task
from freehold.domain.response import TokenLogprob
from freehold.wire.chunk_faults import InvalidChunkError

JsonObject = dict[str, Any]


def take_logprobs(choice: JsonObject, request: InferenceRequest) -> tuple[TokenLogprob, ...]:
    """The event's log-probabilities; ``choice`` keeps as many alternatives as the client asked for.

    Raises:
        InvalidChunkError: They have an unknown shape.
    """
    if choice.get("logprobs") is None:
        if not request.sampling.logprobs:
            choice.pop("logprobs", None)
        return ()
    if not isinstance(choice["logprobs"], dict):
        raise InvalidChunkError("log-probabilities are not an object")
    logprobs = cast("JsonObject", choice["logprobs"])
    wanted = request.sampling.top_logprobs if request.sampling.logprobs else None
    try:
        read = _legacy_logprobs if "tokens" in logprobs else _content_logprobs
        found = read(logprobs, wanted)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise InvalidChunkError("log-probabilities have an unknown shape") from None
    if wanted is None:
        del choice["logprobs"]
    elif request.task is Task.COMPLETION and "tokens" not in logprobs:
        logprobs["tokens"] = [each.token for each in found]
        logprobs["token_logprobs"] = [each.logprob for each in found]
        logprobs["top_logprobs"] = [dict(each.alternatives[:wanted]) for each in found]
    return found


def _content_logprobs(logprobs: JsonObject, wanted: int | None) -> tuple[TokenLogprob, ...]:
    """The shape of chat, which llama.cpp also uses for completions."""
    found: list[TokenLogprob] = []
    for item in cast("list[JsonObject]", logprobs.get("content") or ()):
        token, logprob = str(item["token"]), float(item["logprob"])
        top = cast("list[JsonObject]", item.get("top_logprobs") or ())
        found.append(_token(token, logprob, [(str(each["token"]), float(each["logprob"])) for each in top]))
        if wanted is not None and len(top) > wanted:
            item["top_logprobs"] = top[:wanted]
    return tuple(found)


def _legacy_logprobs(logprobs: JsonObject, wanted: int | None) -> tuple[TokenLogprob, ...]:
    """The shape of OpenAI's completions: parallel lists."""
    tokens = cast("list[str]", logprobs["tokens"])
    chosen = cast("list[float | None]", logprobs.get("token_logprobs") or ())
    tops = cast("list[dict[str, float] | None]", logprobs.get("top_logprobs") or [None] * len(tokens))
    found = tuple(
        _token(token, float(logprob), list((top or {}).items()))
        for token, logprob, top in zip(tokens, chosen, tops, strict=True)
        if logprob is not None
    )
    if wanted is not None and logprobs.get("top_logprobs"):
        logprobs["top_logprobs"] = [top and dict(list(top.items())[: max(wanted, 1)]) for top in tops]
    return found


def _token(token: str, logprob: float, top: list[tuple[str, float]]) -> TokenLogprob:
    if top and all(text != token for text, _ in top):
        top.append((token, logprob))
    return TokenLogprob(token=token, logprob=min(logprob, 0.0), alternatives=tuple(top))
