"""Events of Anthropic's Messages API as events of OpenAI's chat."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from freehold.domain.request import InferenceRequest
from freehold.domain.response import FinishReason, ResponseChunk, Usage
from freehold.wire.chunk_faults import ErrorEventError, InvalidChunkError
from freehold.wire.openai_usage import render_usage
from freehold.wire.sse import SseEvent

JsonObject = dict[str, Any]

_STOP_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "pause_turn": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.CONTENT_FILTER,
}
_OBJECT = msgspec.json.Decoder(dict[str, Any])


class MessagesDecoder:
    """Translates the events of one answer.

    Args:
        request: What the client asked for.
        model: The name that the client sees.
        created_unix_s: When the answer began; the Messages API does not say.

    Attributes:
        ended: ``message_stop`` was seen: the answer is whole.
    """

    __slots__ = ("_calls", "_created_unix_s", "_id", "_model", "_request", "_tool_blocks", "_usage", "ended")

    def __init__(self, request: InferenceRequest, *, model: str, created_unix_s: int) -> None:
        self._request = request
        self._model = model
        self._created_unix_s = created_unix_s
        self._id = request.id
        self._calls = 0
        self._tool_blocks: dict[int, int] = {}
        self._usage: JsonObject = {}
        self.ended = False

    def decode(self, event: SseEvent) -> tuple[ResponseChunk, ...]:
        """What one event says; nothing for pings and for event types that are not known yet.

        Raises:
            ErrorEventError: It reports an error.
            InvalidChunkError: It does not have the shape that its type demands.
        """
        try:
            payload = _OBJECT.decode(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidChunkError(f"an event is not a JSON object: {error}") from None
        try:
            return self._decode(payload)
        except (KeyError, TypeError, AttributeError):
            raise InvalidChunkError(f"an event of type {str(payload.get('type'))[:40]!r} has a wrong shape") from None

    def _decode(self, payload: JsonObject) -> tuple[ResponseChunk, ...]:
        match payload.get("type"):
            case "message_start":
                message = cast("JsonObject", payload["message"])
                self._id = str(message["id"])
                self._usage |= message.get("usage") or {}
                return (ResponseChunk(payload=self._payload({"role": "assistant", "content": ""})),)
            case "content_block_start":
                return self._block(int(payload["index"]), cast("JsonObject", payload["content_block"]))
            case "content_block_delta":
                return self._delta(int(payload["index"]), cast("JsonObject", payload["delta"]))
            case "message_delta":
                self._usage |= payload.get("usage") or {}
                return self._finish(payload["delta"].get("stop_reason"))
            case "message_stop":
                self.ended = True
                return (self._last(),)
            case "error":
                raise ErrorEventError(cast("JsonObject", payload["error"]))
            case _:
                return ()

    def _block(self, index: int, block: JsonObject) -> tuple[ResponseChunk, ...]:
        if block["type"] == "text" and block.get("text"):
            return self._text(str(block["text"]))
        if block["type"] != "tool_use":
            return ()
        self._tool_blocks[index] = self._calls
        self._calls += 1
        function = {"name": block["name"], "arguments": ""}
        return self._tool(
            {"index": self._tool_blocks[index], "id": block["id"], "type": "function", "function": function}
        )

    def _delta(self, index: int, delta: JsonObject) -> tuple[ResponseChunk, ...]:
        match delta["type"]:
            case "text_delta":
                return self._text(str(delta["text"]))
            case "thinking_delta":
                return (ResponseChunk(payload=self._payload({"reasoning_content": delta["thinking"]})),)
            case "input_json_delta":
                call = self._tool_blocks.get(index)
                if call is None:
                    return ()
                return self._tool({"index": call, "function": {"arguments": delta["partial_json"]}})
            case _:
                return ()

    def _finish(self, reason: object) -> tuple[ResponseChunk, ...]:
        if reason is None:
            return ()
        finish = _STOP_REASONS.get(str(reason))
        if finish is None:
            raise InvalidChunkError(f"generation ended with {str(reason)[:40]!r}")
        return (ResponseChunk(payload=self._payload({}, finish), finish_reason=finish),)

    def _last(self) -> ResponseChunk:
        usage = usage_of_messages(self._usage)
        if self._request.stream and not self._request.include_usage:
            return ResponseChunk(payload=None, usage=usage)
        return ResponseChunk(payload={**self._payload({}), "choices": [], "usage": render_usage(usage)}, usage=usage)

    def _text(self, text: str) -> tuple[ResponseChunk, ...]:
        return (ResponseChunk(payload=self._payload({"content": text}), text=text),)

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
