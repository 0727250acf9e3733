"""Looking at a question before the first attempt: in time or not at all, of one tenant's outcomes, inside the plan."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Prerouter, Route, Terms, Uncalibrated
from freehold.domain.egress import EgressPermit
from freehold.domain.errors.engine import EngineCrashed
from freehold.domain.errors.upstream import UpstreamUnreachable
from freehold.domain.identity import Principal, Tenant
from freehold.domain.ports import UpstreamCall
from freehold.domain.response import EmbeddingResult
from freehold.domain.zones import DEVICE, WORLD, Zone
from freehold.gateway.ladder import Climb
from freehold.gateway.prerouting import DEADLINE_S, QUESTION_TOKENS, Prerouting
from freehold.gateway.receipt import ReceiptDraft
from freehold.routing.calibration import Calibration
from freehold.wire.openai_request import decode_completion
from tests.support.fake_engine import FakeAnswer, FakeEngine
from tests.support.gateway import GOOD_KEY, RESTRICTED, House, ManualClock, MemorySink, OneKey
from tests.support.histories import MemoryOutcomes, history, outcome, scored_on, vector
from tests.support.virtual_time import run_virtual
from tests.unit.gateway.test_pipeline import REQUEST_ID, chat, engine

DIGEST = "sha256:embedder"
MODEL = f"{DIGEST}@{QUESTION_TOKENS}"
HOPELESS = {"small": (0.05, 0.95), "cloud": (0.95, 0.97)}
HARD, EASY = "hard question", "easy question"


@dataclass(slots=True)
class Embedder(FakeEngine):
    """Knows two questions; takes ``takes_s`` for one."""

    takes_s: float = 0.002
    asked: list[str] = field(default_factory=list[str])
    error: Exception | None = None

    async def embed(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> EmbeddingResult:
        (text,) = call.request.inputs
        self.asked.append(text)
        await asyncio.sleep(self.takes_s)
        if self.error is not None:
            raise self.error
        kind = 0 if text.startswith("hard") else 1 if text.startswith("easy") else 2
        return EmbeddingResult(payload={"data": [{"embedding": list(vector(kind, random.Random(99)))}]})


def embedder(*, zone: Zone = DEVICE, digest: str = DIGEST, **of: object) -> Embedder:
    card = ModelCard(name="vectors-model", embeds=True, digest=digest)
    terms = Terms() if zone == DEVICE else Terms(kinds=None, trains=False)
    made = Deployment(name="vectors", engine=EngineKind.ONNX, model=card, zone=zone, terms=terms)
    return Embedder(deployment=made, **of)  # pyright: ignore[reportArgumentType]


class At:
    """A gateway with a route that preroutes, and a tenant's outcomes."""

    def __init__(
        self, *, store: MemoryOutcomes | None = None, vectors: Embedder | None = None, **route: object
    ) -> None:
        self.store = store or MemoryOutcomes(history(300, right=HOPELESS, question_model=MODEL))
        self.vectors = vectors or embedder()
        self.small, self.large, self.cloud = engine("small"), engine("large"), engine("cloud", zone=WORLD)
        self.clock = ManualClock()
        self.prerouting = Prerouting(outcomes=self.store, clock=self.clock)
        auto = Route(
            name="auto",
            deployments=("small", "cloud"),
            uncalibrated=Uncalibrated.ACCEPT,
            prerouter=Prerouter.ON,
            embedder="vectors",
        )
        self.house = House(
            engines={"small": self.small, "large": self.large, "cloud": self.cloud, "vectors": self.vectors},
            routes={"auto": replace(auto, **route)},  # pyright: ignore[reportArgumentType]
            clock=self.clock,
            prerouting=self.prerouting,
        )

    def run(self, scenario: Callable[[], Awaitable[None]]) -> None:
        """A scenario beside what loads outcomes."""

        async def beside() -> None:
            loading = asyncio.get_running_loop().create_task(self.prerouting.run())
            try:
                await scenario()
                await asyncio.sleep(self.vectors.takes_s)  # the last vector
            finally:
                loading.cancel()
                await asyncio.gather(loading, return_exceptions=True)

        run_virtual(beside)

    async def ask(self, text: str, **of: object) -> list[str]:
        """Who answered; everything is loaded when this returns."""
        sink = await self.house.ask(chat(text, **of))  # pyright: ignore[reportArgumentType]
        await asyncio.sleep(1.0)
        return sink.deployments


