"""Answers in the shape of Anthropic's Messages API: a whole message, the events of a stream, and errors."""

from __future__ import annotations

from typing import Any, cast

from freehold.domain.errors.base import FreeholdError
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest
from freehold.domain.response import FinishReason, ResponseChunk, TokenCount, Usage
from freehold.wire.anthropic_whole import message_of_events
from freehold.wire.citations import text_block_citations
from freehold.wire.leftovers import Leftovers, add_own, leftovers_of, own_of
from freehold.wire.openai_whole import Aggregator, arguments_of, thoughts_of
from freehold.wire.sse import SseParser, encode_event

JsonObject = dict[str, Any]

_STOP_REASONS = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
}
_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_SERVER_ERRORS = 500
_TYPES = (frozenset(_ERROR_TYPES.values()) | {"api_error"}) - {"authentication_error", "permission_error"}
"""Words of an upstream that are told as they are; not of credentials, since the one refused is ours."""

_STOP = b"event: message_stop\n"


def message_of(answer: Aggregator, request: InferenceRequest, receipt: Receipt) -> JsonObject:
    """The ``message`` object of a whole answer; the upstream's own where it speaks this dialect."""
    if native := answer.native:
        return message_of_events(event.data for event in SseParser().feed(native))
    whole = answer.whole(request, model=request.model)
    choice = cast("JsonObject", whole["choices"][0])
    said = cast("JsonObject", choice["message"])
    blocks: list[JsonObject] = []
    if thoughts := thoughts_of(said):
        blocks.append({"type": "thinking", "thinking": thoughts, "signature": ""})
    if text := said.get("content") or said.get("refusal"):
        cited = text_block_citations(said)
        blocks.append({"type": "text", "text": text, **({"citations": cited} if cited else {})})
    blocks += [
        {
            "type": "tool_use",
            "id": call.get("id") or _tool_id(request, place),
            "name": function.get("name", ""),
            "input": arguments_of(str(function.get("arguments") or "")),
        }
        for place, call in enumerate(cast("list[JsonObject]", said.get("tool_calls") or []))
        for function in (cast("JsonObject", call.get("function") or {}),)
    ]
    sequence = _stop_sequence(choice)
    return {
        **_opening(request),
        "content": blocks,
        "stop_reason": _stop_reason(answer.finish_reason, sequence),
        "stop_sequence": sequence,
        "usage": render_usage(receipt.answer_usage),
        **leftovers_of(whole).member(),
        **own_of(whole),
    }


