"""When everything fails at once, and when three times too much is asked: the gateway adds no fuel, and serves what it can."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from tests.simulation.clients import Client
from tests.simulation.house import TENANTS, SimHouse
from tests.simulation.loop import SimLoop
from tests.simulation.run import open_house, simulate
from tests.simulation.world import Ask, World

AMPLIFICATION_MAX = 1.2
GOODPUT_MIN = 0.8
SERVICE_S = 0.2
SLOTS = 4
CAPACITY_PER_S = SLOTS / SERVICE_S
STORM_S = 15.0
RETRIES_PER_S = 10.0
"""What the retry budget allows besides its share of the requests, so that a quiet server can be retried too."""

OUTAGE_PER_S = 50.0
OUTAGE_S = 5.0


def _ask(number: int, *, route: str, patience_s: float | None) -> Ask:
    return Ask(
        tag=f"tag-{number}-0",
        tenant=TENANTS[number % len(TENANTS)],
        kind="good",
        route=route,
        stream=number % 2 == 0,
        patience_s=patience_s,
    )


async def _storm(
    world: World, house: SimHouse, *, per_s: float, seconds: float, route: str, patience_s: float | None
) -> None:
    """Clients that come at a rate, whatever becomes of those before them."""
    chance = world.chance("storm")
    running: list[asyncio.Task[None]] = []
    for number in range(int(per_s * seconds)):
        await asyncio.sleep(chance.expovariate(per_s))
        asked = Client(world, house, number).once(_ask(number, route=route, patience_s=patience_s))
        running.append(house.loop.create_task(asked, name="sim storm"))
    await asyncio.gather(*running)


OUTAGES: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]] = {
    "refused": ({"refuse": 1.0}, {"good": 1.0}),
    "reset": ({"accept": 1.0}, {"reset_before": 1.0}),
    "status 500": ({"accept": 1.0}, {"status_500": 1.0}),
    "closes after each answer": ({"accept": 1.0}, {"fin_before": 1.0}),
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_a_total_outage_is_not_made_worse(outage: str) -> None:
    attempts: list[int] = []

    async def scenario(world: World, loop: SimLoop) -> list[str]:
        world.connect, world.answer = OUTAGES[outage]
        house = await open_house(world, loop, slots=16, drain_s=1)
        await _storm(world, house, per_s=OUTAGE_PER_S, seconds=OUTAGE_S, route="plain", patience_s=None)
        attempts.extend(len(receipt.attempts) for receipt in house.receipts.offered)
        await house.stop()
        return []

    world, _, findings = simulate(1, scenario)
    assert not findings
    assert len(attempts) == len(world.asks)
    assert sum(attempts) <= AMPLIFICATION_MAX * len(world.asks) + RETRIES_PER_S * (OUTAGE_S + 2.0)
    assert all(ask.status >= 429 for ask in world.asks)


def test_three_times_too_much_still_leaves_most_of_the_capacity_to_good_answers() -> None:
    async def scenario(world: World, loop: SimLoop) -> list[str]:
        world.connect, world.answer = {"accept": 1.0}, {"steady": 1.0}
        house = await open_house(world, loop, slots=SLOTS, drain_s=1)
        await _storm(world, house, per_s=3 * CAPACITY_PER_S, seconds=STORM_S, route="plain", patience_s=10.0)
        await house.stop()
        return []

    world, _, findings = simulate(1, scenario)
    assert not findings
    good = sum(ask.ended == "complete" and ask.status == 200 for ask in world.asks)
    assert good >= GOODPUT_MIN * CAPACITY_PER_S * STORM_S