def test_a_hopeless_try_is_passed_over_once_the_tenants_outcomes_are_loaded() -> None:
    at = At()

    async def scenario() -> None:
        assert await at.ask(HARD) == ["small"]  # nothing is loaded in a request's way
        assert await at.ask(HARD) == ["cloud"]
        assert await at.ask(EASY) == ["small"]

    at.run(scenario)
    told = [receipt.detours for receipt in at.house.receipts.kept]
    assert told[0] == told[2] == ()
    (detour,) = told[1]
    assert detour.startswith("small is hopeless: prerouter to cloud (right in ")
    assert at.vectors.asked == [HARD, HARD, EASY]


def test_zero_history_changes_nothing() -> None:
    at = At(store=MemoryOutcomes())

    async def scenario() -> None:
        assert [await at.ask(HARD) for _ in range(3)] == [["small"]] * 3

    at.run(scenario)


@pytest.mark.parametrize(("takes_s", "answered"), [(DEADLINE_S - 0.001, "cloud"), (DEADLINE_S + 0.001, "small")])
def test_a_vector_that_is_late_decides_nothing(takes_s: float, answered: str) -> None:
    at = At(vectors=embedder(takes_s=takes_s))

    async def scenario() -> None:
        await at.ask(EASY)
        begun_s = asyncio.get_running_loop().time()
        await at.house.ask(chat(HARD))
        assert asyncio.get_running_loop().time() - begun_s <= DEADLINE_S + 1e-6

    at.run(scenario)
    assert at.house.receipts.kept[-1].attempts[0].deployment == answered


def test_a_busy_embedder_is_not_waited_for() -> None:
    at = At()

    async def scenario() -> None:
        await at.ask(EASY)
        both = await asyncio.gather(at.house.ask(chat(HARD)), at.house.ask(chat(HARD)))
        assert [sink.deployments for sink in both] == [["cloud"], ["small"]]

    at.run(scenario)


def test_no_more_than_four_vectors_are_made_at_once() -> None:
    at = At(vectors=embedder(takes_s=10.0))

    async def scenario() -> None:
        await asyncio.gather(*(at.house.ask(chat(f"hard {number}")) for number in range(9)))
        assert len(at.vectors.asked) == 4

    at.run(scenario)


def test_an_embedder_that_fails_changes_nothing() -> None:
    at = At(vectors=embedder(error=EngineCrashed(deployment="vectors", how="killed by signal 9", source="vectors")))

    async def scenario() -> None:
        assert [await at.ask(HARD) for _ in range(2)] == [["small"]] * 2

    at.run(scenario)


def test_watching_makes_vectors_and_changes_nothing() -> None:
    at = At(prerouter=Prerouter.WATCH)

    async def scenario() -> None:
        assert [await at.ask(HARD) for _ in range(2)] == [["small"]] * 2

    at.run(scenario)
    assert at.vectors.asked == [HARD, HARD]


def test_a_route_without_it_makes_no_vectors() -> None:
    at = At(prerouter=Prerouter.OFF)

    async def scenario() -> None:
        assert [await at.ask(HARD) for _ in range(2)] == [["small"]] * 2

    at.run(scenario)
    assert at.vectors.asked == []


def test_nothing_is_passed_over_where_the_text_may_go_no_further() -> None:
    at = At()
    at.house.keys = OneKey(label=RESTRICTED)

    async def scenario() -> None:
        assert [await at.ask(HARD) for _ in range(2)] == [["small"]] * 2

    at.run(scenario)
    assert at.cloud.calls == []


def test_questions_do_not_leave_the_device_to_be_looked_at() -> None:
    at = At(vectors=embedder(zone=WORLD))

    async def scenario() -> None:
        assert [await at.ask(HARD) for _ in range(2)] == [["small"]] * 2

    at.run(scenario)
    assert at.vectors.asked == []


def test_a_step_that_is_not_ready_is_not_turned_to() -> None:
    at = At()
    at.cloud.ready = False

    async def scenario() -> None:
        assert [await at.ask(HARD) for _ in range(2)] == [["small"]] * 2

    at.run(scenario)


