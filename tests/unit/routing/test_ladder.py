import itertools
import time

import pytest

from freehold.domain.decisions import Action, Confidence, ConfidenceStatus
from freehold.domain.deployment import Uncalibrated
from freehold.domain.response import FinishReason
from freehold.routing.calibration import probability
from freehold.routing.ladder import confidence, verdict
from tests.support.routing import calibration, chat, route, token

ACCEPT, ESCALATE, ABSTAIN = Action.ACCEPT, Action.ESCALATE, Action.ABSTAIN
GOOD = {"empty": 0.0, "refusal": 0.0}
GATED = {
    "empty_answer": {"empty": 1.0},
    "refused": {"refusal": 1.0},
    "schema_invalid": {"schema_valid": 0.0},
    "tool_arguments_invalid": {"tool_arguments_valid": 0.0},
}


def judged(p, status=None, **signals):
    status = status or (ConfidenceStatus.UNCALIBRATED if p is None else ConfidenceStatus.CALIBRATED)
    return Confidence(probability=p, status=status, signals=GOOD | signals)


@pytest.mark.parametrize(
    ("p", "default", "more", "action", "reason"),
    [
        (0.7, "accept", True, ACCEPT, "confident"),
        (0.7, "escalate", False, ACCEPT, "confident"),
        (0.699, "accept", True, ESCALATE, "low_confidence"),
        (0.699, "accept", False, ABSTAIN, "last_permitted"),
        (None, "accept", True, ACCEPT, "uncalibrated"),
        (None, "accept", False, ACCEPT, "uncalibrated"),
        (None, "escalate", True, ESCALATE, "uncalibrated"),
        (None, "escalate", False, ABSTAIN, "last_permitted"),
    ],
)
def test_threshold_and_default(p, default, more, action, reason):
    decided = verdict(judged(p), route("a", "b", uncalibrated=Uncalibrated(default)), more_permitted=more)
    assert (decided.action, decided.reason) == (action, reason)
    assert decided.threshold == (None if p is None else 0.7)


@pytest.mark.parametrize("reason", GATED)
@pytest.mark.parametrize("p", [None, 0.01, 0.99])
@pytest.mark.parametrize("default", Uncalibrated)
def test_no_probability_opens_a_hard_gate(reason, p, default):
    where = route("a", uncalibrated=default)
    decided = verdict(judged(p, **GATED[reason]), where, more_permitted=True)
    assert (decided.action, decided.reason) == (ESCALATE, reason)
    assert verdict(judged(p, **GATED[reason]), where, more_permitted=False).action is ABSTAIN


def test_a_content_filter_is_a_gate_too():
    decided = verdict(judged(0.99), route("a"), more_permitted=True, finish_reason=FinishReason.CONTENT_FILTER)
    assert (decided.action, decided.reason) == (ESCALATE, "refused")


def test_unmeasured_follows_the_default_and_says_so():
    decided = verdict(judged(None, ConfidenceStatus.UNMEASURED), route("a"), more_permitted=True)
    assert (decided.action, decided.reason) == (ACCEPT, "unmeasured")


def test_laws_over_every_combination():
    signals = [{}, *GATED.values(), {"schema_valid": 1.0}]
    for p, default, more, extra in itertools.product((None, 0.0, 0.5, 0.7, 1.0), Uncalibrated, (True, False), signals):
        where = route("a", uncalibrated=default)
        decided = verdict(judged(p, **extra), where, more_permitted=more)
        assert (decided.action is ESCALATE) <= more, "nothing is escalated to nowhere"
        assert (decided.action is ABSTAIN) <= (not more)
        assert (decided.action is ABSTAIN) == (decided.reason == "last_permitted")
        other = verdict(judged(p, **extra), where, more_permitted=not more)
        assert (decided.action is ACCEPT) == (other.action is ACCEPT), "what is good does not depend on what is left"


def test_confidence_is_the_calibrations_probability_and_nothing_else():
    signals = {"logprob_mean": -0.2, "tokens_log": 1.0}
    found = confidence(signals, calibration())
    assert found.status is ConfidenceStatus.CALIBRATED
    assert found.probability == probability(calibration(), signals)
    assert found.calibrated_on == "general-1"
    assert found.signals == signals


@pytest.mark.parametrize(
    ("signals", "fitted", "status"),
    [
        ({"empty": 0.0}, True, ConfidenceStatus.UNMEASURED),
        ({"logprob_mean": -0.2}, False, ConfidenceStatus.UNCALIBRATED),
        ({"logprob_mean": -0.2, "tokens_log": 4.2}, True, ConfidenceStatus.UNCALIBRATED),
        ({"logprob_mean": -0.2, "schema_valid": 1.0}, True, ConfidenceStatus.UNCALIBRATED),
        ({"logprob_mean": -0.2, "tool_arguments_valid": 1.0}, True, ConfidenceStatus.UNCALIBRATED),
    ],
)
def test_no_probability_where_none_can_be_computed(signals, fitted, status):
    found = confidence(signals, calibration() if fitted else None)
    assert (found.probability, found.status, found.calibrated_on) == (None, status, "")


def test_a_decision_takes_less_than_a_millisecond():
    from freehold.routing.signals import measure

    tokens = [token(f" w{index}", -0.3, ("x", -2.0), ("y", -3.0), ("z", -4.0)) for index in range(64)]
    signals = measure(chat(), text="w", logprobs=tokens, finish_reason=FinishReason.STOP)
    fitted = calibration()

    def decide_s():
        started = time.thread_time()
        verdict(confidence(signals, fitted), route("a"), more_permitted=True)
        return time.thread_time() - started

    assert min(decide_s() for _ in range(50)) < 0.001
