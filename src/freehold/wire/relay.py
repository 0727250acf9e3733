"""Streams that pass through: cut into whole events and handed on as they came, whatever the dialect.

Nothing here changes a byte that a client gets. A dialect says which events need not be looked at, and what is learnt of
those that must be.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from freehold.domain.response import EngineTimings, FinishReason, Usage
from freehold.wire.chunk_faults import ErrorEventError, InvalidChunkError
from freehold.wire.sse import EVENT_BYTES_MAX, EventTooLongError

_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
"""The end of an event (WHATWG HTML, section 9.2.6): two line ends of any kind."""


class Noted:
    """What was learnt of an answer.

    Attributes:
        usage: As reported last; ``None`` where it was not.
        timings: What the engine says of its speed.
        finish_reason: Why it ended; ``None`` where that was not seen.
    """

    __slots__ = ("finish_reason", "timings", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.timings: EngineTimings | None = None
        self.finish_reason: FinishReason | None = None


class EventCutter(Noted, ABC):
    """Cuts a stream into whole events and passes them on, however the bytes are split.

    Attributes:
        begun: A part of the answer, not only what opens it, was passed on.
        ended: The dialect's end was seen.
        end: The bytes of that end, as they came.
        events: Pieces of whole events that were passed on: about one a token.
        error: Why the stream is broken: it reported an error, an event that was passed on if ``begun``, or it holds an
            event that is not in this dialect, which was not. Nothing follows it.
    """

    __slots__ = ("_before", "_last", "_pending", "begun", "end", "ended", "error", "events")

    def __init__(self) -> None:
        super().__init__()
        self._pending: bytes = b""
        self._before: bytes = b""
        self._last: bytes = b""
        self.begun = False
        self.ended = False
        self.end = b""
        self.events = 0
        self.error: ErrorEventError | InvalidChunkError | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the stream may be over now, and its answer is whole."""
        return self.ended

    def feed(self, data: bytes) -> bytes:
        """The whole events that ``data`` completes, as they came; empty for none. Nothing follows the end.

        Raises:
            EventTooLongError: An event does not end within the limit.
        """
        if self._pending:
            data = self._pending + data
            self._pending = b""
        if not data.endswith(b"\n\n"):
            cut = _last_end(data)
            self._pending = data[cut:]
            if len(self._pending) > EVENT_BYTES_MAX:
                raise EventTooLongError(f"an event has more than {EVENT_BYTES_MAX} bytes")
            data = data[:cut]
            if not data:
                return b""
        if not (self.begun and self._is_plain(data)):
            return self._look(data)
        self.events += 1
        self._before, self._last = self._last, data
        return data

    def close(self) -> bytes:
        """The rest: an event whose blank line the end of the stream has cut off. Also looks why generation ended.

        It gets its blank line, since what we send after it would be a part of it.
        """
        data, self._pending = self._pending, b""
        if data and not any(found.end() == len(data) for found in _BLANK_LINE.finditer(data)):
            data += b"\n\n"
        passed = self._look(data) if data else b""
        for unseen in (self._last, self._before):
            if unseen and self.finish_reason is None and self.error is None:
                try:
                    self._inspect(unseen)
                except InvalidChunkError as error:
                    self.error = error
        return passed

    @staticmethod
    @abstractmethod
    def _is_plain(data: bytes) -> bool:
        """Whether no event here says what we must know. Whatever else it is gets looked at before it is passed on."""

    @abstractmethod
    def _passes(self, event: bytes) -> bool:
        """Whether the client gets this event, and what is learnt of it; raises ``InvalidChunkError``."""

    def _inspect(self, data: bytes) -> None:
        """What events say after all that were passed on without a look; raises ``InvalidChunkError``."""

    def _look(self, data: bytes) -> bytes:
        """Pass on event by event."""
        passed: list[bytes] = []
        start = 0
        for end in (*(found.end() for found in _BLANK_LINE.finditer(data)), len(data)):
            event, start = data[start:end], end
            if not event or self.ended or self.error is not None:
                continue
            try:
                if self._passes(event):
                    passed.append(event)
            except InvalidChunkError as error:
                self.error = error
        whole = b"".join(passed)
        if whole:
            self.events += 1
        return whole


def _last_end(data: bytes) -> int:
    """Where the last whole event ends; 0 if none does."""
    if b"\r" not in data:
        return data.rfind(b"\n\n") + 2 if b"\n\n" in data else 0
    # A carriage return at the very end may be the first half of a line end: wait for what follows.
    looked_at = data[:-1] if data.endswith(b"\r") else data
    end = 0
    for found in _BLANK_LINE.finditer(looked_at):
        end = found.end()
    return end
