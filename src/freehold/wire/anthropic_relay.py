"""Answers of the Messages API that pass through as they came: what a receipt needs to know of them, and no more."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from freehold.wire.anthropic_events import stop_reason_of, usage_of_messages
from freehold.wire.chunk_faults import ErrorEventError, InvalidChunkError
from freehold.wire.relay import EventCutter, Noted
from freehold.wire.sse import SseParser

JsonObject = dict[str, Any]

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_PLAIN = b'event: content_block_delta\ndata: {"type":"content_block_delta",'
_BLOCKS = frozenset({"content_block_start", "content_block_delta"})


class WholeMessage(Noted):
    """A whole message as it came.

    Attributes:
        body: Its bytes.
    """

    __slots__ = ("body",)

    def __init__(self, body: bytes) -> None:
        """Look at a body.

        Raises:
            ErrorEventError: It reports an error, although its status says that all is well.
            InvalidChunkError: It is not a message.
        """
        super().__init__()
        self.body = body
        message = _decoded(body, "a body that is no message")
        if message.get("error"):
            raise ErrorEventError(_error(message["error"]))
        if not isinstance(message.get("content"), list):
            raise InvalidChunkError('a body without a list "content"')
        usage = message.get("usage")
        self.usage = usage_of_messages(cast("JsonObject", usage)) if isinstance(usage, dict) else None
        self.finish_reason = stop_reason_of(message.get("stop_reason"))


class MessageRelay(EventCutter):
    """Cuts a stream of the Messages API."""

    __slots__ = ("_reported",)

    def __init__(self) -> None:
        super().__init__()
        self._reported: JsonObject = {}

    @staticmethod
    def _is_plain(data: bytes) -> bool:
        """Whether each event here is a piece of a block, as Anthropic writes them; any other writing is looked at."""
        events = data.count(_PLAIN)
        return events > 0 and data.startswith(_PLAIN) and data.endswith(b"}\n\n") and data.count(b"\n") == 3 * events

    def _passes(self, event: bytes) -> bool:
        """Whether the client gets this event, and what is learnt of it."""
        for parsed in (parser := SseParser()).feed(event) + parser.close():
            payload = _decoded(parsed.data, "an event is not a JSON object")
            kind = payload.get("type", parsed.event)
            if kind == "message_stop":
                self.ended, self.end = True, event
                return False
            if kind == "error":
                self.error = ErrorEventError(_error(payload.get("error")))
                return self.begun
            if kind in _BLOCKS:
                self.begun = True
            elif kind == "message_start":
                self._take(_object(payload, "message").get("usage"))
            elif kind == "message_delta":
                self._take(payload.get("usage"))
                self.usage = usage_of_messages(self._reported)
                self.finish_reason = stop_reason_of(_object(payload, "delta").get("stop_reason")) or self.finish_reason
        return True

    def _take(self, usage: object) -> None:
        if isinstance(usage, dict):
            self._reported |= cast("JsonObject", usage)


def _object(payload: JsonObject, name: str) -> JsonObject:
    value = payload.get(name)
    if not isinstance(value, dict):
        raise InvalidChunkError(f"an event of type {str(payload.get('type'))[:40]!r} has no object {name!r}")
    return cast("JsonObject", value)


def _decoded(data: bytes, what: str) -> JsonObject:
    try:
        return _OBJECT.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidChunkError(f"{what}: {error}") from None


def _error(value: object) -> JsonObject:
    return cast("JsonObject", value) if isinstance(value, dict) else {"message": str(value)}
