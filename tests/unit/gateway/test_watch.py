"""Watches of certificates: what counts, when they alarm, and what is in force meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from freehold.domain.certificates import UNCERTIFIED, Certificate, Fault, LabelKind, ScoredOn
from freehold.domain.outcomes import AnswerOutcome
from freehold.gateway.standings import LiveStandings
from freehold.gateway.watch import (
    Watch,
    advance,
    in_force_for,
    look_at,
    new_watch,
    watch_from_json,
    watch_to_json,
)
from freehold.routing.novelty import WINDOW
from freehold.storage.certificates import Place
from tests.support.histories import SCORED, a_certificate, an_outcome, scored

PLACE: Place = ("ours", "general", "small")
CERTIFICATE = a_certificate("c-1", tenant="ours", threshold=0.5)


def labelled(*rights: bool, **how: Any) -> list[AnswerOutcome]:
    usual: dict[str, Any] = {"accepted": True, "probability": 0.9, "label_kind": LabelKind.AGREEMENT, "unix_ms": 1_000}
    return [an_outcome(f"r-{n}", right=right, **usual | how) for n, right in enumerate(rights)]


def go(
    outcomes: list[AnswerOutcome], *, watch: Watch | None = None, certificates: Any = (CERTIFICATE,)
) -> Watch | None:
    watches = {} if watch is None else {PLACE: watch}
    return advance(watches, outcomes, certificates, run_length=1_000, unix_ms=77).get(PLACE, watch)


def test_answers_that_turn_out_wrong_raise_the_alarm_and_it_stays() -> None:
    watch = go(labelled(*[True] * 50))
    assert watch is not None
    assert (watch.wealth.labels, watch.wealth.wrong, watch.alarm) == (50, 0, "")
    watch = go(labelled(*[False] * 10), watch=watch)
    assert watch is not None
    assert watch.alarm.startswith("more than 10.0% of accepted answers seem to be wrong")
    assert (watch.alarm_unix_ms, watch.fresh_unix_ms) == (77, 77)
    assert watch.wealth.labels < 60  # what came after the alarm is not bet on
    assert go(labelled(*[True] * 500), watch=watch) == watch


def test_a_risk_that_is_kept_raises_none() -> None:
    watch = go(labelled(*(n % 20 != 0 for n in range(2_000))))
    assert watch is not None
    assert (watch.wealth.wrong, watch.alarm) == (100, "")


@pytest.mark.parametrize(
    "how",
    [
        {"accepted": False},
        {"label_kind": LabelKind.GOLD},
        {"probability": 0.4},
        {"probability": None},
        {"tenant": "theirs"},
        {"scored_on": scored(calibration="another")},
        {"unix_ms": 1 << 60},
        {"unix_ms": 999},
    ],
)
def test_what_says_nothing_of_the_certificate_does_not_count(how: dict[str, Any]) -> None:
    assert go(labelled(*[False] * 40, **how)) is None


@pytest.mark.parametrize("kind", [LabelKind.FEEDBACK, LabelKind.GOLD])
def test_what_clients_say_of_traffic_counts_like_agreement(kind: LabelKind) -> None:
    watch = go(labelled(*[False] * 20, label_kind=kind, sought=0.2))
    assert watch is not None
    assert watch.alarm


def test_another_certificate_begins_anew() -> None:
    watch = go(labelled(*[False] * 5))
    other = replace(CERTIFICATE, id="c-2")
    watch = go(labelled(True), watch=watch, certificates=[other])
    assert watch is not None
    assert (watch.certificate.id, watch.wealth.labels) == ("c-2", 1)


def test_a_label_that_comes_late_of_what_was_scored_otherwise_ends_no_alarm() -> None:
    watch = go(labelled(*[False] * 20))
    assert watch is not None
    by_prefix = a_certificate("p-1", scored_on=scored(scope="prefix-20", calibration="first"))
    late = labelled(True, scored_on=by_prefix.scored_on)
    assert go(late, watch=watch, certificates=[CERTIFICATE, by_prefix]) == watch
    # What is accepted long after it is of another model: here the alarm is over.
    later = labelled(True, scored_on=by_prefix.scored_on, unix_ms=1_000_000)
    after = go(later, watch=watch, certificates=[by_prefix])
    assert after is not None
    assert (after.alarm, after.certificate.id) == ("", "p-1")


def test_two_promises_of_one_deployment_do_not_forget_each_others_labels() -> None:
    by_prefix = a_certificate("p-1", tenant="ours", scored_on=scored(scope="prefix-20", calibration="first"))
    mixed = [
        each
        for n in range(20)
        for each in (*labelled(False, unix_ms=1_000 + n), *labelled(True, scored_on=by_prefix.scored_on))
    ]
    watch = go(mixed, certificates=[CERTIFICATE, by_prefix])
    assert watch is not None
    assert watch.alarm
    assert watch.certificate.id == CERTIFICATE.id
    other_way = go(
        mixed[:1] + labelled(*[False] * 9, scored_on=by_prefix.scored_on), certificates=[CERTIFICATE, by_prefix]
    )
    assert other_way is not None
    assert other_way.alarm
    assert other_way.certificate.id == "p-1"  # what is certified anew is what failed


def test_another_model_begins_anew_although_the_promise_of_the_one_before_is_kept_in_a_file() -> None:
    watch = go(labelled(*[False] * 5))
    other = a_certificate("c-2", tenant="ours", scored_on=scored(model_digest="sha256:other"))
    watch = go(labelled(True, scored_on=other.scored_on), watch=watch, certificates=[CERTIFICATE, other])
    assert watch is not None
    assert (watch.certificate.id, watch.wealth.labels) == ("c-2", 1)


@pytest.mark.parametrize("how", [{"fault": Fault.REGRET}, {"delta": 0.2}])
def test_what_promises_less_is_not_in_force(how: dict[str, Any]) -> None:
    lesser = replace(a_certificate("lesser", tenant="ours", created_unix_ms=2_000), **how)
    assert in_force_for([CERTIFICATE, lesser], tenant="ours", scored_on=SCORED, unix_ms=5) == CERTIFICATE
    assert in_force_for([lesser], tenant="ours", scored_on=SCORED, unix_ms=5) is None


def test_a_watch_survives_a_restart_as_it_was() -> None:
    whole = go(labelled(*[True] * 9, *[False] * 3, True))
    first = go(labelled(*[True] * 9))
    assert first is not None
    again = go(labelled(*[False] * 3, True), watch=watch_from_json(watch_to_json(first)))
    assert again == whole


def test_what_is_in_force_is_ones_own_before_everybodys_and_gold_before_the_rest() -> None:
    everybodys = a_certificate("all")
    gold = a_certificate("gold", tenant="ours", label_kind=LabelKind.GOLD)
    newer = a_certificate("newer", tenant="ours", created_unix_ms=2_000)
    theirs = a_certificate("theirs", tenant="theirs")
    known = [theirs, gold, CERTIFICATE, newer, everybodys]

    def found(certificates: list[Certificate], tenant: str = "ours", unix_ms: int = 5) -> str:
        it = in_force_for(certificates, tenant=tenant, scored_on=SCORED, unix_ms=unix_ms)
        return "" if it is None else it.id

    assert found(known) == "gold"
    assert found([CERTIFICATE, newer, everybodys]) == "newer"
    assert found([everybodys, theirs]) == "all"
    assert found([theirs]) == ""
    assert found(known, tenant="theirs") == "theirs"
    assert found(known, unix_ms=1 << 50) == ""


def test_traffic_that_is_unlike_what_was_certified_on_raises_the_alarm() -> None:
    watch = new_watch(CERTIFICATE, [0.5 + n / 1_000 for n in range(500)])
    like = [an_outcome(f"r-{n}", probability=0.5 + (n * 7 % 500) / 1_000) for n in range(WINDOW)]
    unlike = [an_outcome(f"r-{n}", probability=0.3) for n in range(WINDOW)]
    after = look_at({PLACE: watch}, like, unix_ms=5)[PLACE]
    assert (after.alarm, after.window.answers) == ("", 0)
    after = look_at({PLACE: after}, unlike, unix_ms=6)[PLACE]
    assert "unlike those calibrated on" in after.alarm
    assert after.alarm_unix_ms == 6
    assert watch_from_json(watch_to_json(after)) == after
    gold = [replace(each, label_kind=LabelKind.GOLD, right=True) for each in unlike]
    assert look_at({PLACE: watch}, gold, unix_ms=5) == {}


def test_standings_are_looked_up_and_an_alarm_takes_the_certificate_away() -> None:
    standings = LiveStandings()
    assert standings.of("small", "general", tenant="ours") is UNCERTIFIED
    everybodys = a_certificate("all")
    watch = go(labelled(*[False] * 20))
    assert watch is not None

    def current(name: str, workload: str) -> tuple[ScoredOn, ...]:
        return (SCORED,) if (name, workload) == ("small", "general") else ()

    def another(name: str, workload: str) -> tuple[ScoredOn, ...]:
        return (scored(calibration=f"{name} {workload}"),)

    how: dict[str, Any] = {
        "pairs": [("general", "small"), ("general", "large")],
        "current": current,
        "spend_at": {"ours": 0.4},
        "unix_ms": 5,
    }
    standings.refresh(certificates=[CERTIFICATE, everybodys], watches={}, **how)
    found = standings.of("small", "general", tenant="ours")
    assert (found.certificate, found.alarm, found.spend_at) == (CERTIFICATE, "", 0.4)
    assert standings.of("small", "general", tenant="theirs").certificate == everybodys
    assert standings.of("large", "general", tenant="ours").certificate is None
    standings.refresh(certificates=[everybodys], watches={PLACE: watch}, **how)
    found = standings.of("small", "general", tenant="ours")
    assert (found.certificate, found.alarm) == (None, watch.alarm)
    assert standings.alarms == {PLACE: watch.alarm}
    assert standings.of("small", "general", tenant="theirs").alarm == ""
    # Another model there: what went wrong with the one before says nothing of it.
    how["current"] = another
    standings.refresh(certificates=[], watches={PLACE: watch}, **how)
    assert standings.of("small", "general", tenant="ours").alarm == ""


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"certificate": {}}'])
def test_other_text_is_no_watch(text: str) -> None:
    with pytest.raises(ValueError):
        watch_from_json(text)
