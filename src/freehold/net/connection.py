"""One connection: an asyncio protocol that carries one request at a time and knows when it is clean again."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

import httptools

from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.upstream import UpstreamError
from freehold.net.answer import Answer, ToldError, ViolationError
from freehold.net.arrivals import arrivals
from freehold.net.deadlines import TIMER_SLACK_S, Watchdog
from freehold.net.faults import Faults, Reached, transport_reason
from freehold.net.limits import HttpLimits

_KEEP_ALIVE_TIMEOUT = re.compile(r"timeout\s*=\s*([0-9]{1,6})", re.IGNORECASE)
_NEVER_S = float("inf")
_GIVEN_UP = "Freehold gave it up"


class Owner(Protocol):
    """The pool that a connection tells what becomes of it."""

    def opened(self, connection: Connection) -> None:
        """It has a transport now, which must be closed one day."""
        ...

    def clean(self, connection: Connection) -> None:
        """Its answer is whole and it may be used again."""
        ...

    def gone(self, connection: Connection) -> None:
        """It will not be used again; its slot is free. Told once."""
        ...

    def closed(self, connection: Connection) -> None:
        """Its transport is closed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all connections of one client have in common.

    Attributes:
        limits: Bounds and deadlines.
        first_byte_s: From sending a request to its answer's head.
        faults: Makes the errors.
        answer: How answers are read.
    """

    limits: HttpLimits
    first_byte_s: float
    faults: Faults
    answer: type[Answer] = Answer


class Connection(asyncio.Protocol):
    """Carries requests one after another.

    States: idle (no answer expected: any byte or end of file closes it), busy (an ``Answer`` is being filled), resting
    (the answer is whole, and its reader has not said yet that it is one: nobody else gets the connection), gone.
    Everything that ends it goes through ``abort``, which takes effect in the same tick; there is no half-close, which
    servers read as a client that left.

    Args:
        loop: The running loop.
        setting: Of the client.
        owner: The pool.
    """

    __slots__ = (
        "_answer",
        "_arrivals",
        "_born_s",
        "_budget_s",
        "_drained",
        "_idle_until_s",
        "_last_read_s",
        "_loop",
        "_owner",
        "_resting",
        "_sent_s",
        "_setting",
        "_transport",
        "_until_s",
        "_watchdog",
        "_write_paused",
        "_writing",
        "is_gone",
    )

    def __init__(self, *, loop: asyncio.AbstractEventLoop, setting: Setting, owner: Owner) -> None:
        self._loop = loop
        self._setting = setting
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._arrivals: Callable[[], object] | None = None
        self._answer: Answer | None = None
        self._resting: Answer | None = None
        self._watchdog = Watchdog(loop, self._look)
        self._born_s = loop.time()
        self._last_read_s = self._sent_s = self._born_s
        self._until_s = self._idle_until_s = _NEVER_S
        self._budget_s = 0.0
        self._drained: asyncio.Future[None] | None = None
        self._write_paused = False
        self._writing = False
        self.is_gone = False

    # --- used by pool and client -----------------------------------------------------------------

    def watch_socket(self, sock: socket.socket) -> None:
        """Look at this socket before each reuse; it belongs to the transport all the same."""
        self._arrivals = arrivals(sock)

    def is_quiet(self) -> bool:
        """Whether an idle connection may be used now: young enough, and nothing waits in it, not even its end.

        Asks the kernel, since bytes or an end of file may have arrived that the loop has not delivered yet: they
        would be taken for the next request's answer. What a broken server sends still later cannot be told from that
        answer: HTTP/1.1 does not number them.
        """
        if self.is_gone or self._loop.time() + TIMER_SLACK_S >= self._idle_until_s:
            return False
        return self._arrivals is None or not self._arrivals()

    def begin(self, *, head_only: bool, until_s: float, reused: bool) -> Answer:
        """Expect an answer from now on.

        Args:
            head_only: The answer to a HEAD request: it has no body whatever it announces.
            until_s: Loop time by which it must be whole.
            reused: Whether the connection has served before.
        """
        now = self._loop.time()
        setting = self._setting
        answer = setting.answer(loop=self._loop, limits=setting.limits, head_only=head_only, reused=reused)
        self._answer = answer
        self._sent_s = self._last_read_s = now
        self._until_s = until_s
        self._budget_s = until_s - now
        self._watchdog.no_later_than(min(until_s, now + self._setting.first_byte_s))
        if self.is_gone:
            self._fail(answer, self._setting.faults.broken("the connection was closed", reached="no", reused=reused))
        return answer

    def write(self, data: bytes) -> None:
        """Send a short request whole."""
        if self._transport is not None and not self.is_gone:
            self._transport.write(data)

    async def write_slices(self, head: bytes, body: bytes) -> None:
        """Send a long request as fast as the server takes it; stops as soon as the answer or an error is there."""
        answer, transport = self._answer, self._transport
        if answer is None or transport is None:
            return
        self._writing = True
        transport.write(head)
        view = memoryview(body)
        size = self._setting.limits.write_slice_bytes
        for start in range(0, len(body), size):
            if answer.head_seen or self.is_gone:
                return  # still "writing": what was not written whole is not used again
            transport.write(view[start : start + size])
            if self._write_paused:
                self._drained = self._loop.create_future()
                await self._drained
        self._writing = False

    def hold(self, answer: Answer) -> None:
        """The reader is behind: let the server wait."""
        if self._answer is answer and not answer.paused and self._transport is not None and not self.is_gone:
            answer.paused = True
            self._transport.pause_reading()

    def read_on(self, answer: Answer) -> None:
        """The reader has taken what was there."""
        answer.paused = False
        if self._answer is answer and self._transport is not None and not self.is_gone:
            self._last_read_s = self._loop.time()
            self._transport.resume_reading()
            self._watchdog.no_later_than(self._last_read_s + self._setting.limits.between_pieces_s)

    def release(self, answer: Answer) -> None:
        """Its reader has read it to its end: the connection may serve others."""
        if self._resting is answer:
            self._resting = None
            self._owner.clean(self)

    def drop(self, answer: Answer) -> None:
        """Its reader gives up. Does nothing once the answer was released: then the connection serves others.

        An answer that its reader refuses may be one that nobody asked for, and then the next one on this connection
        would be somebody else's.
        """
        if self._answer is answer or self._resting is answer:
            self.abort()

    def abort(self) -> None:
        """Close at once. Idempotent."""
        # Let go of here: uvloop does not call connection_lost where the transport's creation is cancelled at the end.
        transport, self._transport = self._transport, None
        self._leave()
        if transport is not None:
            transport.abort()

    # --- asyncio.Protocol ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected. Whoever asked may have given up meanwhile."""
        # uvloop's transports are no subclass of asyncio.Transport, only shaped like it.
        self._transport = cast("asyncio.Transport", transport)
        self._owner.opened(self)
        if self.is_gone:
            self.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer, or bytes that nobody asked for."""
        answer = self._answer
        if answer is None:
            self.abort()
            return
        had_head = answer.head_seen
        self._last_read_s = self._loop.time()
        try:
            answer.feed(data)
        except ToldError as told:
            self._fail(answer, told.error)
            return
        except ViolationError as violation:
            self._fail(answer, self._setting.faults.protocol(str(violation), reused=answer.reused))
            return
        except httptools.HttpParserError as error:
            self._fail(answer, self._fault_broken(f"its framing is malformed ({error})", answer))
            return
        if answer.ended:
            self._finish(answer)
            return
        tap = answer.tap
        if tap is not None:
            if (piece := answer.take()) and tap(piece):
                answer.stopped = True
                self.hold(answer)
                answer.wake()
            return
        if answer.overfull():
            self.hold(answer)
        if answer.head_seen:
            if not had_head:
                self._wake_writer()
                # Silence inside an answer is allowed for less long than silence before it.
                self._watchdog.no_later_than(self._last_read_s + self._setting.limits.between_pieces_s)
            answer.wake()

    def eof_received(self) -> bool | None:
        """The server will send no more; half-open connections are not kept."""
        self._end_of_input(None)
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed, by whomever."""
        self._end_of_input(exc)
        self._transport = self._arrivals = None
        self._owner.closed(self)

    def pause_writing(self) -> None:
        """The server reads slower than we write."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._write_paused = False
        self._wake_writer()

    # --- inside ----------------------------------------------------------------------------------

    def _end_of_input(self, exc: Exception | None) -> None:
        answer = self._answer
        if answer is None:
            self.abort()
        elif answer.head_seen and answer.by_close and exc is None:
            self._finish(answer)
        else:
            where = "in the middle of its answer" if answer.head_seen else "before its answer"
            self._fail(answer, self._fault_broken(f"{transport_reason(exc)} {where}", answer))

    def _finish(self, answer: Answer) -> None:
        """All of the answer is here."""
        transport, now = self._transport, self._loop.time()
        keep_s = self._keep_s(answer)
        answer.whole = True
        answer.release_parser()
        self._answer = None
        self._until_s = _NEVER_S
        if (
            keep_s > 0
            and answer.keep_alive
            and answer.status < 300  # after errors servers have left rests of requests unread
            and not self._writing
            and not self.is_gone
            and transport is not None
            and not transport.is_closing()
            and transport.get_write_buffer_size() == 0
        ):
            self._idle_until_s = now + keep_s
            self._watchdog.no_later_than(self._idle_until_s)
            self._resting = answer
        else:
            self.abort()
        self._wake_writer()
        answer.wake()

    def _keep_s(self, answer: Answer) -> float:
        """How long the connection may rest: less than the server keeps it, or requests would meet its end."""
        limits = self._setting.limits
        keep_s = limits.idle_s
        hint = answer.headers.get("keep-alive")
        if hint is not None and (found := _KEEP_ALIVE_TIMEOUT.search(hint)):
            keep_s = min(float(found[1]) - 1.0, limits.idle_max_s)
        return min(keep_s, self._born_s + limits.connection_age_s - self._loop.time())

    def _fail(self, answer: Answer, error: FreeholdError) -> None:
        """The answer will not become whole."""
        self._answer = None
        answer.error = error
        answer.release_parser()
        self.abort()
        answer.wake()

    def _leave(self) -> None:
        """Not to be used again: frees the slot, once."""
        if self.is_gone:
            return
        self.is_gone = True
        self._resting = None
        self._watchdog.stop()
        self._wake_writer()
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.error = self._fault_broken(_GIVEN_UP, answer)
            answer.release_parser()
            answer.wake()
        self._owner.gone(self)

    def _wake_writer(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def _fault_broken(self, reason: str, answer: Answer) -> UpstreamError:
        return self._setting.faults.broken(reason, reached=_reached(answer), reused=answer.reused)

    def _look(self) -> float | None:
        """The watchdog's question: is a deadline over?"""
        now = self._loop.time() + TIMER_SLACK_S
        answer = self._answer
        if answer is None:
            if now < self._idle_until_s:
                return self._idle_until_s
            self.abort()
            return None
        what, seconds, due_s = self._next_due(answer)
        if now < due_s:
            return due_s
        timeout = self._setting.faults.timeout(what, seconds, reached=_reached(answer), reused=answer.reused)
        timeout.unread = answer.paused
        self._fail(answer, timeout)
        return None

    def _next_due(self, answer: Answer) -> tuple[str, float, float]:
        """What must happen next, within how many seconds, and by when in loop time."""
        setting = self._setting
        between_s = setting.limits.between_pieces_s
        if not answer.head_seen:
            due = ("start to answer", setting.first_byte_s, self._sent_s + setting.first_byte_s)
        elif answer.paused:
            due = ("finish its answer", self._budget_s, self._until_s)
        else:
            due = ("send the next piece of its answer", between_s, self._last_read_s + between_s)
        if self._until_s <= due[2]:
            return "finish its answer", self._budget_s, self._until_s
        return due


def _reached(answer: Answer) -> Reached:
    return "yes" if answer.begun else "unknown"
