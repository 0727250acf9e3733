"""At three times its capacity a deployment still does its work, and those it cannot serve are told at once."""

from __future__ import annotations

import heapq
import random

import pytest

from freehold.domain.turn import Turn
from freehold.serving.queue import Arrival, SlotQueue

TURN = Turn(tenant="t")

SLOTS = 4
HOLD_S = 2.0
PATIENCE_S = 10.0
RUN_S = 2_000.0


@pytest.mark.parametrize("seed", range(3))
def test_goodput_at_three_times_the_load(seed: int) -> None:
    chance = random.Random(seed)
    queue = SlotQueue(slots=SLOTS, waiting_max=64)
    rate = 3 * SLOTS / HOLD_S
    waiting: dict[int, float] = {}  # until when, as the timers of ``admission`` have it
    ends: list[tuple[float, int]] = []
    done = gave_up = refused = 0
    now_s, ticket = 0.0, 0

    def start(tickets: list[int], at_s: float) -> None:
        for each in tickets:
            waiting.pop(each, None)
            heapq.heappush(ends, (at_s + chance.uniform(0.5, 1.5) * HOLD_S, each))

    def until(at_s: float) -> None:
        nonlocal done, gave_up
        for each in [each for each, until_s in waiting.items() if until_s < at_s]:
            del waiting[each]
            gave_up += 1
            start(queue.leave(each, now_s=at_s, served=False), at_s)
        while ends and ends[0][0] <= at_s:
            end_s, over = heapq.heappop(ends)
            done += 1
            start(queue.leave(over, now_s=end_s), end_s)

    while now_s < RUN_S:
        now_s += chance.expovariate(rate)
        until(now_s)
        ticket += 1
        arrival = queue.arrive(ticket, TURN, now_s=now_s, deadline_s=now_s + PATIENCE_S).arrival
        if arrival is Arrival.STARTS:
            start([ticket], now_s)
        elif arrival is Arrival.WAITS:
            waiting[ticket] = now_s + PATIENCE_S
        else:
            refused += 1
    assert done >= 0.8 * SLOTS / HOLD_S * RUN_S
    assert gave_up <= 0.1 * ticket, "waiting in vain is the exception"
    assert refused >= 0.5 * ticket
