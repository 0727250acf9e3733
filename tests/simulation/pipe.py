"""Connections in memory: every write is cut into pieces that arrive in order, each after a delay of its own."""

from __future__ import annotations

import asyncio
import errno
import random
import socket
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

DELAY_S_MAX = 0.02
KERNEL_BYTES = 16 * 1024
"""What the two kernels hold between them before the sender's own buffer fills."""

_FIN = object()
_RST = object()


class Pipe(asyncio.Transport):
    """One end of a connection. ``join`` makes two of them a pair.

    Args:
        loop: A ``SimLoop``.
        protocol: Whom it serves.
        chance: Its own randomness, so that what happens on one connection changes nothing on another.
        name: For traces.
    """

    def __init__(self, loop: Any, protocol: asyncio.Protocol, chance: random.Random, name: str) -> None:
        super().__init__({"peername": ("127.0.0.1", 40_000), "sockname": ("127.0.0.1", 8_080)})
        self.loop = loop
        self.protocol: Any = protocol
        self.name = name
        self.peer: Pipe = self
        self._chance = chance
        self._swift = chance.random() < 0.3
        self._inbox: deque[Any] = deque()
        self._arrives_s = 0.0
        self._on_way: deque[tuple[float, Any, asyncio.TimerHandle]] = deque()
        self._in_flight = 0
        self._high, self._low = 64 * 1024, 16 * 1024
        self._write_paused = False
        self._reading = True
        self._begun = False
        self._fin_sent = False
        self._closing = False
        self._dead = False
        self.bytes_in = 0
        self.bytes_out = 0
        self.end_seen_s: float | None = None
        """When the protocol was told that the other side is no longer there."""

    # --- asyncio.Transport -----------------------------------------------------------------------

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._reading and not self._closing:
            self._reading = True
            self.loop.call_soon(self._deliver)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 64 * 1024 if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        return max(0, self._in_flight - KERNEL_BYTES)

    def write(self, data: Any) -> None:
        assert not self._fin_sent or self._dead or self._closing, f"{self.name}: write after write_eof"
        if self._closing or self._dead or not data:
            return
        if _RST in self._inbox:
            self._die(ConnectionResetError(errno.ECONNRESET, "reset"))
            return
        data = bytes(data)
        self.bytes_out += len(data)
        self._in_flight += len(data)
        for piece in self._cut(data):
            self._send(piece)
        if not self._write_paused and self.get_write_buffer_size() > self._high:
            self._write_paused = True
            self.protocol.pause_writing()

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._fin_sent and not self._closing:
            self._fin_sent = True
            self._send(_FIN)

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if any(isinstance(piece, bytes) for piece in self._inbox):
            self._die(None)  # a kernel resets a connection that is closed with unread bytes
            return
        if not self._fin_sent:
            self._fin_sent = True
            self._send(_FIN)
        if self.get_write_buffer_size() == 0:
            self.loop.call_soon(self._lose, None)

    def abort(self) -> None:
        self._die(None)

    # --- the other end ---------------------------------------------------------------------------

    def begin(self) -> None:
        """The protocol knows of its transport: what has arrived may be delivered."""
        self._begun = True
        self._deliver()

    def waits(self) -> bool:
        """Whether a look into the kernel's buffer would show anything: bytes, an end or a reset."""
        return self._dead or bool(self._inbox)

    def _cut(self, data: bytes) -> list[bytes]:
        chance, size = self._chance, len(data)
        if self._swift or size == 1 or chance.random() < 0.5:
            return [data]
        if size < 200 and chance.random() < 0.1:
            return [data[at : at + 1] for at in range(size)]
        cuts = sorted(chance.randrange(1, size) for _ in range(chance.randint(1, 4)))
        return [piece for start, end in zip([0, *cuts], [*cuts, size], strict=True) if (piece := data[start:end])]

    def _send(self, piece: Any) -> None:
        delay_s = 0.0 if self._swift else self._chance.uniform(0.0, DELAY_S_MAX)
        self._arrives_s = max(self._arrives_s, self.loop.time() + delay_s)
        handle = self.loop.call_at(self._arrives_s, self._arrive)
        self._on_way.append((self._arrives_s, piece, handle))

    def _arrive(self) -> None:
        """The oldest piece reaches the other side's kernel."""
        _, piece, _ = self._on_way.popleft()
        peer = self.peer
        if peer._dead or peer._closing:
            if piece is _RST:
                peer._die(ConnectionResetError(errno.ECONNRESET, "reset"), tell=False)
            elif isinstance(piece, bytes):
                self._in_flight -= len(piece)
                if not self._dead:
                    self.loop.call_later(self._chance.uniform(0.0, DELAY_S_MAX), self._reset_by_peer)
            return
        peer._inbox.append(piece)
        if peer._begun:
            peer._deliver()

    def _deliver(self) -> None:
        """Hand what lies in the kernel to the protocol, unless it does not want to read."""
        while self._inbox and self._reading and not self._closing and not self._dead and self._begun:
            piece = self._inbox.popleft()
            if piece is _RST:
                self._die(ConnectionResetError(errno.ECONNRESET, "reset"))
            elif piece is _FIN:
                self.end_seen_s = self.loop.time()
                if not self.protocol.eof_received():
                    self.close()
            else:
                self.bytes_in += len(piece)
                self.peer._taken(len(piece))
                self._receive(piece)

    def _receive(self, piece: bytes) -> None:
        try:
            self.protocol.data_received(piece)
        except Exception as error:  # noqa: BLE001 - as asyncio and uvloop do
            self.loop.call_exception_handler({"message": f"{self.name}: data_received failed", "exception": error})
            self._die(error)

    def _taken(self, size: int) -> None:
        self._in_flight -= size
        if self._dead:
            return
        left = self.get_write_buffer_size()
        if self._write_paused and left <= self._low:
            self._write_paused = False
            self.protocol.resume_writing()
        if self._closing and left == 0:
            self.loop.call_soon(self._lose, None)

    def _reset_by_peer(self) -> None:
        if self._dead:
            return
        if self._reading:
            self._die(ConnectionResetError(errno.ECONNRESET, "reset"), tell=False)
        else:
            self._inbox.append(_RST)

    def _die(self, error: Exception | None, *, tell: bool = True) -> None:
        """The connection is no more, in this tick; what has not arrived at the other side by its news never does."""
        if self._dead:
            return
        self._closing = True
        peer = self.peer
        if tell and not peer._dead:
            news_s = self.loop.time() + self._chance.uniform(0.0, DELAY_S_MAX)
            while self._on_way and self._on_way[-1][0] > news_s:
                _, piece, handle = self._on_way.pop()
                handle.cancel()
                if isinstance(piece, bytes):
                    self._in_flight -= len(piece)
            self._arrives_s = max(news_s, self._on_way[-1][0] if self._on_way else 0.0)
            self._on_way.append((self._arrives_s, _RST, self.loop.call_at(self._arrives_s, self._arrive)))
        self.loop.call_soon(self._lose, error)

    def _lose(self, error: Exception | None) -> None:
        if self._dead:
            return
        self._dead = True
        self._inbox.clear()
        self.end_seen_s = self.loop.time() if self.end_seen_s is None else self.end_seen_s
        self.protocol.connection_lost(error)


