"""Work that gives way when it is asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from freehold.domain.deployment import Deployment
from freehold.domain.ports import PriceBook
from freehold.domain.response import Usage
from freehold.domain.zones import DEVICE, LAN
from freehold.gateway.pricing import list_price

_OWN_ZONES = frozenset({DEVICE, LAN})
_NONE = Usage()


class Yielding:
    """Made in the task that does the work, which whoever needs its place may ask to give it up."""

    __slots__ = ("_asked", "_task")

    def __init__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("needs a task")
        self._task = task
        self._asked = False

    @property
    def is_asked(self) -> bool:
        """Whether somebody asked."""
        return self._asked

    def until_asked(self, write: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
        """Write as long as nobody has asked: events may come between that and the tick in which the work ends."""
        return lambda events: self._asked or write(events)

    def ask(self) -> None:
        """Have the work end: it is cancelled as if its client had left. Once."""
        if not self._asked:
            self._asked = True
            self._task.cancel()

    async def let(self, work: Awaitable[None]) -> bool:
        """Do the work; whether it was given up because somebody asked. Any other cancellation goes its way."""
        try:
            await work
        except asyncio.CancelledError:
            if not self._asked or self._task.uncancel():
                raise
            return True
        except BaseException:
            if self._asked:
                self._task.uncancel()
            raise
        if self._asked:
            self._task.uncancel()
        return False


def costs_nothing(deployment: Deployment, prices: PriceBook, *, unix_ms: int) -> bool:
    """Whether what was generated may be given up: at home, and nobody sends a bill for it."""
    return deployment.zone in _OWN_ZONES and list_price(prices, deployment, usage=_NONE, unix_ms=unix_ms) is None
