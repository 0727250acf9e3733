"""From a name to an open connection: resolve once, check every number, dial the checked number."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence

from freehold.domain.errors.policy import EgressDenied
from freehold.domain.errors.upstream import UpstreamError
from freehold.net.addresses import AddressKind, Endpoint, address_kind
from freehold.net.connection import Connection
from freehold.net.deadlines import Expiry
from freehold.net.faults import Faults, connect_reason
from freehold.net.origin import Origin
from freehold.net.shared import SharedWork

_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


class Dialer:
    """Opens connections to one origin.

    Args:
        origin: The only destination.
        kinds: Kinds of addresses that it may have; a name with any other address is refused as a whole.
        place: What ``kinds`` stands for in messages, such as ``zone 'lan'``.
        connect_s: For DNS, TCP and TLS together.
        stagger_s: Head start of one address over the next.
        faults: Makes the errors.
        endpoints: All numbers of the host, found in a thread; not asked where the host is a number itself.
        tls: The context for ``https``, made in a thread at first use.
    """

    def __init__(
        self,
        *,
        origin: Origin,
        kinds: frozenset[AddressKind],
        place: str,
        connect_s: float,
        stagger_s: float,
        faults: Faults,
        endpoints: SharedWork[Sequence[Endpoint]],
        tls: SharedWork[ssl.SSLContext],
    ) -> None:
        self._origin = origin
        self._kinds = kinds
        self._place = place
        self._connect_s = connect_s
        self._stagger_s = stagger_s
        self._faults = faults
        self._endpoints = endpoints
        self._tls = tls

    async def open(self, connection: Connection, *, until_s: float) -> None:
        """Connect ``connection``.

        Args:
            connection: Aborted by its caller if this raises.
            until_s: Loop time by which the request must be over.

        Raises:
            EgressDenied: The name has an address that its zone does not allow.
            UpstreamUnreachable: Refused, no route, no such name, TLS failed.
            UpstreamTimeout: It took too long.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        expiry = Expiry(loop, min(until_s, now + self._connect_s))
        try:
            with expiry:
                await self._open(loop, connection)
        except OSError as error:
            if not expiry.fired:
                raise self._faults.unreachable(connect_reason(error)) from error
            raise self._too_late(until_s - now) from error

    def _too_late(self, budget_s: float) -> UpstreamError:
        if budget_s < self._connect_s:
            return self._faults.timeout("finish its answer", budget_s, reached="no")
        return self._faults.timeout("accept a connection", self._connect_s, reached="no")

    async def _open(self, loop: asyncio.AbstractEventLoop, connection: Connection) -> None:
        if self._origin.scheme == "unix":
            sock = await _connect(loop, socket.AF_UNIX, self._origin.socket_path)
            await loop.create_unix_connection(lambda: connection, sock=sock)
            connection.watch_socket(sock)
            return
        context = await self._tls_context() if self._origin.scheme == "https" else None
        endpoints = await self._checked_endpoints()
        sock = await _race(loop, endpoints, self._stagger_s)
        # The loop makes the transport before its first await, so from here on the transport closes the socket.
        await loop.create_connection(
            lambda: connection, sock=sock, ssl=context, server_hostname=self._origin.host if context else None
        )
        connection.watch_socket(sock)

    async def _tls_context(self) -> ssl.SSLContext:
        try:
            return await self._tls.get()
        except OSError as error:
            reason = f"there are no certificates to verify it with ({error.strerror}); check ca_file"
            raise self._faults.unreachable(reason) from error

    async def _checked_endpoints(self) -> Sequence[Endpoint]:
        """All numbers of the host. One wrong address condemns the name: who can add one could lead us anywhere."""
        origin = self._origin
        try:
            endpoints: Sequence[Endpoint] = (Endpoint.of(origin.host, origin.port),)
        except ValueError:
            endpoints = await self._endpoints.get()
        if not endpoints:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        for endpoint in endpoints:
            kind = address_kind(endpoint.host)
            if kind not in self._kinds:
                raise EgressDenied(
                    origin=origin.text, reason=f"it has an address of kind {kind.value!r}, not allowed in {self._place}"
                )
            if kind is AddressKind.PUBLIC and origin.scheme == "http":
                raise EgressDenied(origin=origin.text, reason="its address is public, and only https may go there")
        return endpoints


async def _connect(
    loop: asyncio.AbstractEventLoop, family: int, address: str | tuple[str, int] | tuple[str, int, int, int]
) -> socket.socket:
    """A connected socket, made here so that the number that was checked is the number that is dialled."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEPALIVE:
                if hasattr(socket, name):
                    sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        await loop.sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


async def _race(loop: asyncio.AbstractEventLoop, endpoints: Sequence[Endpoint], stagger_s: float) -> socket.socket:
    """The first of several addresses that answers; each gets a head start over the next (RFC 8305, section 5)."""
    if len(endpoints) == 1:
        return await _connect(loop, endpoints[0].family, endpoints[0].address)
    return await _Race(loop, stagger_s).run(endpoints)


class _Race:
    def __init__(self, loop: asyncio.AbstractEventLoop, stagger_s: float) -> None:
        self._loop = loop
        self._stagger_s = stagger_s
        self._winner: socket.socket | None = None
        self._error: OSError | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._news: asyncio.Future[None] = loop.create_future()

    async def run(self, endpoints: Sequence[Endpoint]) -> socket.socket:
        try:
            async with asyncio.TaskGroup() as group:
                for endpoint in endpoints:
                    self._running.add(group.create_task(self._attempt(endpoint)))
                    await asyncio.wait({self._news}, timeout=self._stagger_s)
                    if self._winner is not None:
                        break
                    self._news = self._loop.create_future()
        except BaseException:
            if self._winner is not None:
                self._winner.close()
            raise
        if self._winner is None:
            raise self._error or OSError("no address answered")
        return self._winner

    async def _attempt(self, endpoint: Endpoint) -> None:
        try:
            sock = await _connect(self._loop, endpoint.family, endpoint.address)
        except OSError as error:
            self._error = self._error or error
        else:
            self._winner = sock
            # Cancelled ones close their sockets, also those that connected in this very moment.
            for task in self._running:
                if task is not asyncio.current_task():
                    task.cancel()
        if not self._news.done():
            self._news.set_result(None)
