"""Of two brokers at one place one listens, whenever they were started, and the other says so."""

from __future__ import annotations

import asyncio
import fcntl
import socket
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, cast

import pytest

from freehold.domain.errors.server import SocketUnusable
from freehold.net.brokered.listen import listening
from freehold.net.brokered.serve import Counter, Desk, LineLimits

WAIT_S = 10


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A short name: what a socket may be called is limited."""
    monkeypatch.chdir(tmp_path)
    yield "broker.sock"
    assert list(tmp_path.iterdir()) == [], "nothing is left"


def at(path: str) -> AbstractAsyncContextManager[None]:
    limits = LineLimits(users=frozenset(), body_bytes=1)
    return listening(path, cast("Desk", None), limits, Counter(), drain_s=0, hurried=asyncio.Event())


async def connects(path: str) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write_eof()
    await reader.read()
    writer.close()
    await writer.wait_closed()


def test_two_at_once(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second comes while the first has bound its socket and does not listen yet."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        is_bound, go_on, listens, end = (asyncio.Event() for _ in range(4))
        make = loop.create_unix_server

        async def slowly(*given: Any, **named: Any) -> asyncio.Server:
            monkeypatch.setattr(loop, "create_unix_server", make)
            is_bound.set()
            await go_on.wait()
            return await make(*given, **named)

        async def first() -> None:
            async with at(place):
                listens.set()
                await end.wait()

        monkeypatch.setattr(loop, "create_unix_server", slowly)
        running = asyncio.ensure_future(first())
        await is_bound.wait()
        for others in (go_on, None):
            with pytest.raises(SocketUnusable, match="another broker listens there, or is about to"):
                async with at(place):
                    pass
            if others is not None:
                others.set()
                await listens.wait()
            await connects(place)
        end.set()
        await running

    asyncio.run(asyncio.wait_for(main(), WAIT_S))


def test_what_a_dead_one_left_is_replaced(place: str) -> None:
    async def main() -> None:
        async with at(place):
            await connects(place)

    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(place)
    Path(place + ".lock").touch()
    asyncio.run(main())


def test_a_lock_that_its_holder_took_away_keeps_nobody_out(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder ends between the opening of its lock here and the locking: the next one would lock a new file."""
    lock = fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        Path(place + ".lock").unlink()
        lock(descriptor, how)

    async def main() -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        async with at(place):
            with pytest.raises(SocketUnusable, match="or is about to"):
                async with at(place):
                    pass

    asyncio.run(main())


def test_one_that_cannot_listen_holds_nothing(place: str) -> None:
    async def refused(path: str, reason: str) -> None:
        with pytest.raises(SocketUnusable, match=reason):
            async with at(path):
                pass

    async def main() -> None:
        async with at(place):
            await connects(place)

    Path(place).write_bytes(b"")
    for _ in range(2):
        asyncio.run(refused(place, "no socket"))
    Path(place).unlink()
    asyncio.run(main())
    asyncio.run(refused(f"absent/{place}", "No such file"))
