"""Answers in OpenAI's shape, one event at a time, and errors."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from freehold.domain.errors.base import FreeholdError
from freehold.domain.request import InferenceRequest, Task
from freehold.domain.response import FinishReason, ResponseChunk
from freehold.wire.chunk_faults import ErrorEventError, InvalidChunkError
from freehold.wire.openai_logprobs import take_logprobs
from freehold.wire.openai_usage import timings_of, usage_of
from freehold.wire.openai_whole import Aggregator
from freehold.wire.sse import encode_data

__all__ = ["Aggregator", "chunk_of", "decode_chunk", "encode_json", "error_envelope", "error_event", "finish_reason"]

JsonObject = dict[str, Any]

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_ENCODER = msgspec.json.Encoder()

_PLAIN_MEMBERS = frozenset(
    {"id", "object", "created", "model", "choices", "system_fingerprint", "service_tier", "usage", "obfuscation"}
)
_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}


def encode_json(payload: object) -> bytes:
    """Any JSON-ready value as compact JSON."""
    return _ENCODER.encode(payload)


def decode_chunk(data: bytes, request: InferenceRequest, *, model: str) -> ResponseChunk:
    """One event of an answer.

    What Freehold asked for on its own account and the client did not (log-probabilities, usage, prompt progress) is
    taken out of the payload; everything else stays, unknown members too.

    Args:
        data: Data of one server-sent event, in OpenAI's dialect.
        request: What the client asked for.
        model: The name that the client sees.

    Raises:
        ErrorEventError: The event reports an error.
        InvalidChunkError: It is not a JSON object of the right shape.
    """
    try:
        payload = _OBJECT.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidChunkError(f"an event is not a JSON object: {error}") from None
    return chunk_of(payload, request, model=model)


def chunk_of(payload: JsonObject, request: InferenceRequest, *, model: str) -> ResponseChunk:
    """As ``decode_chunk``, for an object that is already decoded; it is changed."""
    if payload.get("error"):
        error: object = payload["error"]
        raise ErrorEventError(cast("JsonObject", error) if isinstance(error, dict) else {"message": str(error)})
    choices = payload.get("choices")
    if not isinstance(choices, list) or not all(isinstance(each, dict) for each in cast("list[object]", choices)):
        raise InvalidChunkError('an event has no list "choices"')
    payload["model"] = model
    chat = request.task is Task.CHAT
    usage = usage_of(payload.get("usage"))
    if request.stream and not request.include_usage:
        payload.pop("usage", None)
    timings = timings_of(payload.get("timings"))
    progressed = "return_progress" not in request.fields and payload.pop("prompt_progress", None) is not None
    if not choices:
        return ResponseChunk(payload=_without_choice(payload, request, chat=chat), usage=usage, timings=timings)
    choice = cast("list[JsonObject]", choices)[0]
    if chat and choice.get("delta") is None:
        choice["delta"] = {}
    delta = choice["delta"] if chat else choice
    if not isinstance(delta, dict):
        raise InvalidChunkError('an event\'s choice has no object "delta"')
    delta = cast("JsonObject", delta)
    text: object = delta.get("content") if chat else delta.get("text")
    if text is not None and not isinstance(text, str):
        raise InvalidChunkError("a piece of the answer is not a string")
    finish = choice.get("finish_reason") or None
    news = text or finish is not None or (chat and any(value for name, value in delta.items() if name != "role"))
    return ResponseChunk(
        payload=None if progressed and not news else payload,
        text=text or "",
        tool_call=chat and bool(delta.get("tool_calls")),
        finish_reason=None if finish is None else finish_reason(finish),
        usage=usage,
        logprobs=take_logprobs(choice, request),
        timings=timings,
    )


def finish_reason(word: object) -> FinishReason:
    """Why generation ended.

    Raises:
        InvalidChunkError: A word that is no regular end, for example ``error`` or ``abort``.
    """
    known = _FINISH_REASONS.get(word) if isinstance(word, str) else None
    if known is None:
        raise InvalidChunkError(f"generation ended with {str(word)[:40]!r}")
    return known


def error_envelope(error: FreeholdError, *, error_id: str) -> JsonObject:
    """OpenAI's error object; ``freehold_code``, ``source``, ``error_id`` and ``upstream_request_id`` are ours."""
    told: JsonObject = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.wire_code,
        "freehold_code": error.code,
        "source": error.source,
        "error_id": error_id,
    }
    if upstream_id := error.values.get("upstream_request_id"):
        told["upstream_request_id"] = upstream_id
    return {"error": told}


def error_event(error: FreeholdError, *, error_id: str) -> bytes:
    """The error as an event of a stream; ``[DONE]`` never follows it."""
    return encode_data(error_envelope(error, error_id=error_id))


def _without_choice(payload: JsonObject, request: InferenceRequest, *, chat: bool) -> JsonObject | None:
    """An event without choices: usage, or news of the engine. Clients that did not ask for usage expect a choice."""
    if not request.stream or (request.include_usage and payload.get("usage") is not None):
        return payload
    if payload.keys() <= _PLAIN_MEMBERS:
        return None
    empty: JsonObject = {"index": 0, "finish_reason": None}
    payload["choices"] = [empty | ({"delta": {}} if chat else {"text": "", "logprobs": None})]
    return payload
