"""Events of Anthropic's Messages API as events of OpenAI's chat."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import msgspec

from freehold.domain.request import Dialect, InferenceRequest
from freehold.domain.response import FinishReason, ResponseChunk, Usage
from freehold.wire.anthropic_whole import MessageBuilder
from freehold.wire.chunk_faults import ErrorEventError, InvalidChunkError
from freehold.wire.openai_usage import render_usage
from freehold.wire.sse import SseEvent, encode_event

JsonObject = dict[str, Any]

CONTENT_BLOCKS = "content_blocks"
"""Beside a turn's ``content``: its blocks as Anthropic has them."""

EXTENSION = "anthropic"
"""Beside ``choices``: what else Anthropic said of the answer."""

_STOP_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "pause_turn": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.CONTENT_FILTER,
}
_SAID_WHOLLY = frozenset({"end_turn", "max_tokens", "tool_use", "stop_sequence"})
"""Stop reasons that a chat's word tells as well, or a member beside it."""

_OF_MESSAGE = frozenset({"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"})
_OF_DELTA = frozenset({"type", "delta", "usage"})
_OF_USAGE = frozenset({"input_tokens", "output_tokens", "cache_read_input_tokens"})
_OFTEN_ZERO = frozenset({"cache_creation_input_tokens", "cache_creation", "server_tool_use"})
_OF_BLOCK = {"text": frozenset({"type", "text"}), "tool_use": frozenset({"type", "id", "name", "input"})}
_SAYS_NOTHING: tuple[tuple[str, object], ...] = (("citations", []), ("caller", {"type": "direct"}))
_OBJECT = msgspec.json.Decoder(dict[str, Any])


