"""Uvicorn, made to stop in good order: unready at once, running requests go on for a while, then they are told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from types import FrameType
from typing import Any

import uvicorn

from freehold.api.http1 import FreeholdProtocol
from freehold.serving.overload import Door

log = logging.getLogger("freehold.app")

_LOOK_EVERY_S = 0.1
LAST_WORDS_S = 2
"""For error events to be written, recorded and sent, once the time for running requests is over."""


class Listener(uvicorn.Server):
    """Says when it listens, and on which port, and returns when it is told to stop.

    On the first signal nothing new is taken: ``/readyz`` and new requests are answered 503, which they can only be
    while the port stays open. What runs goes on for ``drain_s``, is then cancelled, and tells its client. A second
    signal cancels it at once.

    Args:
        config: Uvicorn's.
        protocol: The class of its connections, made by ``api.http1.protocol`` for this server alone.
        door: What new requests pass.
        drain_s: For running requests.
        listening: Called with the port.
        is_worker: Whether a parent process says when to hurry. A signal may then come twice, from it and beside it.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        protocol: type[FreeholdProtocol],
        door: Door,
        drain_s: float,
        listening: Callable[[int], None],
        is_worker: bool = False,
    ) -> None:
        super().__init__(config)
        self._protocol = protocol
        self._limits = protocol.limits
        self._door = door
        self._drain_s = drain_s
        self._listening = listening
        self._is_worker = is_worker
        self._is_hurried = False

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        if self.started:
            self._listening(self.servers[0].sockets[0].getsockname()[1])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; at once when told a second time.

        Uvicorn's own way raises the signal anew in the end, which would kill the process before its stores are closed.
        """
        del sig, frame
        self.stop(at_once=self.should_exit and not self._is_worker)

    def stop(self, *, at_once: bool = False) -> None:
        """Take nothing new and return once what runs has ended, or ``at_once``."""
        self._is_hurried = self._is_hurried or at_once
        self.should_exit = True
        self._door.stop()

    async def on_tick(self, counter: int) -> bool:
        """Uvicorn's look around, ten times a second: take no more connections where memory runs out."""
        limits = self._limits
        if not self._door.accepts:
            limits = replace(limits, connections=len(self.server_state.connections), reserve=0)
        self._protocol.limits = limits
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """Let running requests end, tell those that do not, then close."""
        running = set(self.server_state.tasks)
        left = await self._drained(running)
        if left:
            log.warning("%d requests did not end in time and are broken off", len(left))
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=LAST_WORDS_S)
        await super().shutdown(sockets)

    async def _drained(self, running: Collection[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
        """Wait for requests: those that have not ended when the time is over or a second signal came."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._drain_s
        left = {task for task in running if not task.done()}
        while left and not self._is_hurried and loop.time() < until_s:
            _, left = await asyncio.wait(left, timeout=min(_LOOK_EVERY_S, until_s - loop.time()))
        return set(left)
