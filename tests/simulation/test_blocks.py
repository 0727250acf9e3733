"""Memory, counted in allocated blocks: waves of requests leave nothing behind, and one object a request would be seen.

Counting blocks has no noise to speak of, but it is blind to what C code allocates; windows of real load watch that.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any
from unittest import mock

from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest
from freehold.engines.event_relay import EventRelay
from freehold.gateway.attempt import AttemptRun
from freehold.gateway.ladder import Climb
from freehold.gateway.pipeline import Pipeline
from freehold.net.answer import Answer
from tests.simulation.clients import Client
from tests.simulation.house import SimHouse
from tests.simulation.loop import SimLoop
from tests.simulation.run import QUIET_S, open_house, simulate
from tests.simulation.world import World

CLIENTS = 10
WARM_UP_WAVES = 90
"""Until all that is remembered for callers, routes and their fortunes has been seen."""

LOW_WAVES = 12
"""The lowest of so many counts is taken: what happens to be at rest differs from wave to wave."""

WAVES = 60
BLOCKS_A_REQUEST = 0.1


async def _wave(world: World, house: SimHouse) -> int:
    """The same clients as in every wave, with all that may go wrong between them and the upstreams."""
    clients = (Client(world, house, number).run() for number in range(CLIENTS))
    await asyncio.gather(*(house.loop.create_task(client, name="sim wave") for client in clients))
    await asyncio.sleep(QUIET_S)
    asked = len(world.asks)
    house.loop.steps = 0
    for each in (world, house, house.audit, house.receipts, house.loop.network):
        each.forget()
    return asked


async def _low(world: World, house: SimHouse, waves: int) -> tuple[int, int]:
    """Fewest blocks after any of some waves, and the requests of all."""
    counts: list[int] = []
    requests = 0
    for _ in range(waves):
        requests += await _wave(world, house)
        gc.collect()
        sys._clear_type_cache()  # holds on to up to 4,096 names by which C code looked up attributes
        counts.append(sys.getallocatedblocks())
    return min(counts), requests


def growth(*, warm_up: int, low: int, between: int) -> float:
    """Blocks that each request leaves behind."""
    grown: list[float] = []

    async def scenario(world: World, loop: SimLoop) -> list[str]:
        house = await open_house(world, loop, slots=4, drain_s=1, total_s=15)
        for _ in range(warm_up):
            await _wave(world, house)
        before, _ = await _low(world, house, low)
        requests = sum([await _wave(world, house) for _ in range(between)])
        after, more = await _low(world, house, low)
        grown.append((after - before) / (requests + more))
        await house.stop()
        return []

    assert not simulate(1, scenario).findings
    return grown[0]


def test_requests_leave_nothing_behind() -> None:
    assert growth(warm_up=WARM_UP_WAVES, low=LOW_WAVES, between=WAVES) < BLOCKS_A_REQUEST


def left_to_the_collector(*, warm_up: int, waves: int) -> set[type]:
    """Kinds of objects of ours that go only when the cycle collector comes, after requests of every fate."""
    found: set[type] = set()

    async def scenario(world: World, loop: SimLoop) -> list[str]:
        house = await open_house(world, loop, slots=4, drain_s=1, total_s=15)
        for _ in range(warm_up):
            await _wave(world, house)
        gc.collect()
        gc.disable()
        try:
            for _ in range(waves):
                await _wave(world, house)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            found.update(map(type, gc.garbage))
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
        await house.stop()
        return []

    assert not simulate(1, scenario).findings
    return found


def test_the_cycle_collector_finds_nothing_of_a_request() -> None:
    """It comes so seldom that all which it is needed for piles up: here are no requests, whatever became of them.

    Connections are not asked for: the simulation's own transports go in cycles with them.
    """
    found = left_to_the_collector(warm_up=5, waves=20)
    assert not found & {Answer, AttemptRun, EventRelay, Climb, InferenceRequest, Receipt}


def test_one_object_a_request_would_be_seen() -> None:
    kept: list[bytes] = []
    original = Pipeline.answer

    def leaking(self: Pipeline, *args: Any, **more: Any) -> Any:
        kept.append(bytes(31))
        return original(self, *args, **more)

    with mock.patch.object(Pipeline, "answer", leaking):
        assert growth(warm_up=20, low=4, between=10) > BLOCKS_A_REQUEST
