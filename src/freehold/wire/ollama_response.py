"""Answers in the shape of Ollama's API: one object, or a line of JSON for each piece."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from freehold.domain.errors.base import FreeholdError
from freehold.domain.ids import uuid7_unix_ms
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest
from freehold.domain.response import EmbeddingResult, FinishReason, ResponseChunk
from freehold.wire.leftovers import add_own, own_of
from freehold.wire.openai_response import encode_json
from freehold.wire.openai_whole import Aggregator, arguments_of, thoughts_of

JsonObject = dict[str, Any]

_NS_PER_MS = 1_000_000
_LENGTH = "length"
_STOP = "stop"


class ChatLines:
    """The lines of one answer of ``/api/chat``. Calls of tools come whole, when all of them is there.

    Args:
        request: What the client asked for.
    """

    __slots__ = ("_calls", "_own", "_request")

    def __init__(self, request: InferenceRequest) -> None:
        self._request = request
        self._calls = Aggregator()
        self._own: JsonObject = {}

    def add(self, chunk: ResponseChunk) -> bytes:
        """The line that an event of chat comes to; empty for none."""
        if chunk.tool_call:
            self._calls.add(chunk)
        payload = chunk.payload or {}
        add_own(self._own, payload)
        choices = cast("list[JsonObject]", payload.get("choices") or [{}])
        delta = cast("JsonObject", choices[0].get("delta") or {})
        text, thoughts = chunk.text or str(delta.get("refusal") or ""), thoughts_of(delta)
        return self._line(self._said(text, thoughts)) if text or thoughts else b""

    def end(self, receipt: Receipt) -> bytes:
        """The lines with which a whole answer ends."""
        calls = _calls(self._calls.tool_calls)
        called = self._line(self._said("", calls=calls)) if calls else b""
        return called + encode_json(_ended(self._request, self._said(""), receipt) | self._own) + b"\n"

    def error(self, error: FreeholdError) -> bytes:
        """The error as a line; one with ``"done": true`` never follows it."""
        return encode_json(ollama_error(error, error_id=self._request.id)) + b"\n"

    def _line(self, said: JsonObject) -> bytes:
        return encode_json({**_opening(self._request), **said, "done": False}) + b"\n"

    def _said(self, text: str, thoughts: str = "", calls: list[JsonObject] | None = None) -> JsonObject:
        return _message(text, thoughts, calls)


class GenerateLines(ChatLines):
    """The lines of one answer of ``/api/generate``, which calls no tools."""

    __slots__ = ()

    def _said(self, text: str, thoughts: str = "", calls: list[JsonObject] | None = None) -> JsonObject:
        return _response(text, thoughts) if calls is None else {}


def chat_of(answer: Aggregator, request: InferenceRequest, receipt: Receipt) -> JsonObject:
    """The object of a whole answer of ``/api/chat``."""
    text, thoughts, own = _whole(answer, request)
    return _ended(request, _message(text, thoughts, _calls(answer.tool_calls)), receipt) | own


def generated_of(answer: Aggregator, request: InferenceRequest, receipt: Receipt) -> JsonObject:
    """The object of a whole answer of ``/api/generate``."""
    text, thoughts, own = _whole(answer, request)
    return _ended(request, _response(text, thoughts), receipt) | own


def embeddings_of(result: EmbeddingResult, request: InferenceRequest, receipt: Receipt) -> JsonObject:
    """The object of an answer to ``/api/embed``."""
    rows = cast("list[JsonObject]", result.payload["data"])
    return {
        "model": request.model,
        "embeddings": [row["embedding"] for row in rows],
        "total_duration": _ns(receipt.total_ms),
        "load_duration": 0,
        "prompt_eval_count": receipt.answer_usage.input_tokens,
    }


def ollama_error(error: FreeholdError, *, error_id: str) -> JsonObject:
    """Ollama's error object; ``freehold_code``, ``source`` and ``error_id`` are ours."""
    return {"error": error.message, "freehold_code": error.code, "source": error.source, "error_id": error_id}


def moment(unix_ms: int) -> str:
    """A moment as Ollama writes it (RFC 3339)."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _opening(request: InferenceRequest) -> JsonObject:
    return {"model": request.model, "created_at": moment(uuid7_unix_ms(request.id))}


def _ended(request: InferenceRequest, said: JsonObject, receipt: Receipt) -> JsonObject:
    answered, usage = receipt.answered_by, receipt.answer_usage
    first_ms = last_ms = begun_ms = 0.0
    reason = _STOP
    if answered is not None:
        begun_ms, last_ms = answered.started_ms, answered.ended_ms
        first_ms = last_ms if answered.first_token_ms is None else answered.first_token_ms
        reason = _LENGTH if answered.finish_reason is FinishReason.LENGTH else _STOP
    return {
        **_opening(request),
        **said,
        "done": True,
        "done_reason": reason,
        "total_duration": _ns(receipt.total_ms),
        "load_duration": 0,
        "prompt_eval_count": usage.input_tokens,
        "prompt_eval_duration": _ns(first_ms - begun_ms),
        "eval_count": usage.output_tokens,
        "eval_duration": _ns(last_ms - first_ms),
    }


def _whole(answer: Aggregator, request: InferenceRequest) -> tuple[str, str, JsonObject]:
    """Text and thoughts of a whole answer, and our own member of it."""
    whole = answer.whole(request, model=request.model)
    message = cast("JsonObject", whole["choices"][0].get("message") or {})
    return answer.text or str(message.get("refusal") or ""), thoughts_of(message), own_of(whole)


def _message(text: str, thoughts: str, calls: list[JsonObject] | None) -> JsonObject:
    message: JsonObject = {"role": "assistant", "content": text}
    if thoughts:
        message["thinking"] = thoughts
    if calls:
        message["tool_calls"] = calls
    return {"message": message}


def _response(text: str, thoughts: str) -> JsonObject:
    return {"response": text, "thinking": thoughts} if thoughts else {"response": text}


def _ns(ms: float) -> int:
    return round(ms * _NS_PER_MS)


def _calls(calls: tuple[JsonObject, ...]) -> list[JsonObject]:
    told: list[JsonObject] = []
    for call in calls:
        function = cast("JsonObject", call.get("function") or {})
        arguments = arguments_of(str(function.get("arguments") or ""))
        told.append({"id": call.get("id"), "function": {"name": function.get("name", ""), "arguments": arguments}})
    return told
