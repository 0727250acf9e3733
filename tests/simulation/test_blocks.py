"""Memory, counted in allocated blocks: waves of requests leave nothing behind, and one object a request would be seen.

Counting blocks has no noise to speak of, but it is blind to what C code allocates; windows of real load watch that.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any
from unittest import mock

from freehold.gateway.pipeline import Pipeline
from tests.simulation.clients import Client
from tests.simulation.house import SimHouse
from tests.simulation.loop import SimLoop
from tests.simulation.run import QUIET_S, open_house, simulate
from tests.simulation.world import World

CLIENTS = 25
WARM_UP_WAVES = 10
WAVES = 10
BLOCKS_A_REQUEST = 0.1


async def _wave(world: World, house: SimHouse) -> int:
    """The same clients as in every wave, with all that may go wrong between them and the upstreams."""
    clients = (Client(world, house, number).run() for number in range(CLIENTS))
    await asyncio.gather(*(house.loop.create_task(client, name="sim wave") for client in clients))
    await asyncio.sleep(QUIET_S)
    asked = len(world.asks)
    for each in (world, house, house.audit, house.receipts, house.loop.network):
        each.forget()
    return asked


def growth() -> float:
    """Blocks that each request leaves behind."""
    grown: list[float] = []

    async def scenario(world: World, loop: SimLoop) -> list[str]:
        house = await open_house(world, loop, slots=4, drain_s=1, total_s=15)
        for _ in range(WARM_UP_WAVES):
            await _wave(world, house)
        gc.collect()
        before, requests = sys.getallocatedblocks(), 0
        for _ in range(WAVES):
            requests += await _wave(world, house)
        gc.collect()
        grown.append((sys.getallocatedblocks() - before) / requests)
        await house.stop()
        return []

    assert not simulate(1, scenario).findings
    return grown[0]


def test_requests_leave_nothing_behind() -> None:
    assert growth() < BLOCKS_A_REQUEST


def test_one_object_a_request_would_be_seen() -> None:
    kept: list[bytes] = []
    original = Pipeline.answer

    def leaking(self: Pipeline, *args: Any, **more: Any) -> Any:
        kept.append(bytes(31))
        return original(self, *args, **more)

    with mock.patch.object(Pipeline, "answer", leaking):
        assert growth() > BLOCKS_A_REQUEST
