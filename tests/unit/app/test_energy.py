"""The meter reads while anything runs, shares what it read, and rests otherwise."""

from __future__ import annotations

import asyncio

from freehold.app.energy import EnergyMeter
from freehold.gateway.load import DeviceLoad


class Machine:
    """Draws 40 W; its clock moves where the meter pauses."""

    def __init__(self, *, readable: bool = True) -> None:
        self.now_s, self.readable, self.reads, self.closed = 10.0, readable, 0, 0
        self.paused = asyncio.Event()

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_ms(self) -> int:
        return 0

    def find(self) -> Machine | None:
        return self if self.readable else None

    def read(self) -> float | None:
        self.reads += 1
        return 40.0 * self.now_s if self.readable else None

    def close(self) -> None:
        self.closed += 1

    async def pause(self, seconds: float) -> None:
        self.paused.set()
        await asyncio.sleep(0)
        self.now_s += seconds

    async def ticks(self, count: int) -> None:
        for _ in range(count):
            self.paused.clear()
            await self.paused.wait()


def test_it_measures_while_something_runs_and_rests_otherwise() -> None:
    async def scenario() -> None:
        machine, load = Machine(), DeviceLoad()
        task = asyncio.ensure_future(EnergyMeter(load, find=machine.find, clock=machine, pause=machine.pause).run())
        await asyncio.sleep(0)
        assert machine.reads == 0
        for _ in range(2):
            ticket = load.enter(machine.now_s)
            await machine.ticks(4)
            assert load.leave(ticket, machine.now_s).measured_mw == 40_000
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert machine.closed == 1
        assert load.wake is None

    asyncio.run(scenario())


def test_a_counter_that_fails_leaves_the_rest_estimated() -> None:
    async def scenario() -> None:
        machine, load = Machine(), DeviceLoad()
        task = asyncio.ensure_future(EnergyMeter(load, find=machine.find, clock=machine, pause=machine.pause).run())
        await asyncio.sleep(0)
        ticket = load.enter(machine.now_s)
        await machine.ticks(3)
        machine.readable = False
        for _ in range(1_000):
            if not load.measures:
                break
            await asyncio.to_thread(machine.unix_ms)
        assert load.leave(ticket, machine.now_s).measured_mw is None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())


def test_where_nothing_can_be_read_it_ends() -> None:
    async def scenario() -> None:
        machine, load = Machine(readable=False), DeviceLoad()
        task = asyncio.ensure_future(EnergyMeter(load, find=machine.find, clock=machine).run())
        await asyncio.sleep(0)
        ticket = load.enter(1.0)
        await task
        assert load.wake is None
        assert load.leave(ticket, 2.0).measured_mw is None
        assert machine.reads == 0

    asyncio.run(scenario())
