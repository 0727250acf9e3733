"""Requests that nobody waits for, among models that share memory: they use what is there, and keep nothing there."""

from __future__ import annotations

import asyncio

from freehold.domain.turn import Turn
from freehold.domain.zones import DEVICE
from freehold.serving.admission import SlotAdmission
from freehold.serving.placed_admission import PlacedAdmission
from tests.support.placing import FakeLoader, LoopClock, placer_of
from tests.support.routing import deployment
from tests.unit.serving.test_placing import ask, now_s, run

SLOTS = {name: deployment(name, DEVICE) for name in ("user", "shadowed", "new")}


def test_what_nobody_waits_for_makes_a_model_no_likelier_to_be_needed() -> None:
    """A shadow every second is no reason to keep a model before one that a user asks for twice a minute."""

    async def scenario() -> None:
        loader = FakeLoader({"user": 4.0, "shadowed": 4.0, "new": 4.0})
        placer = placer_of(loader)
        slots = PlacedAdmission(
            SlotAdmission(clock=LoopClock()), placer, models=lambda: {each: each for each in SLOTS}, clock=LoopClock()
        )

        async def asks(name: str, *, every_s: float, awaited: bool) -> None:
            while True:
                turn = Turn(tenant="t", awaited=awaited)
                slot = slots.try_admit(SLOTS[name], turn) or await slots.admit(
                    SLOTS[name], turn, deadline_s=now_s() + 600, told=lambda _: None
                )
                await asyncio.sleep(0.1)
                slot.release()
                await asyncio.sleep(every_s)

        asking = [
            asyncio.create_task(asks("user", every_s=30.0, awaited=True)),
            asyncio.create_task(asks("shadowed", every_s=1.0, awaited=False)),
        ]
        await asyncio.sleep(314)
        assert placer.entry("shadowed").soon(now_s()) == 0.0
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        began_s = now_s()
        await ask(placer, "new", within_s=60)
        assert [each for each in loader.said if each.startswith("unload")] == ["unload shadowed"]
        assert now_s() - began_s < 4.0, "and it is not waited for, either"
        await placer.close()

    run(scenario)
