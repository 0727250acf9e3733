"""A child that is asked: begun once, tried again later, and never left computing what nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from freehold.domain.errors.upstream import UpstreamBroken
from freehold.engines.process.asked import RETRY_S, AskedChild, ChildDiedError, ChildDownError
from freehold.engines.process.jail import Measure
from freehold.engines.process.plan import Plan
from tests.support.virtual_time import run_virtual
from tests.unit.engines.process.fake_child import TIMES, FakeChild


@dataclass
class Jailed(FakeChild):
    """A scripted child that is asked."""

    jail: tuple[Measure, ...] = ()


class LoopClock:
    def unix_ms(self) -> int:
        return 0

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()


@dataclass
class Rig:
    """A child and all that were started."""

    refuses: bool = False
    children: list[Jailed] = field(default_factory=list)

    def made(self) -> AskedChild[Jailed]:
        async def launch() -> Jailed:
            child = Jailed(pid=len(self.children), plan=Plan(slots=1, context_tokens=0), refuses=self.refuses)
            self.children.append(child)
            return child

        return AskedChild(name="tiny", launch=launch, clock=LoopClock(), times=TIMES, jitter=lambda: 1.0)


async def pid(child: Jailed) -> int:
    return child.pid


async def dies(child: Jailed) -> int:
    child.end(1, "out of ideas")
    raise UpstreamBroken(deployment="tiny", reason="its process ended")


def run(scenario: Callable[[Rig, AskedChild[Jailed]], Awaitable[None]], *, refuses: bool = False) -> None:
    async def main() -> None:
        rig = Rig(refuses=refuses)
        asked = rig.made()
        try:
            await scenario(rig, asked)
        finally:
            await asked.close()

    run_virtual(main)


def test_whoever_asks_first_starts_it_for_all() -> None:
    async def scenario(rig: Rig, asked: AskedChild[Jailed]) -> None:
        assert await asyncio.gather(*(asked.ask(pid, wait_s=5) for _ in range(3))) == [0, 0, 0]
        assert len(rig.children) == 1

    run(scenario)


def test_one_that_cannot_start_is_tried_again_after_a_while() -> None:
    async def scenario(rig: Rig, asked: AskedChild[Jailed]) -> None:
        for _ in range(3):
            with pytest.raises(ChildDownError):
                await asked.ask(pid, wait_s=5)
        assert len(rig.children) == 1
        rig.refuses = False
        await asyncio.sleep(RETRY_S + 1)
        assert await asked.ask(pid, wait_s=5) == 1

    run(scenario, refuses=True)


def test_who_asks_after_a_death_waits_for_another_one() -> None:
    async def scenario(rig: Rig, asked: AskedChild[Jailed]) -> None:
        with pytest.raises(ChildDiedError, match=r"its process ended .*1"):
            await asked.ask(dies, wait_s=5)
        assert await asked.ask(pid, wait_s=5) == 1

    run(scenario)


@pytest.mark.parametrize("spoilt", [True, False])
def test_what_nobody_waits_for_is_ended_only_where_it_stands_in_the_way(spoilt: bool) -> None:
    async def scenario(rig: Rig, asked: AskedChild[Jailed]) -> None:
        async def hangs(child: Jailed) -> int:
            del child
            return await asyncio.get_running_loop().create_future()

        asking = asyncio.create_task(asked.ask(hangs, wait_s=5, is_spoilt=lambda: spoilt))
        await asyncio.sleep(3)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert await asked.ask(pid, wait_s=20) == int(spoilt)

    run(scenario)


def test_a_closed_one_starts_nothing() -> None:
    async def scenario(rig: Rig, asked: AskedChild[Jailed]) -> None:
        await asked.close()
        with pytest.raises(ChildDownError, match="closed"):
            await asked.ask(pid, wait_s=5)
        assert not rig.children

    run(scenario)