def join(one: Pipe, other: Pipe) -> None:
    """Make two ends a connection."""
    one.peer, other.peer = other, one


class SimSocket:
    """What ``net.dial`` takes for a socket."""

    def __init__(self, *_: Any) -> None:
        self.pipe: Pipe | None = None
        self.offer: Callable[[], asyncio.Protocol] | None = None
        self.name = ""
        self.options: list[tuple[int, int, int]] = []
        self.is_closed = False

    def setblocking(self, flag: bool) -> None:
        pass

    def setsockopt(self, level: int, name: int, value: int) -> None:
        self.options.append((level, name, value))

    def close(self) -> None:
        self.is_closed = True


def arrivals(sock: SimSocket) -> Callable[[], object]:
    """Stands in for ``net.arrivals``."""
    assert sock.pipe is not None
    return sock.pipe.waits


SOCKET_MODULE = SimpleNamespace(**{**vars(socket), "socket": SimSocket})
"""Stands in for the module ``socket`` where connections are dialled."""


class Network:
    """Who listens where, and how connecting goes.

    Attributes:
        listeners: ``(host, port)`` to who decides about each connection: returns a delay and a protocol for the
            server's side, ``None`` for a connection that is refused, or a negative delay for one that never comes about.
        opened: Every connection made from inside, as the ends (client's, server's).
    """

    def __init__(self, loop: Any, seed: int) -> None:
        self._loop = loop
        self._seed = seed
        self._count = 0
        self.listeners: dict[tuple[str, int], Callable[[], tuple[float, asyncio.Protocol | None]]] = {}
        self.opened: list[tuple[Pipe, Pipe]] = []

    def forget(self) -> None:
        """Keep nothing of the connections until now."""
        self.opened.clear()

    def chance(self, name: str) -> random.Random:
        """Randomness that belongs to one thing."""
        return random.Random(f"{self._seed} {name}")

    async def connect(self, sock: SimSocket, address: Any) -> None:
        """As ``loop.sock_connect``."""
        listener = self.listeners.get((address[0], address[1]))
        if listener is None:
            await asyncio.sleep(0.001)
            raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")
        delay_s, protocol = listener()
        if delay_s < 0:
            await self._loop.create_future()
        await asyncio.sleep(delay_s)
        if protocol is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")
        sock.offer = lambda: protocol
        sock.name = f"{address[0]}:{address[1]}"

    def attach(self, sock: SimSocket, protocol: asyncio.Protocol) -> Pipe:
        """The transport of a connected socket; the server's side begins at once."""
        assert sock.offer is not None
        near, _ = self.pair(protocol, sock.offer(), f"up{self._count}")
        sock.pipe = near
        return near

    def pair(self, near: asyncio.Protocol, far: asyncio.Protocol, name: str) -> tuple[Pipe, Pipe]:
        """A connection between two protocols; ``far`` is told at once, ``near`` is begun by the caller."""
        self._count += 1
        one = Pipe(self._loop, near, self.chance(f"{name} near {self._count}"), f"{name}.near")
        other = Pipe(self._loop, far, self.chance(f"{name} far {self._count}"), f"{name}.far")
        join(one, other)
        self.opened.append((one, other))

        def accept() -> None:
            other.protocol.connection_made(other)
            other.begin()

        self._loop.call_soon(accept)
        return one, other
