"""One answer of the broker while it arrives: filled from frames, read as if it came from the upstream itself."""

from __future__ import annotations

import asyncio

from freehold.net.answer import Answer, ToldError, ViolationError
from freehold.net.brokered.frames import Fault, FrameError, Head, Kind, error_of, next_frame, read
from freehold.net.limits import HttpLimits

_WHOLE = frozenset({Kind.PERMIT, Kind.STATE})
"""Frames that are an answer of their own: their payload is its body."""

_GOOD = 200


class FramedAnswer(Answer):
    """Whatever the broker answers: a permit, its state, or an upstream's answer.

    Attributes:
        upstream_status: Of an upstream's answer; ``status`` says whether the connection to the broker may go on.
        upstream_by_close: Whether the upstream ended its answer by closing. The broker always says where the end is:
            one that dies has not ended its answer.
    """

    __slots__ = ("__weakref__", "_unframed", "upstream_by_close", "upstream_status")

    def __init__(
        self, *, loop: asyncio.AbstractEventLoop, limits: HttpLimits, head_only: bool, reused: bool = False
    ) -> None:
        super().__init__(loop=loop, limits=limits, head_only=head_only, reused=reused)
        self._unframed = b""
        self.upstream_status = 0
        self.upstream_by_close = False

    def feed(self, data: bytes) -> None:
        """Take bytes from the broker.

        Raises:
            ToldError: The broker says why there is no whole answer.
            ViolationError: What came is not what it says.
        """
        self.begun = True
        data, at = (self._unframed + data if self._unframed else data), 0
        try:
            while (found := next_frame(data, at)) is not None:
                kind, payload, at = found
                self._take(kind, payload)
        except FrameError as error:
            raise ViolationError(f"of the egress broker: {error}") from error
        self._unframed = data[at:]
        if self.ended and self._unframed:
            raise ViolationError("bytes came behind the end of the egress broker's answer")

    def _take(self, kind: int, payload: bytes) -> None:
        if self.ended:
            raise FrameError("a frame behind the end")
        if kind == Kind.PIECE and self.head_seen:
            self._pieces.append(payload)
            self.queued_bytes += len(payload)
        elif kind == Kind.END and self.head_seen:
            self._end()
        elif kind == Kind.HEAD and not self.head_seen:
            head = read(payload, Head)
            self.upstream_status, self.headers, self.upstream_by_close = head.status, head.headers, head.by_close
            self.head_seen = True
        elif kind == Kind.FAULT:
            raise ToldError(error_of(read(payload, Fault)))
        elif kind in _WHOLE and not self.head_seen:
            self._pieces.append(payload)
            self.head_seen = True
            self._end()
        else:
            raise FrameError(f"a frame of kind {kind} where none is expected")

    def _end(self) -> None:
        self.status = _GOOD  # whatever the upstream said: this connection is clean
        self.keep_alive = self.ended = True
