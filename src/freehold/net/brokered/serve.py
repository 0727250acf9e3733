"""The broker's end: who may come, what they may say, and when; the rest is asked of a ``Desk``."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from freehold.domain.errors.audit import EgressBrokerAway
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.errors.upstream import UpstreamError
from freehold.net.brokered.frames import (
    PIECE_BYTES_MAX,
    PROTOCOL,
    FrameError,
    Head,
    Hello,
    Intent,
    Kind,
    Permit,
    Send,
    State,
    fault_of,
    frame,
    next_frame,
    read,
    said,
)

log = logging.getLogger("freehold.net")

_CREDENTIALS = struct.Struct("3i")
_PERMIT_S = 60.0
"""How long a permit that nobody uses keeps its connection and its body."""

_LAST_WORD_S = 2.0
_NOBODY = "the socket"
_END = frame(Kind.END)


class Answering(Protocol):
    """An upstream's answer whose head is here; ``client.HttpReply`` is one."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""
        ...

    @property
    def complete_by_close(self) -> bool:
        """Whether only the connection's end marked the answer's end."""
        ...

    async def pass_on(self, out: Callable[[bytes], bool]) -> bool:
        """Hand on pieces as they come; True once it is whole, False once ``out`` wants a pause."""
        ...

    def abort(self) -> None:
        """Close the connection now. Idempotent."""
        ...


class Leave(Protocol):
    """What the desk permitted."""

    @property
    def token(self) -> Permit:
        """What the server must show to have it sent."""
        ...