def test_what_was_passed_over_is_tried_when_all_else_fails() -> None:
    at = At()
    at.cloud.default = FakeAnswer(
        error=UpstreamUnreachable(deployment="cloud", source="cloud", origin="https://cloud", reason="refused")
    )

    async def scenario() -> None:
        await at.ask(EASY)
        assert await at.ask(HARD) == ["small"]

    at.run(scenario)
    receipt = at.house.receipts.kept[-1]
    assert receipt.attempts[0].deployment == "cloud"
    assert receipt.attempts[-1].deployment == "small"
    assert receipt.detours


def test_one_tenants_outcomes_never_decide_for_another() -> None:
    mine = history(300, right={"small": (0.95, 0.95), "cloud": (0.95, 0.95)}, question_model=MODEL)
    theirs = history(300, right=HOPELESS, question_model=MODEL, tenant="theirs", seed=2)
    at = At(store=MemoryOutcomes([*mine, *theirs]))

    @dataclass
    class Leaky(MemoryOutcomes):
        """Gives everything to everybody."""

        async def read(self, *, tenant: str = "", **_: object) -> list[object]:  # pyright: ignore[reportIncompatibleMethodOverride]
            return list(self.kept)

    leaky = At(store=Leaky([*mine, *theirs]))

    async def of(each: At) -> None:
        assert [await each.ask(HARD) for _ in range(2)] == [["small"]] * 2
        pipeline = each.house.pipeline()
        label = pipeline.authenticate(GOOD_KEY).label
        stranger = Principal(
            key_id="k",
            key_name="k",
            tenant=Tenant(name="theirs", label=label),
            label=label,
            scopes=frozenset({"infer"}),
        )
        for wanted in (["small"], ["cloud"]):
            sink = MemorySink()
            await pipeline.answer(chat(HARD), stranger, sink)
            await asyncio.sleep(1.0)
            assert sink.deployments == wanted

    at.run(lambda: of(at))
    leaky.run(lambda: of(leaky))
    assert at.store.read_of == ["default", "theirs"]


def test_answers_of_another_model_do_not_count() -> None:
    gone = [replace(each, scored_on=scored_on("sha256:before")) for each in history(300, right=HOPELESS)]
    at = At(store=MemoryOutcomes([replace(each, question_model=MODEL) for each in gone]))

    async def scenario() -> None:
        assert [await at.ask(HARD) for _ in range(2)] == [["small"]] * 2

    at.run(scenario)


def test_what_is_known_is_loaded_again_when_it_is_old_or_was_forgotten() -> None:
    at = At()

    async def scenario() -> None:
        for _ in range(3):
            await at.ask(EASY)
        assert len(at.store.read_of) == 1
        at.clock.now_s += 301
        await at.ask(EASY)
        assert len(at.store.read_of) == 2
        at.store.kept.clear()
        at.prerouting.forget("default")
        assert [await at.ask(HARD) for _ in range(2)] == [["small"]] * 2
        assert len(at.store.read_of) == 3

    at.run(scenario)


def test_outcomes_that_cannot_be_read_change_nothing() -> None:
    at = At()
    at.store.broken = True

    async def scenario() -> None:
        assert [await at.ask(HARD) for _ in range(2)] == [["small"]] * 2
        at.store.broken = False
        at.clock.now_s += 21
        assert [await at.ask(HARD) for _ in range(2)] == [["small"], ["cloud"]]

    at.run(scenario)


def test_a_kind_of_task_is_taken_where_the_route_names_it() -> None:
    kinds = history(300, right={"small": (0.9, 0.9)}, question_model=MODEL)
    kinds = [replace(each, scored_on=scored_on(workload="sums")) for each in kinds]
    seen: list[str] = []

    def looked_up(name: str, workload: str) -> tuple[Calibration, ...]:
        seen.append(workload)
        return ()

    for workloads, wanted in (((), "general"), (("sums",), "sums"), (("names",), "general")):
        at = At(store=MemoryOutcomes(kinds), workloads=workloads)
        snapshot = replace(at.house.runtime(), calibrations=looked_up)
        at.house.runtime = lambda snapshot=snapshot: snapshot

        async def scenario(at: At = at, wanted: str = wanted) -> None:
            await at.ask(EASY)
            seen.clear()
            await at.ask(EASY)
            assert set(seen) == {wanted}

        at.run(scenario)


def test_the_question_is_the_users_last_words_and_only_their_beginning_is_read() -> None:
    at = At()

    async def scenario() -> None:
        await at.ask("hard " + "word " * 100)
        await at.ask("   ")

    at.run(scenario)
    (text,) = at.vectors.asked
    assert text.split() == ["hard", *["word"] * (QUESTION_TOKENS - 1)]


