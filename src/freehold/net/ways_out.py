"""Every way by which a process could send something away, tried: run inside a jail to see what the kernel answers.

Nothing is sent that says anything: connections are begun and dropped, the one datagram is a zero byte. Addresses are
those set aside for documentation (RFC 5737, RFC 3849) and the name is one that never exists (RFC 6761, section 6.4), so
that nobody is bothered where a jail does not hold.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from freehold.net.addresses import SocketAddress

_NOBODY, _NOBODY_6 = "192.0.2.1", "2001:db8::1"
_NAME = "freehold-doctor.invalid"
_WAIT_S = 1.0
_REFUSALS = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
        errno.EPROTONOSUPPORT,
        errno.ENODEV,
        errno.ENOSYS,
    }
)
"""What the kernel says before anything has left; every other answer came from outside, or from nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One way out, tried.

    Attributes:
        name: For example ``TCP to another machine``.
        refused: Whether the kernel said no.
        answer: In its words, or what happened instead.
    """

    name: str
    refused: bool
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Two listeners of this process: what a worker without a network must not reach either.

    Attributes:
        port: A TCP port on loopback.
        path: A Unix socket.
    """

    port: int
    path: str

    @classmethod
    @contextmanager
    def open(cls, folder: str) -> Generator[Doors]:
        """Listen while the block runs.

        Args:
            folder: For the Unix socket; its path must be short.

        Raises:
            OSError: There is no room for a socket.
        """
        path = str(Path(folder) / "door")
        with socket.socket() as near, socket.socket(socket.AF_UNIX) as neighbour:
            near.bind(("127.0.0.1", 0))
            near.listen()
            neighbour.bind(path)
            neighbour.listen()
            yield cls(port=near.getsockname()[1], path=path)

    def tried(self) -> tuple[Tried, ...]:
        """Both, from this process. Blocks for at most two seconds."""
        return (
            _tried("TCP to this machine", lambda: _connect(socket.AF_INET, ("127.0.0.1", self.port))),
            _tried("a Unix socket of another program", lambda: _connect(socket.AF_UNIX, self.path)),
        )


def try_ways_out(doors: Doors) -> tuple[Tried, ...]:
    """Try them all. Blocks for a few seconds where they are open and nobody answers."""
    return (*try_far_ways(), *doors.tried())


def try_far_ways() -> tuple[Tried, ...]:
    """Try those that lead beyond this machine."""
    # The resolver's own patience is half a minute; read when the process first looks a name up.
    os.environ["RES_OPTIONS"] = "timeout:1 attempts:1"
    packet = getattr(socket, "AF_PACKET", socket.AF_INET)
    return (
        _tried("TCP to another machine", lambda: _connect(socket.AF_INET, (_NOBODY, 443))),
        _tried("TCP to another machine (IPv6)", lambda: _connect(socket.AF_INET6, (_NOBODY_6, 443, 0, 0))),
        _tried("UDP to another machine", _datagram),
        _tried("a name looked up", _look_up),
        _tried("a raw socket", lambda: _make(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)),
        _tried("a packet socket", lambda: _make(packet, socket.SOCK_RAW, 0)),
    )


def _tried(name: str, act: Callable[[], str]) -> Tried:
    try:
        return Tried(name=name, refused=False, answer=act())
    except socket.gaierror as error:
        # "No such name" is an answer; a resolver that could not be asked is a failure, for now or for good.
        return Tried(name=name, refused=error.errno != socket.EAI_NONAME, answer=_words(error))
    except OSError as error:
        return Tried(name=name, refused=error.errno in _REFUSALS, answer=_words(error))


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _connect(family: int, address: SocketAddress | str) -> str:
    with socket.socket(family, socket.SOCK_STREAM) as own:
        own.settimeout(_WAIT_S)
        with contextlib.suppress(TimeoutError):
            own.connect(address)
            return "connected"
    return "sent, and nobody answered"


def _datagram() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.sendto(b"\0", (_NOBODY, 9))
    return "sent"


def _look_up() -> str:
    found = socket.getaddrinfo(_NAME, 443, type=socket.SOCK_STREAM)
    return f"found {len(found)}"


def _make(family: int, kind: int, protocol: int) -> str:
    socket.socket(family, kind, protocol).close()
    return "made"
