"""The broker's socket: made for its group alone, served, and closed in good order."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from freehold.domain.errors.server import SocketUnusable
from freehold.net.brokered.serve import Counter, Desk, Line, LineLimits

_MODE = 0o660
_LOCK_MODE = 0o600
_LOCK_SUFFIX = ".lock"
_BACKLOG = 1024


@asynccontextmanager
async def listening(
    path: str, desk: Desk, limits: LineLimits, counter: Counter, *, drain_s: float, hurried: asyncio.Event
) -> AsyncGenerator[None]:
    """Serve at a Unix socket while the body runs. Afterwards calls that run may end.

    Args:
        path: Of the socket.
        desk: Decides.
        limits: What those who come may cost.
        counter: Of those who came.
        drain_s: For running calls.
        hurried: Ends these at once.

    Raises:
        SocketUnusable: Another broker listens there, or the socket cannot be made.
    """
    loop = asyncio.get_running_loop()
    lock = _lock(path)
    try:
        server = await loop.create_unix_server(lambda: Line(desk, limits, counter), sock=_bound(path), backlog=_BACKLOG)
    except BaseException:
        _unlock(path, lock)
        raise
    try:
        yield
    finally:
        counter.is_closing = True
        server.close()
        _forget(path)
        _unlock(path, lock)
        running = {line.task for line in counter.lines if line.task is not None}
        if running:
            await _ended(running, drain_s, hurried)
        for line in tuple(counter.lines):
            line.end()
        if running:
            await asyncio.wait(running)


async def _ended(running: set[asyncio.Task[None]], drain_s: float, hurried: asyncio.Event) -> None:
    """Wait for calls to end, for so long, or until told to hurry."""
    waits = {asyncio.ensure_future(asyncio.wait(running, timeout=drain_s)), asyncio.ensure_future(hurried.wait())}
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for each in waits:
        each.cancel()
    await asyncio.wait(waits)


def _forget(path: str) -> None:
    with contextlib.suppress(OSError):
        Path(path).unlink()


def _lock(path: str) -> int:
    """Have the place alone. A socket that is bound and does not listen yet looks like one that a dead broker left."""
    name = path + _LOCK_SUFFIX
    while True:
        try:
            lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _LOCK_MODE)
        except OSError as error:
            raise SocketUnusable(path=path, reason=f"{name}: {error.strerror or error}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), os.lstat(name)):
                return lock
        except FileNotFoundError:
            pass  # whoever had it took it away as they ended: it keeps nobody out any more
        except OSError as error:
            os.close(lock)
            is_held = isinstance(error, BlockingIOError)
            reason = "another broker listens there, or is about to" if is_held else f"{name}: {error.strerror}"
            raise SocketUnusable(path=path, reason=reason) from error
        os.close(lock)


def _unlock(path: str, lock: int) -> None:
    _forget(path + _LOCK_SUFFIX)
    os.close(lock)


def _bound(path: str) -> socket.socket:
    """A socket at ``path`` that its group may use; one that a dead broker left is replaced."""
    if not hasattr(socket, "SO_PEERCRED"):
        raise SocketUnusable(path=path, reason="this system does not tell who connects (SO_PEERCRED)")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _make_room(path)
        # Nobody may connect before the mode is right: it is made with none, and whoever comes is asked who they are.
        mask = os.umask(0o777)
        try:
            sock.bind(path)
        finally:
            os.umask(mask)
        Path(path).chmod(_MODE)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise SocketUnusable(path=path, reason=error.strerror or error) from error
    except BaseException:
        sock.close()
        raise
    return sock


def _make_room(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SocketUnusable(path=path, reason="there is something that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
    raise SocketUnusable(path=path, reason="another broker listens there")
