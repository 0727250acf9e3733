"""Whoever somebody waits for comes first: a shadow that computes here ends when a request comes, and is asked anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from freehold.domain.decisions import Outcome
from freehold.domain.deployment import Route
from freehold.domain.errors.engine import EngineCrashed
from freehold.domain.zones import DEVICE, LAN
from freehold.gateway.pipeline import Pipeline
from freehold.gateway.shadows import Bounds, Seen, Shadows
from freehold.serving.admission import SlotAdmission
from freehold.serving.placed_admission import PlacedAdmission
from tests.support.fake_engine import FakeAnswer, FakeEngine
from tests.support.placing import FakeLoader, LoopClock, placer_of
from tests.support.routing import deployment
from tests.support.virtual_time import run_virtual
from tests.unit.gateway.test_shadows import Bench

OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
ROUTE = Route(name="auto", deployments=("small",), canary="next", canary_share=1.0)
LONG_S = 30.0


class Making:
    """A gateway whose canary takes long to answer, and what is seen of it."""

    def __init__(self, *, at_once: int = 1) -> None:
        self.small = FakeEngine(deployment("small", DEVICE, digest=OLD), default=FakeAnswer(text="blue"))
        self.following = FakeEngine(
            replace(deployment("next", DEVICE, digest=NEW), slots=1),
            default=FakeAnswer(text="blue", before_piece=self._works),
        )
        bench = Bench(
            route=ROUTE, engines={"small": self.small, "next": self.following}, bounds=Bounds(at_once=at_once)
        )
        self.bench, self.lasts_s = bench, LONG_S
        self.seen: list[Seen] = []
        bench.shadows = Shadows(replace(bench.shadows._around, seen=self._see), bench.bounds)
        bench.learning._shadows = bench.shadows
        self.task: asyncio.Task[None] | None = None

    async def _works(self, _piece: int) -> None:
        await asyncio.sleep(self.lasts_s)

    async def _see(self, seen: Seen) -> None:
        self.seen.append(seen)

    def admits(self, admission: SlotAdmission | PlacedAdmission) -> None:
        bench = self.bench
        runtime = bench.house.runtime()
        services = replace(bench.house.services(), learn=bench.learning, admission=admission)
        bench.pipeline = Pipeline(services=services, runtime=lambda: runtime)

    async def begun(self) -> None:
        """A client was answered, and its canary runs."""
        before = len(self.following.calls)
        await self.bench.ask()
        self.starts()
        await until(lambda: len(self.following.calls) > before and self.following.open_calls == 1)

    def starts(self) -> None:
        if self.task is None:
            self.task = asyncio.ensure_future(self.bench.shadows.run())

    async def ends(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def until(done: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if done():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it never came")


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    run_virtual(scenario)


def now_s() -> float:
    return asyncio.get_running_loop().time()


def without_canary(made: Making) -> None:
    """What follows is answered and not compared."""
    made.bench.lots[:] = [1.0] * 50


def test_a_canary_ends_when_somebody_comes_and_is_asked_anew_and_counted_once() -> None:
    async def scenario() -> None:
        made = Making()
        await made.begun()
        without_canary(made)
        came_s = now_s()
        await made.bench.ask(model="other")
        assert now_s() == came_s, "nobody waits for it"
        assert (made.following.open_calls, made.following.aborted_calls) == (0, 1)
        assert made.seen == []
        await until(lambda: bool(made.seen))
        assert [(each.new_digest, each.alike) for each in made.seen] == [(NEW, True)]
        assert made.bench.told == [("next", "repeated"), ("next", "asked")]
        assert [each.outcome for each in made.bench.asked] == [Outcome.CANCELLED, Outcome.COMPLETE]
        assert len({each.id for each in made.bench.asked}) == 2
        assert made.bench.shadows.waiting == 0
        await made.ends()

    run(scenario)


def test_the_only_slot_is_the_users_at_once() -> None:
    async def scenario() -> None:
        made = Making()
        made.admits(SlotAdmission(clock=LoopClock()))
        await made.begun()
        without_canary(made)
        made.lasts_s = 1.0
        came_s = now_s()
        receipt = await made.bench.ask(model="next")
        assert receipt.attempts[0].queue_ms == 0
        assert now_s() - came_s < LONG_S / 2
        await until(lambda: bool(made.seen))
        await made.ends()

    run(scenario)


def test_the_memory_is_the_users_at_once() -> None:
    """The canary's model leaves as soon as it makes way, though it was about to answer for long."""

    async def scenario() -> None:
        loader = FakeLoader({"next": 6.0, "other": 6.0}, load_s=2.0)
        placer, made = placer_of(loader), Making()
        names = {"next": "next", "other": "other"}
        made.admits(PlacedAdmission(SlotAdmission(clock=LoopClock()), placer, models=lambda: names, clock=LoopClock()))
        await made.begun()
        without_canary(made)
        began_s = now_s()
        made.lasts_s = 10_000.0
        await made.bench.ask(model="other")
        assert now_s() - began_s < LONG_S / 2
        assert loader.said[-3:] == ["unload next", "load other", "loaded other"]
        await made.ends()
        await placer.close()

    run(scenario)