class MessageEvents:
    """The events of one streamed answer: blocks of thinking, text and tool calls, one after another.

    Args:
        request: What the client asked for.
    """

    __slots__ = (
        "_block", "_call", "_finish", "_index", "_is_open", "_left", "_native_end", "_own", "_request", "_sequence",
    )  # fmt: skip

    def __init__(self, request: InferenceRequest) -> None:
        self._request = request
        self._index = -1
        self._block = ""
        self._call = -1
        self._is_open = False
        self._finish: FinishReason | None = None
        self._sequence: str | None = None
        self._native_end = b""
        self._left = Leftovers()
        self._own: JsonObject = {}

    def add(self, chunk: ResponseChunk) -> bytes:
        """The events that one of chat comes to; empty for none. One that came in this dialect is its own.

        Raises:
            ValueError: A piece belongs to a tool call that ended before.
        """
        if chunk.native:
            if chunk.native.startswith(_STOP):
                self._native_end = chunk.native
                return b""
            return chunk.native
        events = self._begin()
        self._finish = chunk.finish_reason or self._finish
        payload = chunk.payload or {}
        self._left.add(payload)
        add_own(self._own, payload)
        choices = cast("list[JsonObject]", payload.get("choices") or [])
        if not choices:
            return events
        self._sequence = _stop_sequence(choices[0]) or self._sequence
        delta = cast("JsonObject", choices[0].get("delta") or {})
        if thoughts := thoughts_of(delta):
            events += self._piece(
                "thinking", {"thinking": "", "signature": ""}, {"type": "thinking_delta", "thinking": thoughts}
            )
        if text := delta.get("content") or delta.get("refusal"):
            events += self._piece("text", {"text": ""}, {"type": "text_delta", "text": text})
        for cited in text_block_citations(delta) if self._block == "text" else ():
            events += self._delta({"type": "citations_delta", "citation": cited})
        for call in cast("list[JsonObject]", delta.get("tool_calls") or []):
            events += self._tool(call)
        return events

    def end(self, receipt: Receipt) -> bytes:
        """The events with which a whole answer ends."""
        if self._native_end:
            return self._native_end
        delta = {"stop_reason": _stop_reason(self._finish, self._sequence), "stop_sequence": self._sequence}
        last: JsonObject = {"type": "message_delta", "delta": delta, "usage": render_usage(receipt.answer_usage)}
        last |= self._left.member() | self._own
        stop = {"type": "message_stop"}
        return self._begin() + self._close() + encode_event("message_delta", last) + encode_event("message_stop", stop)

    def error(self, error: FreeholdError) -> bytes:
        """The error as an event; ``message_stop`` never follows it."""
        return encode_event("error", messages_error(error, error_id=self._request.id))

    def _begin(self) -> bytes:
        if self._is_open:
            return b""
        self._is_open = True
        # How long the prompt is is known at the end, where ``message_delta`` says it.
        opening: JsonObject = {
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": render_usage(Usage()),
        }
        message = {**_opening(self._request), **opening}
        return encode_event("message_start", {"type": "message_start", "message": message})

    def _piece(self, block: str, empty: JsonObject, delta: JsonObject) -> bytes:
        events = b"" if self._block == block else self._close() + self._open(block, {"type": block, **empty})
        return events + self._delta(delta)

    def _tool(self, call: JsonObject) -> bytes:
        place = int(call.get("index") or 0)
        function = cast("JsonObject", call.get("function") or {})
        events = b""
        if place > self._call:
            self._call = place
            block: JsonObject = {
                "type": "tool_use",
                "id": call.get("id") or _tool_id(self._request, place),
                "name": function.get("name", ""),
                "input": {},
            }
            events = self._close() + self._open("tool_use", block)
        elif place < self._call or self._block != "tool_use":
            raise ValueError(f"a piece of tool call {place} came after that call's end")
        if arguments := function.get("arguments"):
            events += self._delta({"type": "input_json_delta", "partial_json": arguments})
        return events

    def _open(self, kind: str, block: JsonObject) -> bytes:
        self._block = kind
        self._index += 1
        start = {"type": "content_block_start", "index": self._index, "content_block": block}
        return encode_event("content_block_start", start)

    def _delta(self, delta: JsonObject) -> bytes:
        return encode_event(
            "content_block_delta", {"type": "content_block_delta", "index": self._index, "delta": delta}
        )

    def _close(self) -> bytes:
        if not self._block:
            return b""
        self._block = ""
        return encode_event("content_block_stop", {"type": "content_block_stop", "index": self._index})


def counted_of(count: TokenCount) -> JsonObject:
    """How many tokens a prompt has; ``freehold`` is ours and says whether that is an estimate."""
    return {"input_tokens": count.tokens, "freehold": {"estimated": not count.measured}}


def messages_error(error: FreeholdError, *, error_id: str) -> JsonObject:
    """Anthropic's error object; what stands in it besides ``type`` and ``message`` is ours.

    An upstream's own type is kept where it is one of Anthropic's; any other word of an upstream is ``code``.
    """
    code = str(error.values.get("upstream_code") or "")
    kind = code if code in _TYPES else _ERROR_TYPES.get(error.http_status)
    if kind is None:
        kind = "api_error" if error.http_status >= _SERVER_ERRORS else "invalid_request_error"
    told: JsonObject = {
        "type": kind,
        "message": error.message,
        "param": error.param,
        "freehold_code": error.code,
        "source": error.source,
    }
    if code and code != kind:
        told["code"] = code
    if upstream_id := error.values.get("upstream_request_id"):
        told["upstream_request_id"] = upstream_id
    return {"type": "error", "error": told, "request_id": error_id}


def render_usage(usage: Usage) -> JsonObject:
    """Usage as the Messages API counts: ``input_tokens`` leaves out what came from a cache.

    ``reasoning_tokens`` is ours: that API does not tell them apart.
    """
    thought = {"reasoning_tokens": usage.reasoning_tokens} if usage.reasoning_tokens else {}
    return {
        "input_tokens": max(0, usage.input_tokens - usage.cached_tokens),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        **thought,
    }


def _opening(request: InferenceRequest) -> JsonObject:
    return {"id": f"msg_{request.id.replace('-', '')}", "type": "message", "role": "assistant", "model": request.model}


def _tool_id(request: InferenceRequest, place: int) -> str:
    return f"toolu_{request.id.replace('-', '')}{place}"


def _stop_sequence(choice: JsonObject) -> str | None:
    """Which stop text ended it, where the server says so, as vLLM and SGLang do."""
    for name in ("stop_reason", "matched_stop"):
        if isinstance(choice.get(name), str):
            return str(choice[name])
    return None


def _stop_reason(finish: FinishReason | None, sequence: str | None) -> str | None:
    if finish is FinishReason.STOP and sequence is not None:
        return "stop_sequence"
    return None if finish is None else _STOP_REASONS[finish]
