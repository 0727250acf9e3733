"""The HTTP/1.1 client of one upstream: a request in, an answer as it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass

from freehold.domain.egress import EgressPermit
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.ports import Clock
from freehold.domain.zones import Zone
from freehold.net.answer import Answer
from freehold.net.connection import Connection
from freehold.net.faults import Faults
from freehold.net.head import HeadWriter
from freehold.net.permits import Gate
from freehold.net.pool import Pool


class HttpReply:
    """An answer whose head is here.

    Read to its end, its connection serves the next request. Whoever does not read it to its end closes it with
    ``abort``, or by closing the generator of ``pieces`` once that has begun.

    Attributes:
        status: 200 to 299, or 400 to 599.
        headers: Names in lower case.
        reused: Whether it came over a connection that had served before.
        complete_by_close: Whether only the connection's end marks the answer's end. A broken connection looks the
            same, so the reader must find proof in the text that it is whole: JSON that parses, ``[DONE]``.
    """

    __slots__ = ("_answer", "_connection", "_faults", "complete_by_close", "headers", "reused", "status")

    def __init__(self, *, answer: Answer, connection: Connection, faults: Faults) -> None:
        self._answer = answer
        self._connection = connection
        self._faults = faults
        self.status: int = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self.reused: bool = answer.reused
        self.complete_by_close: bool = answer.by_close

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The body as it arrives, in pieces of any size; bytes, never empty. Ends only when the answer is whole.

        Raises:
            UpstreamBroken: The connection ended before the answer, or its framing is malformed.
            UpstreamProtocol: The answer breaks a rule, for example by bytes behind its end.
            UpstreamTimeout: Silence for too long, or the deadline.
        """
        try:
            while piece := await self.next_piece():
                yield piece
        finally:
            self._connection.drop(self._answer)

    async def next_piece(self) -> bytes:
        """The next piece of the body; empty at the end of an answer that is whole. Whoever stops early aborts.

        Raises:
            UpstreamError: As ``pieces``.
        """
        answer = self._answer
        while True:
            piece = answer.take()
            if answer.paused:
                self._connection.read_on(answer)
            if piece:
                return piece
            if answer.whole:
                self._connection.release(answer)
                return b""
            if answer.error is not None:
                raise answer.error.again()
            await answer.changed()

    async def pass_on(self, out: Callable[[bytes], bool]) -> bool:
        """Hand each piece of the body to ``out`` in the tick in which it arrives, without waking a task for it.

        Args:
            out: Takes a piece; returns whether it wants no more for now. Must not raise.

        Returns:
            True once the answer is whole; False as soon as ``out`` wanted no more: the server is not read until the
            next call.

        Raises:
            UpstreamError: As ``pieces``.
        """
        answer = self._answer
        while True:
            piece = answer.take()
            if piece and out(piece):
                self._connection.hold(answer)
                return False
            if answer.whole:
                self._connection.release(answer)
                return True
            if answer.error is not None:
                raise answer.error.again()
            if answer.paused:
                self._connection.read_on(answer)
            answer.tap = out
            try:
                await answer.changed()
            finally:
                answer.tap = None
            if answer.stopped:
                answer.stopped = False
                return False

    async def read(self, *, limit_bytes: int) -> bytes:
        """The whole body.

        Raises:
            UpstreamProtocol: It is longer than ``limit_bytes``; or as ``pieces``.
            UpstreamBroken: As ``pieces``.
            UpstreamTimeout: As ``pieces``.
        """
        answer = self._answer
        parts: list[bytes] = []
        size = 0
        try:
            while True:
                piece = answer.take()
                if answer.paused:
                    self._connection.read_on(answer)
                if piece:
                    size += len(piece)
                    if size > limit_bytes:
                        raise self._faults.protocol(f"its answer is longer than {limit_bytes} bytes")
                    parts.append(piece)
                elif answer.whole:
                    self._connection.release(answer)
                    return parts[0] if len(parts) == 1 else b"".join(parts)
                elif answer.error is not None:
                    raise answer.error.again()
                else:
                    await answer.changed()
        finally:
            self._connection.drop(answer)

    def abort(self) -> None:
        """Close the connection now, unless the answer was read to its end. Idempotent."""
        self._connection.drop(self._answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientParts:
    """What a client is made of; ``broker`` and ``fetch`` put it together."""

    name: str
    origin: str
    zone: Zone
    clock: Clock
    gate: Gate
    heads: HeadWriter
    pool: Pool
    faults: Faults
    write_slice_bytes: int


class HttpClient:
    """Requests to one upstream. Never retries, never follows a redirect, never looks at the environment.

    Attributes:
        name: The deployment that errors blame.
        origin: The only destination, as ``scheme://host:port`` or ``unix:///path``.
        zone: Where that is.
    """

    def __init__(self, parts: ClientParts) -> None:
        self.name = parts.name
        self.origin = parts.origin
        self.zone = parts.zone
        self._clock = parts.clock
        self._gate = parts.gate
        self._heads = parts.heads
        self._pool = parts.pool
        self._faults = parts.faults
        self._slice_bytes = parts.write_slice_bytes

    def __repr__(self) -> str:
        return f"HttpClient(name={self.name!r}, origin={self.origin!r}, zone={self.zone!r})"

    @property
    def is_closed(self) -> bool:
        """Whether it takes no more requests."""
        return self._pool.is_closed

    @property
    def open_connections(self) -> int:
        """Connections that exist, idle ones included."""
        return self._pool.open_connections

    @property
    def idle_connections(self) -> int:
        """Connections that wait for a request."""
        return self._pool.idle_connections

    async def request(
        self,
        *,
        method: str,
        path: str,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        permit: EgressPermit | None,
        deadline_s: float,
    ) -> HttpReply:
        """Send one request; returns when the answer's head is there. Cancelling it closes the connection.

        Args:
            method: ``GET``, ``POST``…
            path: The whole path as sent, ``Origin.base_path`` included.
            headers: Besides the configured ones, which they cannot replace.
            body: Exactly what the permit is for.
            permit: Needed unless the zone is ``device``; spent by this call whatever comes of it.
            deadline_s: Moment on the clock's monotonic scale by which the whole answer must be here.

        Raises:
            EgressDenied: No good permit, an address outside the zone, or a field that would break its line.
            UpstreamUnreachable: No connection; nothing was sent.
            UpstreamProtocol: The answer is not HTTP as agreed: a redirect, compressed, too long a head…
            UpstreamBroken: The connection ended before the answer's head.
            UpstreamTimeout: A deadline is over; it says which.
        """
        budget_s = deadline_s - self._clock.monotonic_s()
        head = self._heads.head(method, path, headers, len(body))
        self._gate.spend(permit, origin=self.origin, zone=self.zone, body=body)
        if budget_s <= 0:
            raise self._faults.timeout("finish its answer", 0.0, reached="no")
        until_s = asyncio.get_running_loop().time() + budget_s
        connection = self._pool.take()
        reused = connection is not None
        if connection is None:
            connection, reused = await self._pool.get(until_s=until_s)
        # Waiting for a connection takes time: a permit that was good at the door may have expired since.
        if permit is not None and self._clock.monotonic_s() >= permit.expires_monotonic_s:
            connection.abort()
            raise EgressDenied(origin=self.origin, reason="the permit expired before there was a connection")
        answer = connection.begin(head_only=method == "HEAD", until_s=until_s, reused=reused)
        try:
            if len(body) <= self._slice_bytes:
                connection.write(head + body)
            else:
                await connection.write_slices(head, body)
            while not answer.head_seen and answer.error is None:
                await answer.changed()
        except BaseException:
            # Not abort(): who has given the connection up already must not disturb who has it now.
            connection.drop(answer)
            raise
        if not answer.head_seen and answer.error is not None:
            raise answer.error.again()
        return HttpReply(answer=answer, connection=connection, faults=self._faults)

    async def close(self, *, drain_s: float = 0.0) -> None:
        """Take no new requests, let running answers end for at most ``drain_s``, close the rest. Idempotent."""
        await self._pool.close(drain_s=drain_s)
