import asyncio

import pytest

from freehold.net.deadlines import Expiry, Watchdog


def test_a_deadline_that_moves_costs_no_timer() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        looked: list[float] = []
        until_s = loop.time() + 0.08
        done = loop.create_future()

        def look() -> float | None:
            looked.append(loop.time())
            if loop.time() + 0.002 < until_s:
                return until_s
            done.set_result(None)
            return None

        dog = Watchdog(loop, look)
        dog.no_later_than(loop.time() + 0.04)
        for _ in range(100):
            dog.no_later_than(until_s)
        await done
        assert len(looked) == 2

    asyncio.run(main())


def test_an_earlier_deadline_wins_and_stop_stops() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        dog = Watchdog(loop, lambda: done.set_result(None))
        dog.no_later_than(loop.time() + 60.0)
        dog.no_later_than(loop.time() + 0.01)
        await asyncio.wait_for(done, 1.0)
        never = Watchdog(loop, lambda: pytest.fail("stopped"))
        never.no_later_than(loop.time())
        never.stop()
        never.stop()
        await asyncio.sleep(0.01)

    asyncio.run(main())


def test_expiry_ends_the_wait() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        expiry = Expiry(loop, loop.time() + 0.01)
        with pytest.raises(TimeoutError), expiry:
            await loop.create_future()
        assert expiry.fired
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(0)

    asyncio.run(main())


def test_what_ends_in_time_is_left_alone() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with Expiry(loop, loop.time() + 0.01) as expiry:
            await asyncio.sleep(0)
        await asyncio.sleep(0.03)
        assert not expiry.fired
        with pytest.raises(ValueError, match="mine"), Expiry(loop, loop.time() + 1.0):
            raise ValueError("mine")

    asyncio.run(main())


def test_a_cancellation_from_outside_stays_one() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def wait(after_s: float) -> None:
            with Expiry(loop, loop.time() + after_s):
                await loop.create_future()

        outside = asyncio.create_task(wait(60.0))
        await asyncio.sleep(0)
        outside.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outside
        both = asyncio.create_task(wait(0.0))
        await asyncio.sleep(0)
        loop.call_soon(both.cancel)
        with pytest.raises(asyncio.CancelledError):
            await both

    asyncio.run(main())