class MessagesDecoder:
    """Translates the events of one answer.

    What chat has no member for survives in two of ours: ``content_blocks`` beside a turn's ``content`` (all blocks in
    order, once there is one that is more than text or a tool call) and ``anthropic`` beside ``choices``.

    Args:
        request: What the client asked for. One that speaks this dialect gets each event as it came, too.
        model: The name that the client sees.
        created_unix_s: When the answer began; the Messages API does not say.

    Attributes:
        begun: A part of the answer has come.
        ended: ``message_stop`` was seen: the answer is whole.
    """

    __slots__ = (
        "_argued", "_blocks", "_builder", "_calls", "_created_unix_s", "_id", "_is_native", "_left", "_model", "_request",
        "_tells_blocks", "_tool_blocks", "_usage", "begun", "ended",
    )  # fmt: skip

    def __init__(self, request: InferenceRequest, *, model: str, created_unix_s: int) -> None:
        self._request = request
        self._model = model
        self._created_unix_s = created_unix_s
        self._is_native = request.native is not None and request.native.dialect is Dialect.ANTHROPIC
        self._id = request.id
        self._calls = 0
        self._tool_blocks: dict[int, int] = {}
        self._usage: JsonObject = {}
        self._left: JsonObject = {}
        self._builder = MessageBuilder()
        self._argued: set[int] = set()
        self._blocks: list[JsonObject] = []
        self._tells_blocks = False
        self.begun = False
        self.ended = False

    def decode(self, event: SseEvent) -> tuple[ResponseChunk, ...]:
        """What one event says; for a client of another dialect nothing of pings and of types that are not known yet.

        Raises:
            ErrorEventError: It reports an error.
            InvalidChunkError: It does not have the shape that its type demands.
        """
        try:
            payload = _OBJECT.decode(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidChunkError(f"an event is not a JSON object: {error}") from None
        try:
            chunks = self._decode(payload)
        except ErrorEventError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError):
            raise InvalidChunkError(f"an event of type {str(payload.get('type'))[:40]!r} has a wrong shape") from None
        self.begun = self.begun or any(chunk.text or chunk.tool_call for chunk in chunks)
        if not self._is_native:
            return chunks
        native = encode_event(event.event or str(payload.get("type", "")), event.data)
        first = replace(chunks[0], native=native) if chunks else ResponseChunk(payload=None, native=native)
        return (first, *chunks[1:])

    def _decode(self, payload: JsonObject) -> tuple[ResponseChunk, ...]:
        match payload.get("type"):
            case "message_start":
                message = cast("JsonObject", payload["message"])
                self._id = str(message["id"])
                self._usage |= message.get("usage") or {}
                self._left |= _more(message, _OF_MESSAGE)
                return (ResponseChunk(payload=self._payload({"role": "assistant", "content": ""})),)
            case "content_block_start":
                return self._block(int(payload["index"]), cast("JsonObject", payload["content_block"]), payload)
            case "content_block_delta":
                return self._delta(int(payload["index"]), cast("JsonObject", payload["delta"]), payload)
            case "content_block_stop":
                return self._stopped(int(payload["index"]))
            case "message_delta":
                self._usage |= payload.get("usage") or {}
                delta = cast("JsonObject", payload["delta"])
                self._left |= _more(payload, _OF_DELTA) | _more(delta, _OF_MESSAGE)
                return self._finish(delta.get("stop_reason"), delta.get("stop_sequence"))
            case "message_stop":
                self.ended = True
                return (self._last(),)
            case "error":
                raise ErrorEventError(cast("JsonObject", payload["error"]))
            case _:
                return ()

    def _block(self, index: int, block: JsonObject, payload: JsonObject) -> tuple[ResponseChunk, ...]:
        kind = block["type"]
        self._builder.add(payload)
        if kind == "text" and block.get("text"):
            return self._text(str(block["text"]))
        if kind == "thinking" and block.get("thinking"):
            return self._thought(str(block["thinking"]))
        if kind != "tool_use":
            return ()
        self._tool_blocks[index] = self._calls
        self._calls += 1
        function = {"name": block["name"], "arguments": ""}
        return self._tool(
            {"index": self._tool_blocks[index], "id": block["id"], "type": "function", "function": function}
        )

    def _delta(self, index: int, delta: JsonObject, payload: JsonObject) -> tuple[ResponseChunk, ...]:
        kind = delta["type"]
        self._builder.add(payload)
        match kind:
            case "text_delta":
                return self._text(_string(delta, "text"))
            case "thinking_delta":
                return self._thought(_string(delta, "thinking"))
            case "input_json_delta":
                call = self._tool_blocks.get(index)
                if call is None:
                    return ()
                self._argued.add(index)
                return self._tool({"index": call, "function": {"arguments": _string(delta, "partial_json")}})
            case _:
                return ()

    def _stopped(self, index: int) -> tuple[ResponseChunk, ...]:
        """A block is whole: it is told as it was where a chat's members cannot say all of it."""
        block = self._builder.block(index)
        told: tuple[ResponseChunk, ...] = ()
        if (call := self._tool_blocks.get(index)) is not None and index not in self._argued and block.get("input"):
            # Anthropic itself sends arguments in pieces; others give them with the block.
            function = {"arguments": msgspec.json.encode(block["input"]).decode()}
            told = self._tool({"index": call, "function": function})
        if not block or self._is_native:
            return told
        self._blocks.append({"index": index, **block})
        self._tells_blocks = self._tells_blocks or _says_more(block)
        if not self._tells_blocks:
            return told
        blocks, self._blocks = self._blocks, []
        return (*told, ResponseChunk(payload=self._payload({CONTENT_BLOCKS: blocks})))

    def _finish(self, reason: object, sequence: object) -> tuple[ResponseChunk, ...]:
        finish = stop_reason_of(reason)
        if finish is None:
            return ()
        payload = self._payload({}, finish)
        if isinstance(sequence, str):
            payload["choices"][0]["stop_reason"] = sequence  # as vLLM tells it
        left = dict(self._left)
        if reason not in _SAID_WHOLLY:
            left["stop_reason"] = reason
        if usage := {name: each for name, each in _more(self._usage, _OF_USAGE).items() if _counts(name, each)}:
            left["usage"] = usage
        if left:
            payload[EXTENSION] = left
        return (ResponseChunk(payload=payload, finish_reason=finish),)

    def _last(self) -> ResponseChunk:
        usage = usage_of_messages(self._usage)
        if self._request.stream and not self._request.include_usage:
            return ResponseChunk(payload=None, usage=usage)
        return ResponseChunk(payload={**self._payload({}), "choices": [], "usage": render_usage(usage)}, usage=usage)

    def _text(self, text: str) -> tuple[ResponseChunk, ...]:
        return (ResponseChunk(payload=self._payload({"content": text}), text=text),)

    def _thought(self, text: str) -> tuple[ResponseChunk, ...]:
        return (ResponseChunk(payload=self._payload({"reasoning_content": text})),)

    def _tool(self, call: JsonObject) -> tuple[ResponseChunk, ...]:
        return (ResponseChunk(payload=self._payload({"tool_calls": [call]}), tool_call=True),)

    def _payload(self, delta: JsonObject, finish: FinishReason | None = None) -> JsonObject:
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created_unix_s,
            "model": self._model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish.value if finish else None}],
        }


def stop_reason_of(reason: object) -> FinishReason | None:
    """Why a message ended: a word that is not known yet is a regular end, since errors are events of their own."""
    return None if reason is None else _STOP_REASONS.get(str(reason), FinishReason.STOP)


def _string(values: JsonObject, name: str) -> str:
    """A member that must be a text; raises ``TypeError``."""
    value: object = values[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is not a text")
    return value


def _more(values: JsonObject, known: frozenset[str]) -> JsonObject:
    return {name: value for name, value in values.items() if name not in known and value is not None}


def _counts(name: str, value: object) -> bool:
    """Whether a member of usage says anything."""
    if name not in _OFTEN_ZERO:
        return True
    return any(cast("JsonObject", value).values()) if isinstance(value, dict) else bool(value)


def _says_more(block: JsonObject) -> bool:
    """Whether a block is more than text or a call of a tool."""
    known = _OF_BLOCK.get(str(block.get("type")))
    return known is None or any(
        not (value is None or (name, value) in _SAYS_NOTHING) for name, value in block.items() if name not in known
    )


def usage_of_messages(usage: JsonObject) -> Usage:
    """Usage of the Messages API, whose ``input_tokens`` leaves out what was read from or written to a cache."""
    read = _count(usage, "cache_read_input_tokens")
    return Usage(
        input_tokens=_count(usage, "input_tokens") + read + _count(usage, "cache_creation_input_tokens"),
        output_tokens=_count(usage, "output_tokens"),
        cached_tokens=read,
    )


def _count(usage: JsonObject, name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and value > 0 else 0
