"""An event loop whose clock jumps to the next timer: hours pass in milliseconds, in the same order every time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Never waits. A scenario that would wait for ever fails instead."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 1_000.0

    def time(self) -> float:
        return self._now_s

    def _run_once(self) -> None:
        if not self._ready:
            due = [timer.when() for timer in self._scheduled if not timer.cancelled()]
            if not due:
                raise RuntimeError("everybody waits and no timer is set")
            self._now_s = max(self._now_s, min(due))
        super()._run_once()


def run_virtual(scenario: Callable[[], Awaitable[T]]) -> T:
    """Run ``scenario`` in virtual time; no task may be left over."""

    async def main() -> T:
        before = asyncio.all_tasks()
        result = await scenario()
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - before
        assert not left, left
        return result

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())