def test_a_canary_is_no_reason_to_keep_its_model() -> None:
    """Its model leaves for the next user, however often it was asked: nobody waits for it to come back."""

    async def scenario() -> None:
        loader = FakeLoader({"next": 6.0, "small": 2.0})
        placer, made = placer_of(loader), Making()
        made.lasts_s = 0.1
        names = {"next": "next", "small": "small"}
        made.admits(PlacedAdmission(SlotAdmission(clock=LoopClock()), placer, models=lambda: names, clock=LoopClock()))
        for _ in range(5):
            await made.bench.ask()
            made.starts()
        await until(lambda: len(made.seen) == 5)
        assert placer.entry("next").loads == 1
        assert placer.entry("next").soon(now_s()) == 0.0
        assert placer.entry("small").soon(now_s()) > 0.0
        await made.ends()
        await placer.close()

    run(scenario)


def test_who_comes_in_the_tick_in_which_one_is_about_to_begin_is_not_behind_it() -> None:
    async def scenario() -> None:
        made = Making()
        await made.bench.ask()
        made.bench.shadows._start()
        made.bench.shadows.make_way()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert made.following.calls == []
        made.starts()
        await until(lambda: bool(made.seen))
        assert len(made.following.calls) == 1
        await made.ends()

    run(scenario)


def test_one_that_is_cut_short_time_and_again_counts_as_one_that_cannot_be_compared() -> None:
    """Not as none: long answers are cut short more often, and those that remain would speak for the new version."""

    async def scenario() -> None:
        made = Making()
        await made.begun()
        without_canary(made)
        for number in range(4):
            await until(lambda: made.following.open_calls == 1)
            assert made.seen == [], number
            await made.bench.ask(model="other")
        await until(lambda: bool(made.seen))
        assert [(each.old_digest, each.new_digest, each.alike) for each in made.seen] == [(OLD, NEW, None)]
        assert made.bench.told == [("next", "repeated")] * 3 + [("next", "dropped")]
        assert made.bench.shadows.waiting == 0
        await made.ends()

    run(scenario)


def test_one_that_was_begun_and_finds_no_quiet_moment_again_is_not_left_out() -> None:
    async def scenario() -> None:
        made = Making()
        await made.begun()
        without_canary(made)
        made.bench.may_run = False
        await made.bench.ask(model="other")
        made.bench.house.clock.now_s += 61
        await until(lambda: bool(made.seen))
        assert [each.alike for each in made.seen] == [None]
        await made.ends()

    run(scenario)


def test_no_text_is_held_for_longer_behind_one_that_was_given_more_time() -> None:
    async def scenario() -> None:
        made = Making()
        await made.begun()
        await made.bench.ask(model="auto")  # has the first make way, and waits behind it
        await until(lambda: made.bench.shadows.waiting == 2)
        made.bench.may_run = False
        made.bench.house.clock.now_s += 50
        made.bench.shadows.make_way()
        await until(lambda: len(made.bench.shadows._waiting) == 2)
        made.bench.house.clock.now_s += 15
        await until(lambda: ("next", "dropped") in made.bench.told)
        assert [each.tries for each in made.bench.shadows._waiting] == [2]
        await made.ends()

    run(scenario)


def test_what_the_new_version_fails_at_is_not_left_out() -> None:
    async def scenario() -> None:
        made = Making()
        error = EngineCrashed(source="next", deployment="next", how="by SIGSEGV")
        made.following.default = FakeAnswer(error=error, error_at=0)
        await made.bench.ask()
        made.starts()
        await until(lambda: bool(made.bench.told))
        await until(lambda: bool(made.seen))
        assert [each.alike for each in made.seen] == [None]
        assert made.bench.told == [("next", "failed")]
        await made.ends()

    run(scenario)


def test_one_that_asks_another_machine_goes_on() -> None:
    """It takes nothing of this one, and may cost money."""

    async def scenario() -> None:
        hold = asyncio.Event()

        async def waits(_piece: int) -> None:
            await hold.wait()

        far = FakeEngine(deployment("large", LAN), default=FakeAnswer(text="blue", before_piece=waits))
        bench = Bench(engines={"large": far})
        await bench.ask()
        task = asyncio.ensure_future(bench.shadows.run())
        await until(lambda: far.open_calls == 1)
        await bench.ask(model="other")
        assert (far.open_calls, far.aborted_calls) == (1, 0)
        hold.set()
        await until(lambda: bench.told == [("large", "asked")])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(scenario)


def test_of_an_erased_tenant_nothing_is_asked_anew() -> None:
    async def scenario() -> None:
        made = Making()
        await made.begun()
        made.bench.shadows.make_way()
        made.bench.learning.erase("default")
        await until(lambda: not made.bench.shadows.waiting)
        assert (made.seen, len(made.following.calls)) == ([], 1)
        await made.ends()

    run(scenario)


def test_shadows_make_no_way_for_each_other() -> None:
    async def scenario() -> None:
        made = Making(at_once=2)
        made.following.deployment = replace(made.following.deployment, slots=2)
        await made.bench.ask()
        await made.bench.ask()
        made.starts()
        await until(lambda: made.following.open_calls == 2)
        await until(lambda: len(made.seen) == 2)
        assert made.following.aborted_calls == 0
        await made.ends()

    run(scenario)
