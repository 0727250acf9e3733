import asyncio
import threading
from collections.abc import Callable

import pytest

from freehold.net.shared import SharedWork
from freehold.net.threads import Threads


def with_threads(scenario: Callable[[Threads], object]) -> None:
    async def main() -> None:
        threads = Threads()
        try:
            await scenario(threads)  # type: ignore[misc]
        finally:
            threads.close()
            threads.close()

    asyncio.run(main())


def test_all_who_ask_share_one_run() -> None:
    runs: list[int] = []

    async def scenario(threads: Threads) -> None:
        work = SharedWork(lambda: runs.append(1) or len(runs), threads=threads, keep_s=60.0)
        assert await asyncio.gather(*(work.get() for _ in range(10))) == [1] * 10
        assert await work.get() == 1

    with_threads(scenario)


def test_a_failure_is_told_to_all_and_not_kept() -> None:
    runs: list[int] = []

    def compute() -> int:
        runs.append(1)
        if len(runs) == 1:
            raise OSError("not yet")
        return 7

    async def scenario(threads: Threads) -> None:
        work = SharedWork(compute, threads=threads, keep_s=60.0)
        results = await asyncio.gather(work.get(), work.get(), return_exceptions=True)
        assert [str(result) for result in results] == ["not yet", "not yet"]
        assert await work.get() == 7

    with_threads(scenario)


def test_an_old_value_is_made_anew() -> None:
    runs: list[int] = []

    async def scenario(threads: Threads) -> None:
        work = SharedWork(lambda: runs.append(1) or len(runs), threads=threads, keep_s=0.0)
        assert [await work.get(), await work.get()] == [1, 2]

    with_threads(scenario)


def test_who_leaves_does_not_take_the_work_along() -> None:
    go_on = threading.Event()

    async def scenario(threads: Threads) -> None:
        work = SharedWork(lambda: go_on.wait(5.0), threads=threads, keep_s=60.0)
        leaves, stays = asyncio.create_task(work.get()), asyncio.create_task(work.get())
        await asyncio.sleep(0)
        leaves.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaves
        go_on.set()
        assert await stays is True

    with_threads(scenario)
