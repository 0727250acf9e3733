"""Runs a scripted server on a loop of its own in a thread, so that plain blocking clients can be used beside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TypeVar

from tests.servers.http import ScriptedServer

ServerT = TypeVar("ServerT", bound=ScriptedServer)


@contextmanager
def in_thread(server: ServerT) -> Generator[ServerT]:
    """``server`` listening while the body runs; its lists may be read, and ``on_loop`` reaches its events."""
    listening, stop = threading.Event(), threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def life() -> None:
        async with server:
            listening.set()
            await over.wait()

    def main() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(life())
        stop.set()

    thread = threading.Thread(target=main, name=type(server).__name__)
    thread.start()
    try:
        assert listening.wait(5)
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        assert stop.is_set()
