import hashlib
from dataclasses import replace

import pytest

from freehold.domain.certificates import LabelKind
from freehold.evals.answers import Answer
from freehold.evals.calibrate import Graded
from freehold.evals.proof import EXPIRES_DAYS, NEVER_ACCEPTED, acceptance_score, prove
from freehold.evals.question import Grading, Part, Question
from freehold.evals.report import as_text, least_text, report
from freehold.routing.calibration import probability
from freehold.routing.certificate import Aim, applies
from tests.support.routing import calibration

FITTED = calibration()
AIM = Aim(risk_max=0.1)


def graded(index, *, wrong_from=0.3, **signals):
    """An answer that is wrong where the model is unsure, but for one in forty."""
    noise = int.from_bytes(hashlib.sha256(f"x{index}".encode()).digest()[:4], "big") / 2**32
    question = Question(id=f"q{index}", kind="k", prompt=f"p{index}", grading=Grading.CONTAINS, answers=("a",))
    return Graded(
        question=question,
        answer=Answer(text="a", finish_reason=None, logprobs=()),
        signals={"logprob_mean": -2 * noise, "tokens_log": 1.0, "empty": 0.0, "refusal": 0.0} | signals,
        right=(noise < 1 - wrong_from) != (index % 40 == 0),
    )


GRADED = [graded(index) for index in range(1_000)]


def test_a_model_that_is_good_enough_where_it_is_sure_is_certified():
    proof = prove(FITTED, GRADED, aim=AIM, unix_ms=1_000)
    found = proof.certificate
    assert found is not None
    assert proof.refused is None
    assert (found.label_kind, found.risk_max, found.delta) == (LabelKind.GOLD, 0.1, 0.1)
    assert found.expires_unix_ms - found.created_unix_ms == EXPIRES_DAYS * 86_400_000
    assert applies(found, found.scored_on, 1_000)
    assert found.scored_on.calibration == FITTED.id
    assert found.n == sum(each.question.part is Part.CERTIFY for each in GRADED)


def test_the_promise_is_checked_on_answers_that_took_no_part():
    proof = prove(FITTED, GRADED, aim=AIM, unix_ms=0)
    assert proof.certificate is not None
    checked = [each for each in GRADED if each.question.part is Part.CHECK]
    taken = [each for each in checked if probability(FITTED, each.signals) >= proof.certificate.threshold]
    assert (proof.checked, proof.accepted) == (len(checked), len(taken))
    assert proof.errors == sum(not each.right for each in taken)
    assert 0 < proof.errors <= 0.1 * proof.accepted


def test_labels_of_the_other_parts_change_nothing():
    turned = [each if each.question.part is Part.CERTIFY else replace(each, right=not each.right) for each in GRADED]
    assert (
        prove(FITTED, turned, aim=AIM, unix_ms=0).certificate == prove(FITTED, GRADED, aim=AIM, unix_ms=0).certificate
    )


def test_a_model_that_is_wrong_where_it_is_sure_is_not_certified_and_told_why():
    bad = [graded(index, wrong_from=0.95) for index in range(1_000)]
    proof = prove(FITTED, bad, aim=AIM, unix_ms=0)
    assert (proof.certificate, proof.accepted, proof.errors) == (None, 0, 0)
    assert proof.refused is not None
    assert proof.refused.reason == "many_errors"
    text = as_text(report(FITTED, bad, [proof]))
    assert "no certificate for 10.0%: of the" in text


@pytest.mark.parametrize(
    "signals", [{"empty": 1.0}, {"refusal": 1.0}, {"tokens_log": 9.0}, {"schema_valid": 1.0}], ids=str
)
def test_what_a_gate_stops_no_threshold_accepts(signals):
    assert acceptance_score(FITTED, graded(1, **signals).signals) == NEVER_ACCEPTED


def test_without_log_probabilities_nothing_is_accepted():
    assert acceptance_score(FITTED, {"empty": 0.0}) == NEVER_ACCEPTED


def test_what_no_rule_can_spare_is_told_first():
    assert least_text([], 0.1) == "no answers"
    text = least_text(GRADED, 0.1)
    wrong = sum(not each.right for each in GRADED) / len(GRADED)
    assert f"at least {(wrong - 0.1) / 0.9:.0%} must go elsewhere" in text


def test_the_report_says_what_was_proven():
    proof = prove(FITTED, GRADED, aim=AIM, unix_ms=0)
    text = as_text(report(FITTED, GRADED, [proof]))
    assert proof.certificate is not None
    assert proof.certificate.id in text
    assert f"On {proof.checked} further answers: {proof.accepted} accepted, {proof.errors} of them wrong" in text