def test_the_draft_knows_the_vector_even_where_it_was_late() -> None:
    """The outcome keeps it."""
    at = At(vectors=embedder(takes_s=0.5), prerouter=Prerouter.WATCH)
    drafts: list[ReceiptDraft] = []

    class Remembering(Prerouting):
        async def look(self, climb: Climb) -> None:
            drafts.append(climb.draft)
            await super().look(climb)

    at.prerouting = at.house.prerouting = Remembering(outcomes=at.store, clock=at.clock)

    async def scenario() -> None:
        await at.ask(EASY)

    at.run(scenario)
    (draft,) = drafts
    assert draft.question == vector(1, random.Random(99))
    assert draft.question_model == MODEL


def test_only_chats_are_looked_at() -> None:
    at = At()

    async def scenario() -> None:
        await at.house.ask(decode_completion(b'{"model":"auto","prompt":"hard"}', request_id=REQUEST_ID))

    at.run(scenario)
    assert at.vectors.asked == []


def test_an_outcome_of_a_question_without_a_vector_is_no_neighbour() -> None:
    at = At(store=MemoryOutcomes([outcome(f"r{at}", "small", right=False) for at in range(100)]))

    async def scenario() -> None:
        assert [await at.ask(HARD) for _ in range(2)] == [["small"]] * 2

    at.run(scenario)


WORTH: dict[str, object] = {
    "deployments": ("small", "large", "cloud"),
    "gains": (("small", 0.05), ("large", 0.3), ("cloud", 0.6)),
}


def with_worth(**of: object) -> At:
    right = {"small": (0.05, 0.95), "large": (0.95, 0.97), "cloud": (0.97, 0.98)}
    return At(store=MemoryOutcomes(history(300, right=right, question_model=MODEL)), **(WORTH | of))  # pyright: ignore[reportArgumentType]


def test_where_answers_have_a_worth_the_question_chooses_the_first_step_at_home() -> None:
    at = with_worth()

    async def scenario() -> None:
        assert await at.ask(HARD) == ["small"]
        assert await at.ask(HARD) == ["large"]
        assert await at.ask(EASY) == ["small"]

    at.run(scenario)
    (detour,) = at.house.receipts.kept[1].detours
    assert detour.startswith("small is not first: prerouter to large (right +")
    assert detour.endswith(" points more often on questions like it, at 6 times the cost)")


def test_where_it_is_not_worth_its_cost_the_plan_stays() -> None:
    at = with_worth(gains=(("small", 0.05), ("large", 2.0), ("cloud", 3.0)))

    async def scenario() -> None:
        assert [await at.ask(HARD) for _ in range(2)] == [["small"]] * 2

    at.run(scenario)


def test_a_first_step_that_is_not_ready_is_not_chosen() -> None:
    at = with_worth()
    at.large.ready = False

    async def scenario() -> None:
        assert [await at.ask(HARD) for _ in range(2)] == [["small"]] * 2

    at.run(scenario)


def test_what_stood_before_a_chosen_first_step_is_tried_when_all_else_fails() -> None:
    at = with_worth(attempts_max=1)
    at.large.default = FakeAnswer(error=EngineCrashed(deployment="large", how="killed by signal 9", source="large"))

    async def scenario() -> None:
        await at.ask(EASY)
        assert await at.ask(HARD) == ["small"]

    at.run(scenario)
    assert [each.deployment for each in at.house.receipts.kept[-1].attempts] == ["large", "small"]


def test_going_on_costs_what_such_questions_take() -> None:
    """The route's costs are means; long answers cost more."""
    at = with_worth()
    at.store.kept = [
        replace(each, output_tokens=1_800 if int(each.request_id[1:]) % 2 == 0 else 200) for each in at.store.kept
    ]
    climbs: list[Climb] = []

    class Remembering(Prerouting):
        async def look(self, climb: Climb) -> None:
            climbs.append(climb)
            await super().look(climb)

    at.prerouting = at.house.prerouting = Remembering(outcomes=at.store, clock=at.clock)

    async def scenario() -> None:
        await at.ask(EASY)
        await at.ask(HARD)

    at.run(scenario)
    assert dict(climbs[-1].footing.route.gains)["cloud"] == pytest.approx(0.6 * 1.8, rel=0.05)
