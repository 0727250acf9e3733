"""Shadows and outcomes inside a gateway in memory: who is asked, when, and what is learnt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from freehold.domain.certificates import LabelKind
from freehold.domain.deployment import Route, Uncalibrated
from freehold.domain.identity import Principal
from freehold.domain.money import Money
from freehold.domain.outcomes import AnswerOutcome, Feedback, Judged
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest, Purpose
from freehold.domain.zones import LAN, WORLD, Zone
from freehold.evals.replay.own import tables_of
from freehold.gateway import shadows as shadows_module
from freehold.gateway.learning import Learning
from freehold.gateway.pipeline import Pipeline
from freehold.gateway.scoring import Scoring
from freehold.gateway.shadows import WAITING_MAX, Around, Bounds, Shadows
from freehold.policy.text import format_label
from freehold.wire.openai_request import decode_chat
from tests.support.fake_engine import FakeAnswer, FakeEngine
from tests.support.gateway import GOOD_KEY, House, MemorySink
from tests.support.routing import deployment

ROUTE = Route(name="auto", deployments=("small", "large"), shadow_share=1.0)


@dataclass
class MemoryOutcomes:
    """Keeps outcomes in a list."""

    kept: dict[tuple[str, str], AnswerOutcome] = field(default_factory=dict[tuple[str, str], AnswerOutcome])

    def keep(self, *outcomes: AnswerOutcome) -> None:
        for each in outcomes:
            self.kept[each.request_id, each.deployment] = each

    async def label(self, feedback: Feedback) -> bool:
        raise NotImplementedError

    async def read(self, **_how: Any) -> Sequence[AnswerOutcome]:
        raise NotImplementedError

    async def erase(self, *, tenant: str) -> int:
        raise NotImplementedError


@dataclass
class MemorySpend:
    """Keeps what shadows cost."""

    spent: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])

    async def shadow_spend(self, *, month: str, currency: str) -> int:
        return self.spent.get((month, currency), 0)

    async def add_shadow_spend(self, micros: int, *, month: str, currency: str) -> None:
        self.spent[month, currency] = self.spent.get((month, currency), 0) + micros


class Numbers:
    """Ids, one after the other."""

    def __init__(self) -> None:
        self.last = 0

    def new_id(self) -> str:
        self.last += 1
        return f"shadow-{self.last}"


@dataclass
class Bench:
    """A gateway that learns.

    Attributes:
        lots: What is drawn, in order; 0 once they are all.
        may_run: Whether there is time for shadows.
    """

    route: Route = ROUTE
    zone: Zone = LAN
    bounds: Bounds = field(default_factory=Bounds)
    engines: dict[str, FakeEngine] = field(default_factory=dict[str, FakeEngine])
    lots: list[float] = field(default_factory=list[float])
    may_run: bool = True
    good: bool = True
    told: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    outcomes: MemoryOutcomes = field(default_factory=MemoryOutcomes)
    spend: MemorySpend = field(default_factory=MemorySpend)

    def __post_init__(self) -> None:
        names = {"small": LAN, "large": self.zone, "other": LAN}
        self.engines = {
            name: FakeEngine(deployment(name, zone), default=FakeAnswer(text="blue" if name == "small" else "green"))
            for name, zone in names.items()
        } | self.engines
        self.house = House(engines=self.engines, routes={self.route.name: self.route})
        runtime = self.house.runtime()
        around = Around(
            pipeline=lambda: self.pipeline,
            runtime=lambda: runtime,
            store=self.outcomes,
            spend=self.spend,
            clock=self.house.clock,
            ids=Numbers(),
            lot=lambda: self.lots.pop(0) if self.lots else 0.0,
            may_run=lambda: self.may_run,
            key_is_good=lambda _: self.good,
            told=lambda name, what: self.told.append((name, what)),
        )
        self.shadows = Shadows(around, self.bounds)
        self.learning = Learning(
            store=self.outcomes, runtime=lambda: runtime, scored_by=Scoring(lambda: runtime).by, shadows=self.shadows
        )
        services = replace(self.house.services(), learn=self.learning)
        self.pipeline = Pipeline(services=services, runtime=lambda: runtime)

    async def ask(
        self,
        *,
        model: str = "auto",
        label: str | None = None,
        tenant: Callable[[Principal], Principal] = lambda it: it,
        text: str = "which colour?",
    ) -> Receipt:
        body = b'{"model":"%b","messages":[{"role":"user","content":"%b"}]}' % (model.encode(), text.encode())
        number = len(self.house.receipts.kept)
        request: InferenceRequest = decode_chat(body, request_id=f"r-{number}", label_header=label)
        principal = tenant(self.pipeline.authenticate(GOOD_KEY))
        receipt = await self.pipeline.answer(request, principal, MemorySink())
        self.learning.learn()
        return receipt

    async def settle(self, *, within: float = 0.05) -> None:
        """Let shadows run until none does."""
        task = asyncio.ensure_future(self.shadows.run())
        try:
            for _ in range(200):
                await asyncio.sleep(0)
                if not self.shadows.waiting:
                    break
            await asyncio.sleep(within if self.shadows.waiting else 0)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def asked(self) -> list[Receipt]:
        return [each for each in self.house.receipts.kept if each.purpose == Purpose.SHADOW]

    def outcome(self, name: str = "small", request_id: str = "r-0") -> AnswerOutcome:
        return self.outcomes.kept[request_id, name]


def run(work: Any) -> Any:
    return asyncio.run(work)


@pytest.mark.parametrize("stronger", ["green", "blue"])
def test_a_shadow_asks_the_next_one_and_labels_the_answer(stronger: str) -> None:
    async def test() -> None:
        large = FakeEngine(deployment("large", LAN), default=FakeAnswer(text=stronger))
        bench = Bench(engines={"large": large})
        receipt = await bench.ask()
        assert bench.outcome().right is None
        await bench.settle()
        (shadow,) = bench.asked
        assert (shadow.for_request, shadow.model_asked, shadow.key_id) == ("r-0", "large", receipt.key_id)
        assert shadow.label == receipt.label
        found = bench.outcome()
        assert (found.right, found.label_kind, found.judged_by) == (stronger == "blue", LabelKind.AGREEMENT, "large")
        assert (found.sought, found.accepted, found.answered) == (1.0, True, True)
        assert set(bench.outcomes.kept) == {("r-0", "small")}  # of a shadow nothing is learnt
        assert bench.told == [("large", "asked")]

    run(test())


def test_what_a_text_says_of_itself_is_in_its_outcome_its_export_and_its_shadow() -> None:
    async def test() -> None:
        bench = Bench()
        receipt = await bench.ask(text=r"X-Freehold-Label: public;zones=lan\nwhich colour?")
        await bench.settle()
        assert bench.outcome().label == format_label(receipt.label) == "public;zones=lan"
        (query,) = tables_of([bench.outcome()], name="own").queries
        assert query.extra["label"] == "public;zones=lan"
        assert [shadow.label for shadow in bench.asked] == [receipt.label]

    run(test())


def test_whether_one_is_asked_is_drawn_and_its_chance_is_noted() -> None:
    async def test() -> None:
        bench = Bench(route=replace(ROUTE, shadow_share=0.3), lots=[0.29, 0.3, 0.9])
        for _ in range(3):
            await bench.ask()
        assert bench.shadows.waiting == 1
        await bench.settle()
        assert [each.for_request for each in bench.asked] == ["r-0"]
        assert {each.sought for each in bench.outcomes.kept.values()} == {0.3}

    run(test())


def test_without_a_share_nobody_is_asked() -> None:
    async def test() -> None:
        bench = Bench(route=replace(ROUTE, shadow_share=0.0))
        await bench.ask()
        assert (bench.shadows.waiting, bench.outcome().sought) == (0, 0.0)

    run(test())


def test_policy_is_the_requests_own() -> None:
    async def test() -> None:
        route = replace(ROUTE, deployments=("small", "large", "other"), attempts_max=3)
        bench = Bench(route=route, zone=WORLD)
        receipt = await bench.ask(label="public;zones=lan")
        assert [each.allowed for each in receipt.decisions] == [True, False, True]
        await bench.settle()
        assert [each.model_asked for each in bench.asked] == ["other"]
        assert not bench.engines["large"].calls

    run(test())


def test_an_escalated_answer_has_its_label_for_nothing() -> None:
    async def test() -> None:
        bench = Bench(route=replace(ROUTE, uncalibrated=Uncalibrated.ESCALATE))
        await bench.ask()
        await bench.settle()
        small, large = bench.outcome("small"), bench.outcome("large")
        assert (small.right, small.accepted, small.answered, small.sought) == (False, False, False, 1.0)
        assert (large.right, large.answered, large.sought) == (None, True, 0.0)
        assert bench.asked == []

    run(test())


def test_nothing_is_learnt_where_that_is_not_wanted() -> None:
    async def test() -> None:
        bench = Bench()
        await bench.ask(tenant=lambda it: replace(it, tenant=replace(it.tenant, learns=False)))
        assert (bench.outcomes.kept, bench.shadows.waiting) == ({}, 0)
        key = bench.pipeline.authenticate(GOOD_KEY).key_id
        scoring = Scoring(bench.house.runtime)
        bench.learning = Learning(
            store=bench.outcomes, runtime=bench.house.runtime, scored_by=scoring.by, shadows=None, not_from=[key]
        )
        assert not bench.learning.wants(bench.pipeline.authenticate(GOOD_KEY))

    run(test())


def test_shadows_wait_for_a_quiet_moment_and_not_for_ever() -> None:
    async def test() -> None:
        bench = Bench(may_run=False)
        await bench.ask()
        await bench.settle(within=0)
        assert (bench.shadows.waiting, bench.asked) == (1, [])
        bench.house.clock.now_s += 61
        bench.may_run = True
        bench.shadows._wake.set()  # pyright: ignore[reportPrivateUsage] - as its next look would
        await bench.settle()
        assert bench.told == [("large", "dropped")]
        assert bench.asked == []

    run(test())


def test_on_this_device_they_wait_until_nothing_else_runs() -> None:
    async def test() -> None:
        bench = Bench(engines={"large": FakeEngine(deployment("large"), default=FakeAnswer(text="green"))})
        hold = asyncio.Event()

        async def wait(_piece: int) -> None:
            await hold.wait()

        await bench.ask()
        bench.engines["other"].default = FakeAnswer(before_piece=wait)
        busy = asyncio.ensure_future(bench.ask(model="other"))
        while not bench.engines["other"].calls:
            await asyncio.sleep(0)
        await bench.settle(within=0)
        assert bench.asked == []
        hold.set()
        await busy
        bench.shadows._wake.set()  # pyright: ignore[reportPrivateUsage] - as its next look would
        await bench.settle()
        assert len(bench.asked) == 1

    run(test())


def test_more_than_can_wait_are_dropped() -> None:
    async def test() -> None:
        bench = Bench(may_run=False)
        for _ in range(WAITING_MAX + 2):
            await bench.ask()
        assert bench.shadows.waiting == WAITING_MAX
        assert bench.told == [("large", "dropped")] * 2

    run(test())


def test_a_key_that_is_revoked_asks_no_more() -> None:
    async def test() -> None:
        bench = Bench(good=False)
        await bench.ask()
        await bench.settle()
        assert (bench.asked, bench.told) == ([], [("large", "dropped")])

    run(test())


def test_a_shadow_that_fails_labels_nothing() -> None:
    async def test() -> None:
        bench = Bench(engines={"large": FakeEngine(deployment("large", LAN), default=FakeAnswer(cut_at=0))})
        await bench.ask()
        await bench.settle()
        assert (bench.told, bench.outcome().right) == ([("large", "failed")], None)

    run(test())


def test_a_months_money_is_not_spent_beyond_its_end() -> None:
    async def test(monkeypatch: pytest.MonkeyPatch) -> None:
        bench = Bench(bounds=Bounds(micros_per_month=10, currency="USD"))
        monkeypatch.setattr(Receipt, "cost", property(lambda _: Money(micros=6, currency="USD")))
        sought: list[float] = []
        for number in range(4):
            await bench.ask()
            sought.append(bench.outcome(request_id=f"r-{2 * number if number < 2 else number + 2}").sought)
            await bench.settle()
        assert len(bench.asked) == 2
        assert list(bench.spend.spent.values()) == [12]
        assert sought == [1.0, 1.0, 0.0, 0.0]

    with pytest.MonkeyPatch.context() as patch:
        run(test(patch))


def test_what_has_no_price_is_asked_once_where_money_is_bounded() -> None:
    async def test(monkeypatch: pytest.MonkeyPatch) -> None:
        bench = Bench(bounds=Bounds(micros_per_month=10))
        monkeypatch.setattr(Receipt, "cost", property(lambda _: None))
        for _ in range(2):
            await bench.ask()
            await bench.settle()
        assert len(bench.asked) == 1

    with pytest.MonkeyPatch.context() as patch:
        run(test(patch))


def test_the_oldest_is_forgotten_when_more_is_told_than_is_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        bench = Bench()
        receipt = await bench.ask()
        monkeypatch.setattr("freehold.gateway.learning.WAITING_MAX", 2)
        request = decode_chat(
            b'{"model":"auto","messages":[{"role":"user","content":"x"}]}', request_id="x", label_header=None
        )
        principal = bench.pipeline.authenticate(GOOD_KEY)
        for _ in range(5):
            bench.learning.told(Judged(request=request, principal=principal, receipt=receipt, answers={}, workload="x"))
        assert bench.learning.forgotten == 3

    run(test())


def test_the_time_a_shadow_may_wait_is_a_minute() -> None:
    assert shadows_module._WAIT_S == 60  # pyright: ignore[reportPrivateUsage] - docs/how-to/learn.md says so


def test_of_an_erased_tenant_nothing_is_held_and_nothing_comes_after() -> None:
    async def test() -> None:
        bench = Bench(lots=[0.0, 0.0])
        first = await bench.ask()
        assert bench.shadows.waiting == 1  # with its text
        bench.learning.told(
            Judged(
                request=decode_chat(
                    b'{"model":"auto","messages":[{"role":"user","content":"why?"}]}', request_id="r", label_header=None
                ),
                principal=bench.pipeline.authenticate(GOOD_KEY),
                receipt=first,
                answers={},
                workload="general",
            )
        )
        bench.learning.erase("another")
        assert bench.shadows.waiting == 1
        bench.learning.erase(first.tenant)
        bench.outcomes.kept.clear()
        bench.learning.learn()
        await bench.settle()
        assert (bench.shadows.waiting, bench.outcomes.kept, bench.asked) == (0, {}, [])

    run(test())


def test_a_shadow_that_runs_when_its_tenant_is_erased_is_given_up() -> None:
    async def test() -> None:
        bench = Bench(engines={"large": FakeEngine(deployment("large", LAN), default=FakeAnswer(text="blue"))})
        receipt = await bench.ask()
        entered = asyncio.Event()

        async def never(*_: Any) -> Receipt:
            entered.set()
            await asyncio.Event().wait()
            raise AssertionError

        bench.pipeline.answer = never  # type: ignore[method-assign]
        task = asyncio.ensure_future(bench.shadows.run())
        await entered.wait()
        bench.learning.erase(receipt.tenant)
        bench.outcomes.kept.clear()
        while bench.shadows.waiting:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert bench.outcomes.kept == {}

    run(test())


def test_a_weaker_one_that_stands_behind_for_want_of_worth_is_no_shadow() -> None:
    async def test() -> None:
        written = ("other", "small", "large")
        bench = Bench(route=replace(ROUTE, deployments=("small", "other", "large"), as_written=written))
        await bench.ask()
        await bench.settle()
        assert [each.model_asked for each in bench.asked] == ["large"]

    run(test())
