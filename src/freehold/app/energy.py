"""What this machine draws while attempts run on it, read behind the requests and shared among them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from freehold.domain.ports import Clock
from freehold.gateway.load import DeviceLoad

_EVERY_S: Final = 0.1
"""An attempt that is shorter than twice this is not measured: its energy is that of the stated watts."""


class Counters(Protocol):
    """Counters of energy."""

    def read(self) -> float | None:
        """Joules since any moment; ``None`` where a counter does not answer any more."""
        ...

    def close(self) -> None:
        """Let go of them."""
        ...


class EnergyMeter:
    """Reads the counters ten times a second while anything runs here, and not at all otherwise.

    Args:
        load: Whose attempts share what is read.
        find: The counters of this machine; ``None`` where there are none to read.
        clock: Time.
        pause: Waits so many seconds.
    """

    def __init__(
        self,
        load: DeviceLoad,
        *,
        find: Callable[[], Counters | None],
        clock: Clock,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._load, self._find, self._clock, self._pause = load, find, clock, pause

    async def run(self) -> None:
        """Measure until cancelled. Counters are looked for when the first attempt runs; ends where there are none."""
        busy, counters = asyncio.Event(), None
        self._load.wake = busy.set
        try:
            await busy.wait()
            counters = await asyncio.to_thread(self._find)
            while counters is not None:
                await busy.wait()
                busy.clear()
                await self._while_busy(counters)
        finally:
            self._load.wake = None
            self._load.lose()
            if counters is not None:
                counters.close()

    async def _while_busy(self, counters: Counters) -> None:
        read_j = await asyncio.to_thread(counters.read)
        if read_j is None:
            return
        self._load.begin(self._clock.monotonic_s(), read_j)
        while self._load.running:
            await self._pause(_EVERY_S)
            read_j = await asyncio.to_thread(counters.read)
            if read_j is None:
                self._load.lose()
                return
            self._load.tick(self._clock.monotonic_s(), read_j)
