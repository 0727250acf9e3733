"""The connections of one client: the warmest idle one first, waiters in order, never more than allowed."""

from __future__ import annotations

import asyncio
from collections import deque

from freehold.net.connection import Connection, Setting
from freehold.net.deadlines import Expiry
from freehold.net.dial import Dialer


class Pool:
    """Hands out connections (``connection.Owner``).

    A slot is taken from the moment of dialling until its connection is gone. A freed connection or slot goes straight
    to the first waiter that still lives, so nobody overtakes.

    Args:
        dialer: Opens connections.
        setting: What they have in common.
        connections_max: Slots, at least 1.

    Attributes:
        is_closed: Nothing is handed out any more.
    """

    def __init__(self, *, dialer: Dialer, setting: Setting, connections_max: int) -> None:
        if connections_max < 1:
            raise ValueError(f"connections_max is {connections_max}, must be at least 1")
        self._dialer = dialer
        self._setting = setting
        self._max = connections_max
        self._idle: list[Connection] = []
        self._slots_taken = 0
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._open: set[Connection] = set()
        self._all_closed = asyncio.Event()
        self._all_closed.set()
        self.is_closed = False

    @property
    def open_connections(self) -> int:
        """Connections whose transport is not closed yet, idle ones included."""
        return len(self._open)

    @property
    def idle_connections(self) -> int:
        """Connections that wait for a request."""
        return len(self._idle)

    def take(self) -> Connection | None:
        """The idle connection used last, if there is one that may be used."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_quiet():
                return connection
            connection.abort()
        return None

    async def get(self, *, until_s: float) -> tuple[Connection, bool]:
        """Dial a connection, or wait for one, and whether it has served before.

        Args:
            until_s: Loop time by which the request must be over.

        Raises:
            EgressDenied: As ``Dialer.open``.
            UpstreamUnreachable: As ``Dialer.open``; or too many wait already, or the pool is closed.
            UpstreamTimeout: As ``Dialer.open``; or no connection became free in time.
        """
        first = False
        while True:
            self._refuse_if_closed()
            if self._slots_taken < self._max and (first or not self._waiters):
                self._slots_taken += 1
                return await self._dial(until_s), False
            connection = await self._turn(until_s, first=first)
            if connection is None:
                self._refuse_if_closed()
                return await self._dial(until_s), False
            if connection.is_quiet():
                return connection, True
            connection.abort()
            first = True  # it had its turn; the connection died in its hands

    async def close(self, *, drain_s: float) -> None:
        """Refuse what is new, wait for running answers at most ``drain_s``, then close everything. Idempotent."""
        self.is_closed = True
        loop = asyncio.get_running_loop()
        until_s = loop.time() + drain_s
        self._abort(self._idle)
        while self._waiters:
            _give(self._waiters.popleft(), None)
        try:
            with Expiry(loop, until_s):
                await self._all_closed.wait()
        except TimeoutError:
            pass  # those that still run have had their time
        finally:
            self._abort(self._open)
        await self._all_closed.wait()

    # --- connection.Owner ------------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """It must be closed one day."""
        self._open.add(connection)
        self._all_closed.clear()

    def clean(self, connection: Connection) -> None:
        """It may be used again: by the first who waits, or later."""
        if self.is_closed:
            connection.abort()
        elif not self._hand_on(connection):
            self._idle.append(connection)

    def gone(self, connection: Connection) -> None:
        """Its slot is free: for the first who waits, or later."""
        if connection in self._idle:
            self._idle.remove(connection)
        self._free_slot()

    def closed(self, connection: Connection) -> None:
        """Its transport is closed."""
        self._open.discard(connection)
        if not self._open:
            self._all_closed.set()

    # --- inside ----------------------------------------------------------------------------------

    async def _dial(self, until_s: float) -> Connection:
        """A new connection; the slot for it is taken already."""
        connection = Connection(loop=asyncio.get_running_loop(), setting=self._setting, owner=self)
        try:
            await self._dialer.open(connection, until_s=until_s)
            self._refuse_if_closed()
        except BaseException:
            connection.abort()
            # uvloop closes a transport without connection_lost where its creation is cancelled at the last moment.
            self.closed(connection)
            raise
        return connection

    async def _turn(self, until_s: float, *, first: bool) -> Connection | None:
        """Wait for a connection, or for a slot (``None``), which is then this caller's."""
        faults, loop = self._setting.faults, asyncio.get_running_loop()
        if len(self._waiters) >= self._setting.limits.waiters:
            raise faults.unreachable("too many requests wait for a connection already")
        waiter: asyncio.Future[Connection | None] = loop.create_future()
        if first:
            self._waiters.appendleft(waiter)
        else:
            self._waiters.append(waiter)
        budget_s = until_s - loop.time()
        try:
            with Expiry(loop, until_s):
                return await waiter
        except TimeoutError as error:
            self._leave_line(waiter)
            raise faults.timeout("have a free connection", budget_s, reached="no") from error
        except BaseException:
            self._leave_line(waiter)
            raise

    def _leave_line(self, waiter: asyncio.Future[Connection | None]) -> None:
        """Give up waiting; what was handed over in the same moment goes to the next one."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        elif waiter.done() and not waiter.cancelled():
            connection = waiter.result()
            if connection is None:
                self._free_slot()
            elif not connection.is_gone:  # one that is gone has freed its slot itself
                self.clean(connection)

    def _hand_on(self, connection: Connection | None) -> bool:
        while self._waiters:
            if _give(self._waiters.popleft(), connection):
                return True
        return False

    def _free_slot(self) -> None:
        if self.is_closed or not self._hand_on(None):
            self._slots_taken -= 1

    def _abort(self, connections: list[Connection] | set[Connection]) -> None:
        for connection in tuple(connections):
            connection.abort()

    def _refuse_if_closed(self) -> None:
        if self.is_closed:
            raise self._setting.faults.unreachable("its client is closed")


def _give(waiter: asyncio.Future[Connection | None], connection: Connection | None) -> bool:
    if waiter.done():
        return False
    waiter.set_result(connection)
    return True
