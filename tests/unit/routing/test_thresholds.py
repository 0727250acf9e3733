"""What a probability is held against: certificates, the route's own threshold, a month's spend, an alarm."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.certificates import UNCERTIFIED, Certificate, Fault, LabelKind, ScoredOn, Standing
from freehold.domain.decisions import Action, Confidence, ConfidenceStatus, Verdict
from freehold.domain.deployment import Doubt, Uncalibrated
from freehold.routing.calibration import Feature
from freehold.routing.ladder import (
    best_of,
    choose,
    confidence,
    in_force,
    is_grey,
    scored_on,
    threshold,
    verdict,
)
from tests.support.routing import calibration, route

NOW = 1_000
FITTED = calibration()


def certificate(at: float = 0.8, risk_max: float = 0.1, **more: object) -> Certificate:
    plain = Certificate(
        id=f"c-{at}-{risk_max}",
        scored_on=scored_on(FITTED),
        label_kind=LabelKind.GOLD,
        risk_max=risk_max,
        delta=0.1,
        threshold=at,
        n=500,
        accepted=300,
        errors=10,
        created_unix_ms=0,
        expires_unix_ms=NOW + 1,
    )
    return replace(plain, **more)


def judged(p: float | None, **signals: float) -> Confidence:
    status = ConfidenceStatus.UNCALIBRATED if p is None else ConfidenceStatus.CALIBRATED
    return Confidence(probability=p, status=status, signals=signals)


def decide(
    p: float | None, *held: Certificate, standing: Standing = UNCERTIFIED, more: bool = True, **on: object
) -> Verdict:
    return verdict(judged(p), route("a", "b", **on), more_permitted=more, standing=standing, certificates=held)


# --- certificates --------------------------------------------------------------------------------


def test_a_certificate_is_in_force_for_exactly_what_it_was_made_for() -> None:
    assert in_force([certificate()], FITTED, tenant="t", unix_ms=NOW) == (certificate(),)


@pytest.mark.parametrize("name", [each.name for each in fields(ScoredOn)])
def test_a_change_of_anything_that_it_was_scored_on_voids_it(name: str) -> None:
    other = certificate(scored_on=replace(scored_on(FITTED), **{name: "other"}))
    assert in_force([other], FITTED, tenant="t", unix_ms=NOW) == ()


@pytest.mark.parametrize(
    "changed",
    [{"expires_unix_ms": NOW}, {"tenant": "another"}, {"delta": 0.2}, {"fault": Fault.REGRET}],
    ids=["expired", "tenant", "delta", "regret"],
)
def test_it_is_not_in_force(changed: dict[str, object]) -> None:
    assert in_force([certificate(**changed)], FITTED, tenant="t", unix_ms=NOW) == ()


def test_a_tenants_own_is() -> None:
    own = certificate(tenant="t")
    assert in_force([own], FITTED, tenant="t", unix_ms=NOW) == (own,)


@pytest.mark.parametrize(
    ("p", "risk_max", "held", "action", "at", "certified"),
    [
        (0.85, 0.1, (0.8,), Action.ACCEPT, 0.8, True),
        (0.75, 0.1, (0.8,), Action.ESCALATE, 0.8, False),
        (0.75, None, (0.8,), Action.ACCEPT, 0.7, False),
        (0.85, None, (0.8,), Action.ACCEPT, 0.7, True),
        (0.65, 0.1, (0.6,), Action.ESCALATE, 0.7, False),
        (0.72, 0.1, (0.6,), Action.ACCEPT, 0.7, True),
        (0.75, 0.1, (), Action.ACCEPT, 0.7, False),
        (0.75, 0.05, (0.6,), Action.ACCEPT, 0.7, True),
    ],
)
def test_the_stricter_of_certified_and_cost_optimal(
    p: float, risk_max: float | None, held: tuple[float, ...], action: Action, at: float, certified: bool
) -> None:
    found = decide(p, *(certificate(each) for each in held), risk_max=risk_max)
    assert (found.action, found.threshold, bool(found.certificate)) == (action, at, certified)


def test_a_certificate_of_more_risk_than_is_wanted_does_not_lower_the_threshold() -> None:
    lax, strict = certificate(0.5, 0.2), certificate(0.9, 0.05)
    assert threshold(route("a", risk_max=0.1, accept_at=0.1), [lax, strict]).at == 0.9
    assert threshold(route("a", risk_max=0.2, accept_at=0.1), [lax, strict]).at == 0.5


def test_the_certificate_named_is_the_one_of_least_risk_that_the_answer_reaches() -> None:
    lax, strict = certificate(0.5, 0.2), certificate(0.9, 0.05)
    assert decide(0.95, lax, strict).certificate == strict.id
    assert decide(0.8, lax, strict).certificate == lax.id
    assert decide(0.8, lax, strict).certified_by is LabelKind.GOLD


@pytest.mark.parametrize(
    ("default", "action", "reason", "at"),
    [("accept", Action.ACCEPT, "confident", 0.7), ("escalate", Action.ESCALATE, "uncertified", None)],
)
def test_without_a_certificate_the_routes_default_decides(
    default: str, action: Action, reason: str, at: float | None
) -> None:
    found = decide(0.99, risk_max=0.1, uncalibrated=Uncalibrated(default))
    assert (found.action, found.reason, found.threshold, found.certificate) == (action, reason, at, "")


# --- spend and alarm -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "spend_at", "action", "reason", "certified"),
    [
        (0.85, 0.5, Action.ACCEPT, "confident", True),
        (0.75, 0.5, Action.ACCEPT, "spend_held", False),
        (0.45, 0.5, Action.ESCALATE, "low_confidence", False),
        (0.75, 0.95, Action.ESCALATE, "low_confidence", False),
    ],
)
def test_a_held_spend_accepts_below_the_threshold_and_never_calls_that_certified(
    p: float, spend_at: float, action: Action, reason: str, certified: bool
) -> None:
    found = decide(p, certificate(0.8), risk_max=0.1, standing=Standing(spend_at=spend_at))
    assert (found.action, found.reason, bool(found.certificate)) == (action, reason, certified)


def test_between_the_certified_threshold_and_the_routes_a_held_spend_stays_certified() -> None:
    found = decide(0.65, certificate(0.6), standing=Standing(spend_at=0.5))
    assert (found.reason, bool(found.certificate)) == ("spend_held", True)


@given(
    p=st.floats(0, 1),
    certified=st.none() | st.floats(0, 1),
    accept_at=st.floats(0, 1),
    spend_at=st.none() | st.floats(0, 1),
    risk_max=st.none() | st.just(0.1),
    alarm=st.sampled_from(["", "drift"]),
    default=st.sampled_from(Uncalibrated),
    more=st.booleans(),
)
def test_what_is_called_certified_always_reaches_the_certified_threshold(
    p: float,
    certified: float | None,
    accept_at: float,
    spend_at: float | None,
    risk_max: float | None,
    alarm: str,
    default: Uncalibrated,
    more: bool,
) -> None:
    held = [] if certified is None else [certificate(certified)]
    found = decide(
        p,
        *held,
        standing=Standing(alarm=alarm, spend_at=spend_at),
        more=more,
        accept_at=accept_at,
        risk_max=risk_max,
        uncalibrated=default,
    )
    if found.certificate:
        assert found.action is Action.ACCEPT
        assert not alarm
        assert certified is not None and p >= certified
    if alarm:
        assert found.action is (Action.ESCALATE if more else Action.ABSTAIN)
    if found.action is Action.ACCEPT and found.reason == "confident":
        assert p >= accept_at
        assert risk_max is None or certified is None or p >= certified


def test_on_an_alarm_uncalibrated_answers_are_not_accepted_either() -> None:
    found = decide(None, standing=Standing(alarm="drift"))
    assert (found.action, found.reason) == (Action.ESCALATE, "alarm")


# --- which calibration ---------------------------------------------------------------------------

SIGNALS = {"logprob_mean": -0.2, "tokens_log": 1.0}
RICH = calibration(
    id="rich",
    features=(*FITTED.features, Feature(name="agreement", mean=0.5, scale=0.2, weight=1.0)),
)


def test_a_calibration_of_bought_signals_counts_only_where_they_are_there() -> None:
    assert choose([RICH, FITTED], SIGNALS) is FITTED
    assert choose([RICH, FITTED], SIGNALS | {"agreement": 1.0}) is RICH


def test_the_later_of_two_like_calibrations_counts() -> None:
    later = replace(FITTED, id="later")
    assert choose([FITTED, later], SIGNALS) is later


def test_a_prefix_is_another_thing_than_an_answer() -> None:
    prefix = replace(FITTED, id="prefix", scope="prefix-8")
    assert choose([prefix], SIGNALS) is None
    assert choose([FITTED, prefix], SIGNALS, scope="prefix-8") is prefix
    assert confidence(SIGNALS, prefix, scope="prefix-8").scope == "prefix-8"
    assert scored_on(prefix) != scored_on(replace(prefix, scope="whole"))


# --- grey zone and the best answer ---------------------------------------------------------------


@pytest.mark.parametrize(("p", "is_in"), [(0.6, True), (0.75, True), (0.59, False), (0.81, False), (None, False)])
def test_the_grey_zone_lies_around_the_threshold(p: float | None, is_in: bool) -> None:
    where = route("a", doubt=Doubt(samples=1, grey_zone=0.1 + 1e-9))
    assert is_grey(judged(p), where, threshold(where)) is is_in


@pytest.mark.parametrize(
    ("answers", "best"),
    [
        ([(0.3, ""), (0.6, ""), (0.4, "")], 1),
        ([(0.5, ""), (0.5, "")], 1),
        ([(0.9, ""), (None, "")], 1),
        ([(None, ""), (0.1, "")], 1),
        ([(0.9, "refused"), (0.1, "")], 1),
        ([(0.1, ""), (0.9, "refused")], 0),
        ([(0.2, "refused"), (0.9, "empty_answer")], 1),
        ([(None, "")], 0),
    ],
)
def test_the_best_answer(answers: list[tuple[float | None, str]], best: int) -> None:
    assert best_of([(judged(p), failed) for p, failed in answers]) == best