class Desk(Protocol):
    """Decides, records and connects."""

    async def permit(self, intent: Intent, body: bytes) -> Leave:
        """Decide anew, hold the body against its digest, and have the intent on disk.

        Raises:
            FreeholdError: Nothing may leave.
        """
        ...

    async def send(self, leave: Leave, sending: Send) -> Answering:
        """Connect, and send what was permitted.

        Raises:
            FreeholdError: It may not be sent like this, or the upstream fails.
        """
        ...

    def done(self, leave: Leave, *, outcome: str, was_sent: bool, answer_bytes: int) -> None:
        """Record how it went."""
        ...

    def refused(self, error: FreeholdError) -> None:
        """Count what was refused."""
        ...

    def state(self) -> State:
        """How it stands."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LineLimits:
    """What those who come may cost.

    Attributes:
        users: User ids that may come.
        body_bytes: Longest body.
        held_bytes: Of all bodies that are here at once.
        lines: Most connections at once.
    """

    users: frozenset[int]
    body_bytes: int
    held_bytes: int = 512 * 1024 * 1024
    lines: int = 4_096


class Counter:
    """All lines of a broker: how many there are, and what bodies they hold.

    Attributes:
        lines: Open ones.
        held_bytes: Of bodies that are here.
        is_closing: No new calls are taken.
    """

    def __init__(self) -> None:
        self.lines: set[Line] = set()
        self.held_bytes = 0
        self.is_closing = False

    @property
    def running(self) -> int:
        """Calls that run."""
        return sum(1 for line in self.lines if line.task is not None)


class Line(asyncio.Protocol):
    """One connection of the server's: one call after the other.

    Args:
        desk: Decides.
        limits: Bounds.
        counter: Of all lines.
    """

    def __init__(self, desk: Desk, limits: LineLimits, counter: Counter) -> None:
        self._desk = desk
        self._limits = limits
        self._counter = counter
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()
        self._greeted = False
        self._is_refused = False
        self._unwelcome: FreeholdError | None = None
        self._intent: Intent | None = None
        self._body = bytearray()
        self._held_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._sending: asyncio.Future[Send] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._full = False
        self._answering: Answering | None = None
        self._answer_bytes = 0

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The call that runs."""
        return self._task

    def end(self) -> None:
        """Close at once; what runs is broken off."""
        if self._transport is not None:
            self._transport.abort()
        self._leave()

    # --- asyncio.Protocol ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody came: let them in, or tell them why not once they ask: before that nobody listens."""
        self._transport = cast("asyncio.Transport", transport)
        user = peer_user(cast("socket.socket", transport.get_extra_info("socket")))
        if user not in self._limits.users:
            log.warning("user %d may not use the egress broker; [egress] users says who may", user)
            why = f"user {user} is none of [egress] users of the broker"
            self._unwelcome = EgressDenied(origin=_NOBODY, reason=why)
        elif len(self._counter.lines) >= self._limits.lines:
            why = f"{self._limits.lines} connections are open already"
            self._unwelcome = EgressBrokerAway(place=_NOBODY, reason=why)
        else:
            self._counter.lines.add(self)
            return
        self._loop.call_later(_LAST_WORD_S, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """Frames, and bodies."""
        if self._transport is None or self._is_refused:
            return
        if self._unwelcome is not None:
            self._refuse(self._unwelcome)
            return
        try:
            self._read(data)
        except FrameError as error:
            self._refuse(EgressDenied(origin=_NOBODY, reason=f"the server broke the protocol: {error}"))

    def eof_received(self) -> bool | None:
        """The server left: there is no half of a call."""
        self._leave()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """The server left."""
        del exc
        self._leave()
        self._transport = None

    def pause_writing(self) -> None:
        """The server reads slower than the upstream answers."""
        self._full = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._full = False
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # --- what comes ------------------------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        self._unread += data
        while self._unread:
            if self._intent is not None and self._task is None:
                self._read_body(self._intent)
                continue
            found = next_frame(self._unread, 0)
            if found is None:
                return
            kind, payload, end = found
            del self._unread[:end]
            self._take(kind, payload)

    def _take(self, kind: int, payload: bytes) -> None:
        if not self._greeted:
            if kind != Kind.HELLO:
                raise FrameError("it did not say which protocol it speaks")
            spoken = read(payload, Hello).protocol
            if spoken != PROTOCOL:
                raise FrameError(f"it speaks protocol {spoken}, this broker {PROTOCOL}: both must be of one version")
            self._greeted = True
        elif kind == Kind.STATUS and self._task is None:
            self._write(said(Kind.STATE, self._desk.state()))
        elif kind == Kind.INTENT and self._task is None:
            self._begin(read(payload, Intent))
        elif kind == Kind.SEND and self._sending is not None and not self._sending.done():
            self._sending.set_result(read(payload, Send))
        else:
            raise FrameError(f"a frame of kind {kind} where none is expected")

    def _begin(self, intent: Intent) -> None:
        if not 0 <= intent.body_bytes <= self._limits.body_bytes:
            raise FrameError(f"a body of {intent.body_bytes} bytes, at most {self._limits.body_bytes} are taken")
        if self._counter.is_closing:
            self._refuse(EgressBrokerAway(place=_NOBODY, reason="it is being stopped"))
            return
        if self._counter.held_bytes + intent.body_bytes > self._limits.held_bytes:
            self._refuse(EgressBrokerAway(place=_NOBODY, reason=f"it holds {self._counter.held_bytes} bytes of bodies"))
            return
        self._held_bytes = intent.body_bytes
        self._counter.held_bytes += intent.body_bytes
        self._intent, self._body = intent, bytearray()
        if not intent.body_bytes:
            self._serve()

    def _read_body(self, intent: Intent) -> None:
        missing = intent.body_bytes - len(self._body)
        self._body += self._unread[:missing]
        del self._unread[:missing]
        if len(self._body) == intent.body_bytes:
            self._serve()

    def _serve(self) -> None:
        intent, body = self._intent, bytes(self._body)
        self._body = bytearray()
        if intent is not None:
            task = self._task = self._loop.create_task(self._call(intent, body))
            task.add_done_callback(self._looked_after)

    # --- one call --------------------------------------------------------------------------------

    async def _call(self, intent: Intent, body: bytes) -> None:
        """From the intent to the end of the answer."""
        try:
            leave = await self._desk.permit(intent, body)
        except FreeholdError as error:
            self._desk.refused(error)
            self._over()
            self._refuse(error)
            return
        except BaseException:
            self._over()
            raise
        outcome, was_sent = "not_sent", False
        try:
            sending = await self._send_frame(leave)
            outcome, was_sent = "cancelled", True
            answering = self._answering = await self._desk.send(leave, sending)
            await self._relay(answering)
            outcome = "complete"
        except FreeholdError as error:
            outcome = "broken" if self._answering is not None else "failed" if was_sent else outcome
            was_sent = was_sent and not (isinstance(error, EgressDenied) or _never_reached(error))
            if isinstance(error, EgressDenied):
                self._desk.refused(error)
            self._refuse(error)
        finally:
            answer_bytes = self._answer_bytes
            self._desk.done(leave, outcome=outcome, was_sent=was_sent, answer_bytes=answer_bytes)
            self._over()
        if outcome == "complete":
            self._write(_END)

    def _looked_after(self, task: asyncio.Task[None]) -> None:
        """What nobody foresaw ends the connection, and with it the call at the server's end."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a call failed inside the broker: %s", type(error).__name__)
            self.end()

    async def _send_frame(self, leave: Leave) -> Send:
        sending = self._sending = self._loop.create_future()
        self._write(said(Kind.PERMIT, leave.token))
        try:
            return await asyncio.wait_for(sending, _PERMIT_S)
        except TimeoutError as error:
            raise EgressDenied(origin=_NOBODY, reason=f"the permit was not used within {_PERMIT_S:g} s") from error

    async def _relay(self, answering: Answering) -> None:
        head = Head(status=answering.status, headers=dict(answering.headers), by_close=answering.complete_by_close)
        self._write(said(Kind.HEAD, head))
        while not await answering.pass_on(self._pass):
            if self._full:
                self._drained = self._loop.create_future()
                await self._drained

    def _pass(self, piece: bytes) -> bool:
        """One piece on its way to the server, in the tick in which it came; whether the server is behind."""
        self._answer_bytes += len(piece)
        if len(piece) <= PIECE_BYTES_MAX:
            self._write(frame(Kind.PIECE, piece))
        else:
            for start in range(0, len(piece), PIECE_BYTES_MAX):
                self._write(frame(Kind.PIECE, piece[start : start + PIECE_BYTES_MAX]))
        return self._full

    def _over(self) -> None:
        """The call has ended, and its connection may serve the next one."""
        self._counter.held_bytes -= self._held_bytes
        self._held_bytes = self._answer_bytes = 0
        self._task = self._intent = self._sending = self._answering = None

    def _leave(self) -> None:
        """The server is gone: whatever runs for it ends now."""
        self._counter.lines.discard(self)
        if self._answering is not None:
            self._answering.abort()
        if self._task is not None:
            self._task.cancel()
        elif self._intent is not None:
            self._over()
        self.resume_writing()

    # --- what goes -------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _refuse(self, error: FreeholdError) -> None:
        """Say why, and no more: after a fault nothing on this connection is sure.

        What the server is still sending is taken and dropped for a moment: to close upon it would break its connection
        before it had read why.
        """
        transport, self._is_refused = self._transport, True
        if transport is not None and not transport.is_closing():
            transport.write(said(Kind.FAULT, fault_of(error)))
            transport.write_eof()
            self._loop.call_later(_LAST_WORD_S, transport.abort)


def _never_reached(error: FreeholdError) -> bool:
    return isinstance(error, UpstreamError) and error.reached_model == "no"


def peer_user(sock: socket.socket) -> int:
    """Whose process is at the other end of a Unix socket, as the kernel says."""
    _, user, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return user
