"""What becomes of a request whose deployment is busy or down, as its route says, and what the receipt tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from freehold.domain.decisions import Room
from freehold.domain.deployment import Deployment, Instead, Uncalibrated
from freehold.domain.errors.admission import NoRoom
from freehold.domain.errors.upstream import UpstreamUnreachable
from freehold.domain.place import Place
from freehold.domain.turn import Turn
from freehold.domain.zones import WORLD
from tests.support.fake_engine import FakeAnswer
from tests.support.gateway import GOOD_KEY, CountedSlot, MemorySink, OpenAdmission
from tests.unit.gateway.test_pipeline import chat, engine, house, started


@dataclass
class BusyAdmission(OpenAdmission):
    """Has no free slot at the deployments named."""

    busy: frozenset[str] = frozenset()
    waited_for: list[str] = field(default_factory=list[str])

    def try_admit(self, deployment: Deployment, turn: Turn) -> CountedSlot | None:
        return None if deployment.name in self.busy else super().try_admit(deployment, turn)

    async def admit(
        self, deployment: Deployment, turn: Turn, *, deadline_s: float, told: Callable[[Place], None]
    ) -> CountedSlot:
        self.waited_for.append(deployment.name)
        return await super().admit(deployment, turn, deadline_s=deadline_s, told=told)

    def room(self, deployment: Deployment, turn: Turn, *, ready: bool, deadline_s: float) -> Room:
        return Room(ready=ready, free=deployment.name not in self.busy, waits=True)


def busy_house(*busy: str, **route: object):
    at = house(engine("small"), engine("large"), uncalibrated=Uncalibrated.ACCEPT, **route)
    at.admission = BusyAdmission(busy=frozenset(busy))
    return at


def test_who_says_nothing_waits() -> None:
    at = busy_house("small")
    assert started(asyncio.run(at.ask(chat()))) == ["small"]
    assert at.admission.waited_for == ["small"]
    assert at.receipt.detours == ()


def test_an_overflow_goes_on_in_the_plans_order_and_is_told() -> None:
    at = busy_house("small", when_busy=(Instead.OVERFLOW, Instead.QUEUE))
    assert started(asyncio.run(at.ask(chat()))) == ["large"]
    assert at.receipt.detours == ("small is busy: overflow to large",)
    assert [attempt.deployment for attempt in at.receipt.attempts] == ["large"]


def test_a_route_may_refuse_rather_than_queue() -> None:
    at = busy_house("small", "large", when_busy=(Instead.OVERFLOW,))
    with pytest.raises(NoRoom):
        asyncio.run(at.ask(chat()))
    assert at.receipt.error_code == "FH-ADMIT-007"
    assert at.receipt.attempts == ()


def test_a_deployment_that_is_down_is_passed_over_where_the_route_says_so() -> None:
    at = busy_house(when_down=(Instead.OVERFLOW,))
    at.engines["small"].ready = False  # type: ignore[attr-defined] - a scripted engine
    assert started(asyncio.run(at.ask(chat()))) == ["large"]


def test_no_overflow_goes_farther_unasked() -> None:
    at = house(engine("small"), engine("cloud", zone=WORLD), when_busy=(Instead.OVERFLOW,))
    at.admission = BusyAdmission(busy=frozenset({"small"}))
    with pytest.raises(NoRoom):
        asyncio.run(at.ask(chat(label="public")))


def test_retries_stay_within_their_budget() -> None:
    unreachable = UpstreamUnreachable(deployment="small", reason="connection refused")
    unreachable.reached_model = "no"
    small = engine("small", default=FakeAnswer(error=unreachable))
    at = house(small)
    pipeline = at.pipeline()

    async def storm() -> None:
        for _ in range(200):
            with pytest.raises(UpstreamUnreachable):
                await pipeline.answer(chat(), pipeline.authenticate(GOOD_KEY), MemorySink())

    asyncio.run(storm())
    assert len(small.calls) <= 200 * 1.2 + 10
