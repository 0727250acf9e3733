"""Which outcomes may be counted for a certificate, and what follows an alarm."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from freehold.domain.certificates import Certificate, LabelKind, Tries
from freehold.domain.deployment import Route
from freehold.domain.errors.feedback import NothingToCertify
from freehold.domain.outcomes import AnswerOutcome
from freehold.gateway.certifier import Certifier, Wish
from freehold.gateway.standings import LiveStandings
from freehold.gateway.watch import read_watches
from freehold.gateway.watch_rounds import Care, Watching
from freehold.routing.certificate import Aim, NotCertifiable
from freehold.routing.sampling import FRESH_LABELS, Sample, certify_sample, newest_scoring, next_try, sample_of
from freehold.storage.certificates import SqliteCertificates
from freehold.storage.database import Database
from freehold.storage.keys import SqliteKeys
from freehold.storage.outcomes import SqliteOutcomes
from tests.support.fake_engine import FakeEngine
from tests.support.gateway import House
from tests.support.histories import SCORED, an_outcome, scored
from tests.support.routing import deployment


class WallClock:
    """Time in milliseconds that a test moves."""

    wall_ms = 10_000

    def unix_ms(self) -> int:
        return self.wall_ms

    def monotonic_s(self) -> float:
        return self.wall_ms / 1000


PLACE = ("ours", "general", "small")


def traffic(n: int, *, share: float = 0.25, threshold: float = 0.7, seed: int = 1, **how: Any) -> list[AnswerOutcome]:
    """Answers whose probability is true: accepted ones are labelled by lot, escalated ones for nothing."""
    chance, found = random.Random(seed), list[AnswerOutcome]()
    for number in range(n):
        probability = chance.random()
        right, accepted = chance.random() < probability, probability >= threshold
        sought = share if accepted else 1.0
        known = chance.random() < sought
        found.append(
            an_outcome(
                f"{seed}-{number:05}",
                unix_ms=number,
                probability=probability,
                accepted=accepted,
                answered=accepted,
                sought=sought,
                right=right if known else None,
                label_kind=LabelKind.AGREEMENT if known else None,
                **how,
            )
        )
    return found


def test_labels_count_as_if_all_had_been_sought_alike() -> None:
    sample = sample_of(traffic(8_000), scored_on=SCORED)
    assert sample.kind is LabelKind.AGREEMENT
    assert len(sample.earlier) == 2_000
    assert len(sample.scores) == pytest.approx(6_000 * 0.25, rel=0.1)
    share = sum(score >= 0.7 for score in sample.scores) / len(sample.scores)
    assert share == pytest.approx(0.3, abs=0.05)  # as in the traffic; of all labels it is 10 %


def test_a_known_question_counts_once_however_often_it_was_asked() -> None:
    gold = {"label_kind": LabelKind.GOLD, "probability": 0.9, "accepted": True, "answered": True, "right": True}
    asked = [an_outcome(f"r-{n:03}", unix_ms=n, judged_by=f"question-{n % 40}", **gold) for n in range(400)]
    sample = sample_of(asked, scored_on=SCORED)
    assert (sample.kind, len(sample.earlier), len(sample.scores)) == (LabelKind.GOLD, 20, 20)
    made = certify_sample(sample, Aim(risk_max=0.1), tenant="ours", unix_ms=5, days=2)
    assert isinstance(made, NotCertifiable)
    assert made.reason == "few_labels"
    changed = [*asked, an_outcome("r-400", unix_ms=400, judged_by="question-39", **gold | {"right": False})]
    assert sum(sample_of(changed, scored_on=SCORED).wrong) == 1  # the newest answer counts
    unnamed = [an_outcome(f"r-{n:03}", unix_ms=n, **gold) for n in range(40)]  # a client's own word for it
    assert len(sample_of(unnamed, scored_on=SCORED).scores) == 20


def test_a_certificate_keeps_its_promise_on_what_comes_after() -> None:
    sample = sample_of(traffic(8_000), scored_on=SCORED)
    made = certify_sample(sample, Aim(risk_max=0.2), tenant="ours", unix_ms=5, days=2)
    assert isinstance(made, Certificate)
    assert (made.tenant, made.label_kind, made.expires_unix_ms) == ("ours", LabelKind.AGREEMENT, 5 + 2 * 86_400_000)
    later = [each for each in traffic(20_000, share=1.0, seed=2) if (each.probability or 0.0) >= made.threshold]
    assert sum(not each.right for each in later) / len(later) <= 0.2


def test_nothing_is_certified_of_what_can_never_be_labelled() -> None:
    outcomes = [
        replace(each, sought=0.0, right=None, label_kind=None) if each.accepted else each for each in traffic(2_000)
    ]
    found = certify_sample(sample_of(outcomes, scored_on=SCORED), Aim(risk_max=0.2), tenant="", unix_ms=1, days=1)
    assert isinstance(found, NotCertifiable)
    assert found.reason == "unfit_labels"
    assert "had no chance to be labelled" in found.message


def test_the_few_that_could_never_be_labelled_count_as_wrong() -> None:
    outcomes = [
        replace(each, sought=0.0, right=None, label_kind=None) if each.accepted and each.unix_ms % 12 == 0 else each
        for each in traffic(6_000, share=1.0)
    ]
    known, all_known = sample_of(outcomes, scored_on=SCORED), sample_of(traffic(6_000, share=1.0), scored_on=SCORED)
    assert known.refused == ""
    assert len(known.scores) == len(all_known.scores)
    assert sum(known.wrong) > sum(all_known.wrong) + 0.8 * 4_500 * 0.3 / 12 * 0.85


def test_what_was_answered_before_there_were_shadows_does_not_count() -> None:
    before = [
        replace(each, sought=0.0, right=None, label_kind=None) if each.accepted else each
        for each in traffic(900, seed=4)
    ]
    sample = sample_of([*before, *traffic(3_000)], scored_on=SCORED)
    assert (sample.refused, len(sample.earlier)) == ("", 975)
    assert not set(sample.scores) & {each.probability for each in before}


def test_known_answers_are_used_where_there_are_enough_and_are_no_traffic() -> None:
    gold = [replace(each, label_kind=LabelKind.GOLD, right=True, sought=1.0) for each in traffic(200, seed=3)]
    few, many = (
        sample_of([*traffic(500), *gold[:50]], scored_on=SCORED),
        sample_of([*traffic(500), *gold], scored_on=SCORED),
    )
    assert (few.kind, many.kind) == (LabelKind.AGREEMENT, LabelKind.GOLD)
    assert not any(many.wrong)
    asked = sample_of([*traffic(500), *gold], scored_on=SCORED, kind=LabelKind.AGREEMENT)
    assert asked.earlier == sample_of(traffic(500), scored_on=SCORED).earlier


def test_what_people_choose_to_judge_is_certified_on_only_if_somebody_says_so() -> None:
    said = [replace(each, label_kind=LabelKind.FEEDBACK, right=True, sought=0.0) for each in traffic(900, seed=3)]
    assert sample_of([*traffic(500), *said], scored_on=SCORED).kind is LabelKind.AGREEMENT
    assert sample_of(said, scored_on=SCORED).kind is LabelKind.AGREEMENT
    assert sample_of(said, scored_on=SCORED, kind=LabelKind.FEEDBACK).kind is LabelKind.FEEDBACK


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_complaints_that_take_the_place_of_a_shadows_word_still_count(share: float) -> None:
    drawn = traffic(8_000, share=share)
    said = [
        replace(each, label_kind=LabelKind.FEEDBACK) if each.accepted and each.right is False else each
        for each in drawn
    ]
    before, after = (sample_of(each, scored_on=SCORED, kind=LabelKind.AGREEMENT) for each in (drawn, said))

    def wrong(sample: Sample) -> float:
        at = [is_wrong for score, is_wrong in zip(sample.scores, sample.wrong, strict=True) if score >= 0.7]
        return sum(at) / len(at)

    assert wrong(before) > 0.1
    assert wrong(after) > 0.1 * share


def test_scores_of_another_meaning_do_not_count() -> None:
    other = scored(calibration="older")
    sample = sample_of([*traffic(300, scored_on=other), *traffic(300, seed=2)], scored_on=SCORED)
    assert set(sample.scores) <= {each.probability for each in traffic(300, seed=2)}
    assert newest_scoring([*traffic(3), *traffic(3, scored_on=other)]) == other
    assert newest_scoring([replace(each, probability=None) for each in traffic(3)]) is None


def test_after_an_alarm_only_what_came_since_counts() -> None:
    outcomes = traffic(2_000, share=1.0)
    sample = sample_of(outcomes, scored_on=SCORED, fresh_unix_ms=1_500)
    assert (len(sample.earlier), len(sample.scores)) == (1_500, 500)
    few = sample_of(outcomes, scored_on=SCORED, fresh_unix_ms=1_950)
    assert "only 50 labels have come since the alarm" in few.refused


@pytest.fixture
def database(tmp_path: Path) -> Generator[Database]:
    database = Database.open(tmp_path / "freehold.db")
    yield database
    database.close()


class Bench:
    """Stores, and a watching process beside them."""

    def __init__(self, database: Database, **care: Any) -> None:
        self.outcomes = SqliteOutcomes(database)
        self.certificates = SqliteCertificates(database)
        self.keys = SqliteKeys(database)
        self.standings = LiveStandings()
        self.clock = WallClock()
        house = House(
            engines={name: FakeEngine(deployment(name)) for name in ("small", "large")},
            routes={"auto": Route(name="auto", deployments=("small", "large"))},
        )
        self.watching = Watching(
            outcomes=self.outcomes,
            certificates=self.certificates,
            standings=self.standings,
            runtime=house.runtime,
            clock=self.clock,
            care=Care(**care),
        )
        self.routes = house.routes

    def certify(self, name: str = "auto", **how: Any) -> Any:
        usual: dict[str, Any] = {"tenant": None, "aim": Aim(risk_max=0.2), "kind": None, "days": 9, "by": "test"}
        certifier = Certifier(outcomes=self.outcomes, certificates=self.certificates, routes=self.routes)
        return asyncio.run(certifier.certify(Wish(name=name, **usual | how), unix_ms=self.clock.unix_ms()))

    def look(self) -> None:
        async def look() -> None:
            await self.watching.look()
            await self.watching.refresh()

        asyncio.run(look())

    @property
    def alarm(self) -> str:
        watch = asyncio.run(read_watches(self.certificates)).get(PLACE)
        return "" if watch is None else watch.alarm

    @property
    def in_force(self) -> list[str]:
        return [each.id for each in asyncio.run(self.certificates.all())]


def wrong_now(
    n: int, *, since: int, right: bool = False, accepted: bool = True, seed: str = "w"
) -> list[AnswerOutcome]:
    return [
        an_outcome(
            f"{seed}-{number:05}",
            unix_ms=since + number,
            probability=0.8 + 0.19 * (number % 50) / 50,
            accepted=accepted,
            answered=True,
            right=right,
            label_kind=LabelKind.AGREEMENT,
            sought=1.0,
        )
        for number in range(n)
    ]


def test_a_route_is_certified_watched_put_at_alarm_and_certified_anew(database: Database) -> None:
    bench = Bench(database)
    bench.outcomes.keep(*traffic(6_000, share=1.0))
    (done,) = bench.certify()
    assert (done.tenant, done.deployment, done.workload) == ("ours", "small", "general")
    assert isinstance(done.found, Certificate)
    first = done.found.id
    bench.look()
    assert (bench.in_force, bench.alarm) == ([first], "")
    bench.clock.wall_ms = now = 50_100
    bench.outcomes.keep(*wrong_now(40, since=now - 100))
    bench.look()
    assert "of accepted answers seem to be wrong" in bench.alarm
    assert bench.in_force == []
    events = {each.event: each for each in bench.keys.events()}
    assert set(events) == {"certificate.made", "certificate.alarm", "certificate.void"}
    assert events["certificate.alarm"].detail["deployment"] == "small"
    bench.clock.wall_ms = now = 60_000
    bench.outcomes.keep(*wrong_now(FRESH_LABELS - 1, since=now, right=True, accepted=False, seed="x"))
    bench.look()
    assert bench.in_force == []
    bench.outcomes.keep(*wrong_now(1, since=now, right=True, accepted=False, seed="y"))
    bench.look()
    assert bench.alarm == ""
    assert bench.in_force != [first]
    assert len(bench.in_force) == 1


def test_labels_that_prove_nothing_are_used_up(database: Database) -> None:
    bench = Bench(database)
    bench.outcomes.keep(*traffic(6_000, share=1.0))
    bench.certify()
    bench.clock.wall_ms = 50_100
    bench.look()
    bench.outcomes.keep(*wrong_now(40, since=50_000))
    bench.look()
    bench.clock.wall_ms = 60_000
    bench.outcomes.keep(*wrong_now(150, since=50_500, accepted=False, seed="x"))
    bench.look()
    assert bench.keys.events()[-1].event == "certificate.refused"
    bench.outcomes.keep(*wrong_now(100, since=60_001, right=True, accepted=False, seed="y"))
    bench.look()
    assert bench.alarm
    bench.outcomes.keep(*wrong_now(30, since=60_200, right=True, accepted=False, seed="z"))
    bench.look()
    assert bench.alarm == ""


def test_by_command_an_alarm_stays_until_somebody_certifies_on_fresh_labels(database: Database) -> None:
    bench = Bench(database, certifies_again=False)
    bench.outcomes.keep(*traffic(6_000, share=1.0))
    bench.certify()
    bench.clock.wall_ms = 50_100
    bench.outcomes.keep(*wrong_now(40, since=50_000))
    bench.look()
    (refused,) = bench.certify()
    assert refused.found.reason == "unfit_labels"
    bench.outcomes.keep(*wrong_now(200, since=60_000, right=True, accepted=False, seed="x"))
    bench.look()
    assert bench.alarm
    (made,) = bench.certify()
    assert isinstance(made.found, Certificate)
    assert bench.alarm == ""


def test_a_restart_goes_on_where_it_was(database: Database) -> None:
    bench = Bench(database)
    bench.outcomes.keep(*traffic(6_000, share=1.0))
    bench.certify()
    bench.look()
    assert asyncio.run(read_watches(bench.certificates))[PLACE].wealth.labels == 0  # it was certified on those
    bench.outcomes.keep(*wrong_now(3, since=50_000))
    again = Bench(database)
    again.look()
    assert asyncio.run(read_watches(again.certificates))[PLACE].wealth.labels == 3
    again.look()
    assert asyncio.run(read_watches(again.certificates))[PLACE].wealth.labels == 3


@pytest.mark.parametrize("name", ["auto", "general", "nothing"])
def test_without_answers_there_is_nothing_to_certify(database: Database, name: str) -> None:
    bench = Bench(database)
    bench.outcomes.keep(an_outcome())
    with pytest.raises(NothingToCertify):
        bench.certify(name)


def peeked(sees: Callable[[Sample, Tries], tuple[Aim, Tries]], *, seed: int) -> bool:
    """Whether who looks after each 30 labels, 12 times, gets a certificate on what is wrong a little too often."""
    draw, wrong, tries = random.Random(seed), list[bool](), Tries()
    for _ in range(12):
        wrong += [draw.random() < 0.105 for _ in range(30)]
        sample = Sample(
            scored_on=SCORED,
            kind=LabelKind.GOLD,
            earlier=(0.9,) * 20,
            scores=(0.9,) * len(wrong),
            wrong=tuple(wrong),
        )
        aim, tries = sees(sample, tries)
        if isinstance(certify_sample(sample, aim, tenant="", unix_ms=1, days=1), Certificate):
            return True
    return False


def test_who_certifies_again_and_again_is_not_right_more_often() -> None:
    aim = Aim(risk_max=0.1)
    assert sum(peeked(lambda _, tries: (aim, tries), seed=seed) for seed in range(100)) > 0.15 * 100
    spent = sum(peeked(lambda sample, tries: next_try(sample, aim, tries), seed=seed) for seed in range(100))
    assert spent <= 0.1 * 100


def test_each_try_uses_up_a_part_of_what_may_go_wrong_and_the_same_one_none(database: Database) -> None:
    bench = Bench(database)
    bench.outcomes.keep(*traffic(1_000, share=1.0))
    for risk_max in (0.01, 0.01, 0.02):
        (refused,) = bench.certify(aim=Aim(risk_max=risk_max))
        assert refused.found.reason == "many_errors"
    (made,) = bench.certify()
    assert made.found.delta == pytest.approx(0.1 / (3 * 4))
    (again,) = bench.certify()
    assert again.found.delta == made.found.delta
    assert asyncio.run(bench.certificates.tries("ours", SCORED)).count == 3
    assert asyncio.run(bench.certificates.tries("theirs", SCORED)).count == 0
    assert asyncio.run(bench.outcomes.erase(tenant="ours")) == 1_000
    assert asyncio.run(bench.certificates.tries("ours", SCORED)).count == 0


def test_too_few_labels_for_any_proof_are_waited_for_and_not_used_up(database: Database) -> None:
    bench = Bench(database)
    bench.outcomes.keep(*wrong_now(600, since=1_000, right=True, seed="v"))
    (made,) = bench.certify(aim=Aim(risk_max=0.02))
    assert isinstance(made.found, Certificate)
    bench.clock.wall_ms = 50_100
    bench.outcomes.keep(*wrong_now(20, since=50_000))
    bench.look()
    assert bench.alarm
    for part in range(8):
        bench.outcomes.keep(*wrong_now(60, since=60_000 + 100 * part, right=True, accepted=False, seed=f"x{part}"))
        bench.look()
    assert "certificate.refused" not in {each.event for each in bench.keys.events()}
    assert bench.alarm == ""


def test_what_is_proven_of_first_tokens_ends_no_alarm_of_whole_answers(database: Database) -> None:
    bench = Bench(database, certifies_again=False)
    bench.outcomes.keep(*traffic(2_000, share=1.0))
    bench.certify()
    bench.clock.wall_ms = 50_100
    bench.outcomes.keep(*wrong_now(40, since=50_000))
    bench.look()
    assert bench.alarm
    prefix = scored(scope="prefix-20", calibration="first")
    bench.outcomes.keep(
        *(replace(each, scored_on=prefix) for each in wrong_now(300, since=30_000, right=True, seed="early"))
    )
    (refused,) = bench.certify()
    assert refused.found.reason == "unfit_labels"  # those of before the alarm
    bench.outcomes.keep(
        *(replace(each, scored_on=prefix) for each in wrong_now(300, since=60_000, right=True, seed="fresh"))
    )
    (made,) = bench.certify()
    assert isinstance(made.found, Certificate)
    assert bench.alarm
