"""Going on pays where the next model is likelier to be right by more than it costs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.certificates import UNCERTIFIED, Certificate, LabelKind, Standing
from freehold.domain.decisions import Action, Confidence, ConfidenceStatus
from freehold.domain.deployment import ModelCard
from freehold.routing.calibration import probability
from freehold.routing.forecast import foreseen, scope_of_next, threshold_by_gain
from freehold.routing.ladder import choose, scored_on, threshold, verdict
from tests.support.routing import calibration, route

LARGE = ModelCard(name="large", digest="sha256:" + "0123456789abcdef" * 4)
SIGNALS = {"logprob_mean": -0.4, "tokens_log": 1.0}
OWN, NEXT = calibration(), calibration(id="general-2", scope=scope_of_next(LARGE), intercept=1.0)
UNSURE = Confidence(probability=0.5, status=ConfidenceStatus.CALIBRATED, signals=SIGNALS, calibrated_on=OWN.id)


@pytest.fixture
def certificate() -> Certificate:
    return Certificate(
        id="c",
        scored_on=scored_on(OWN),
        label_kind=LabelKind.GOLD,
        risk_max=0.1,
        delta=0.1,
        threshold=0.8,
        n=100,
        accepted=60,
        errors=1,
        created_unix_ms=0,
        expires_unix_ms=1,
    )


def test_a_forecast_is_about_one_model_and_never_a_confidence():
    both = (OWN, NEXT)
    assert foreseen(both, SIGNALS, LARGE) == probability(NEXT, SIGNALS)
    assert foreseen(both, SIGNALS, ModelCard(name="large", digest="sha256:ff")) is None
    assert foreseen((OWN,), SIGNALS, LARGE) is None
    assert choose((*both, replace(NEXT, id="general-3")), SIGNALS) is OWN


def test_a_model_that_is_not_ours_to_hash_goes_by_its_name():
    assert scope_of_next(ModelCard(name="gpt-4o")) == "next-gpt-4o"
    assert scope_of_next(LARGE) == "next-0123456789abcdef"


def test_doubt_buys_nothing_where_the_next_one_would_be_wrong_too():
    at = route(accept_at=0.9)
    assert verdict(UNSURE, at, more_permitted=True).action is Action.ESCALATE
    hopeless = verdict(UNSURE, at, more_permitted=True, cost_at=threshold_by_gain(0.55, 0.1))
    assert (hopeless.action, hopeless.reason, hopeless.threshold) == (Action.ACCEPT, "confident", pytest.approx(0.45))
    hopeful = verdict(UNSURE, at, more_permitted=True, cost_at=threshold_by_gain(0.95, 0.1))
    assert (hopeful.action, hopeful.threshold) == (Action.ESCALATE, pytest.approx(0.85))


def test_a_certificate_stays_the_stricter_one(certificate: Certificate):
    at = route(risk_max=certificate.risk_max, accept_at=0.0)
    bar = threshold(at, [certificate], cost_at=0.1)
    assert bar.wanted == certificate.threshold
    assert threshold(at, [certificate], cost_at=0.95).wanted == 0.95


def test_an_alarm_stops_it_all_the_same():
    stopped = verdict(UNSURE, route(), more_permitted=True, cost_at=0.0, standing=Standing(alarm="drift"))
    assert (stopped.action, stopped.reason) == (Action.ESCALATE, "alarm")


@given(st.floats(0, 1), st.floats(0, 5))
def test_the_threshold_is_a_probability_and_falls_as_going_on_costs_more(next_right: float, gain_min: float):
    at = threshold_by_gain(next_right, gain_min)
    assert 0.0 <= at <= next_right
    assert threshold_by_gain(next_right, gain_min + 0.1) <= at
    assert threshold(route(), (), UNCERTIFIED, cost_at=at).at == at
