"""Sockets that several processes listen on at one port: the system shares connections out among them (SO_REUSEPORT)."""

from __future__ import annotations

import socket
from collections.abc import Iterable, MutableMapping, Sequence
from typing import Self

from freehold.domain.errors.server import PortInUse, SocketUnusable

_FIRST_HANDED = 3
_TCP_FAMILIES = frozenset({socket.AF_INET, socket.AF_INET6})
_V6ONLY_FAMILIES = frozenset({socket.AF_INET6})


class Reservation:
    """A port that is kept for the processes which are to listen on it, without listening itself.

    Attributes:
        port: Which.
    """

    def __init__(self, sockets: list[socket.socket], port: int) -> None:
        self._sockets = sockets
        self.port = port

    @classmethod
    def make(cls, host: str, port: int) -> Self:
        """Reserve a port, or any that is free where ``port`` is 0.

        Raises:
            PortInUse: Another program listens on it, or the address is not this machine's.
        """
        # Alone first: among sockets that are willing to share, another gateway's would not be noticed.
        _close(_bind(host, port, is_shared=False))
        sockets = _bind(host, port, is_shared=True)
        return cls(sockets, sockets[0].getsockname()[1])

    @classmethod
    def of(cls, handed: Sequence[socket.socket]) -> Self:
        """What the service manager listens on already."""
        return cls(list(handed), handed[0].getsockname()[1])

    def close(self) -> None:
        """Let go of it. Idempotent."""
        _close(self._sockets)


def shared_sockets(host: str, port: int) -> list[socket.socket]:
    """Sockets for one of the processes, one for each address of ``host``, bound and not listening yet.

    Raises:
        PortInUse: Another program, or another user's, has the port.
    """
    return _bind(host, port, is_shared=True)


def handed_sockets(environment: MutableMapping[str, str], *, pid: int) -> list[socket.socket]:
    """Sockets on which the service manager listens for this process: none, unless it said so (``sd_listen_fds(3)``).

    They may belong to another network namespace than this process, which so is reached without having a network.

    Args:
        environment: Where it is said; taken out, so that no child believes that it is meant.
        pid: Of this process.

    Raises:
        SocketUnusable: One of them is not of TCP.
    """
    meant, count = environment.get("LISTEN_PID"), environment.get("LISTEN_FDS", "")
    if meant != str(pid) or not count.isdecimal():
        return []
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environment.pop(name, None)
    return sockets_of(range(_FIRST_HANDED, _FIRST_HANDED + int(count)))


def sockets_of(descriptors: Iterable[int]) -> list[socket.socket]:
    """Sockets that another process made.

    Raises:
        SocketUnusable: One of them is not of TCP.
    """
    sockets: list[socket.socket] = []
    for descriptor in descriptors:
        try:
            handed = socket.socket(fileno=descriptor)
        except OSError as error:
            _close(sockets)
            raise SocketUnusable(path=f"descriptor {descriptor}", reason=error.strerror or error) from error
        sockets.append(handed)
        handed.set_inheritable(False)
        handed.setblocking(False)
        if handed.family not in _TCP_FAMILIES or handed.type != socket.SOCK_STREAM:
            _close(sockets)
            raise SocketUnusable(path=f"descriptor {descriptor}", reason="it is not of TCP (ListenStream=HOST:PORT)")
    return sockets


def _bind(host: str, port: int, *, is_shared: bool) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listener = socket.socket(family, kind, protocol)
            sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if is_shared:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family in _V6ONLY_FAMILIES:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # A free port that the first address got is the others' too.
            chosen = port or (sockets[0].getsockname()[1] if len(sockets) > 1 else 0)
            listener.bind((address[0], chosen, *address[2:]))
    except OSError as error:
        _close(sockets)
        raise PortInUse(host=host, port=port) from error
    return sockets


def _close(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()
