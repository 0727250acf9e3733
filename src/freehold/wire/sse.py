"""Server-sent events: the stream format of both OpenAI's and Anthropic's dialect (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

EVENT_BYTES_MAX = 1 << 20
"""Longest event taken; no model sends a single piece near it."""

DONE = b"data: [DONE]\n\n"
"""The end of a whole stream in OpenAI's dialect."""

_ENCODER = msgspec.json.Encoder()


class EventTooLongError(ValueError):
    """One event is longer than ``EVENT_BYTES_MAX``."""


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event. ``event`` is empty where the stream named none; lines of ``data`` are joined by a newline."""

    event: str
    data: bytes


class SseParser:
    """Turns the pieces of a stream into events, however they are cut.

    Lines end with LF, CR or CRLF; a byte order mark at the start is skipped; comments, ids and retry hints are
    dropped. Memory is bounded by one event.
    """

    __slots__ = ("_after_cr", "_at_start", "_bytes_max", "_pending", "_pending_bytes")

    def __init__(self, *, bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._after_cr = False
        self._at_start = True

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that ``data`` completes.

        Raises:
            EventTooLongError: An event does not end within the limit.
        """
        if self._after_cr and data:
            # The second half of a CRLF that was cut in two; its first half has already ended the line.
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if not data:
            return []
        if b"\n" not in data:
            self._keep(data)
            return []
        *blocks, rest = (b"".join(self._pending) + data).split(b"\n\n")
        self._pending = []
        self._pending_bytes = 0
        self._keep(rest)
        return [event for block in blocks if (event := self._event(block)) is not None]

    def close(self) -> list[SseEvent]:
        """The event that the end of the stream completes: its blank line is often left out by real servers."""
        block = b"".join(self._pending)
        self._pending = []
        self._pending_bytes = 0
        event = self._event(block) if block else None
        return [] if event is None else [event]

    def _keep(self, rest: bytes) -> None:
        if rest:
            self._pending.append(rest)
            self._pending_bytes += len(rest)
        if self._pending_bytes > self._bytes_max:
            raise EventTooLongError(f"an event has more than {self._bytes_max} bytes")

    def _event(self, block: bytes) -> SseEvent | None:
        if self._at_start:
            self._at_start = False
            block = block.removeprefix(codecs.BOM_UTF8)
        if len(block) > self._bytes_max:
            raise EventTooLongError(f"an event has more than {self._bytes_max} bytes")
        if block.startswith(b"data: ") and b"\n" not in block:
            return SseEvent("", block[6:])
        name = ""
        data: list[bytes] = []
        for line in block.split(b"\n"):
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"data":
                data.append(value)
            elif field == b"event":
                name = value.decode(errors="replace")
        return SseEvent(name, b"\n".join(data)) if data else None


def encode_data(payload: Mapping[str, object] | bytes) -> bytes:
    """One event: an object, or bytes that are already encoded."""
    data = payload if isinstance(payload, bytes) else _ENCODER.encode(payload)
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(data.splitlines())
    return b"data: " + data + b"\n\n"


def encode_event(name: str, payload: Mapping[str, object] | bytes) -> bytes:
    """One event with a name."""
    return b"event: %b\n%b" % (name.encode(), encode_data(payload))


def encode_comment(text: str) -> bytes:
    """A comment: shows that we are alive, or carries what only those look at who know of it."""
    return b"".join(b": " + line.encode() + b"\n" for line in text.splitlines() or [""]) + b"\n"
