"""Certificates: what is proven, what is refused, what voids them, and that they keep their word."""

import json
import random
from dataclasses import fields, replace

import pytest

from freehold.domain.certificates import Certificate, Fault, LabelKind, ScoredOn
from freehold.routing.binomial import binomial_tail, smallest_sample
from freehold.routing.certificate import (
    About,
    Aim,
    NotCertifiable,
    Threshold,
    applies,
    certify,
    fixed_sequence,
    from_json,
    least_escalated,
    statement,
    thresholds,
    to_json,
    void,
    wrong_at_most,
)

SCORED_ON = ScoredOn(
    workload="general",
    model_digest="sha256:aa",
    engine="llama.cpp",
    engine_version="b1",
    template_digest="bb",
    calibration="general-1",
)
ABOUT = About(scored_on=SCORED_ON, label_kind=LabelKind.GOLD, created_unix_ms=1_000, expires_unix_ms=9_000)
AIM = Aim(risk_max=0.1)


def draw(n, seed, truth=lambda p: p):
    """Scores, and whether each was wrong; the chance to be right is ``truth`` of the score."""
    dice = random.Random(seed)
    scores = [dice.random() for _ in range(n)]
    return scores, [dice.random() >= truth(score) for score in scores]


def certified(scores, wrong, aim=AIM, **about):
    found = certify(scores, wrong, traffic=scores, aim=aim, about=replace(ABOUT, **about))
    assert isinstance(found, Certificate), found
    return found


GOOD = certified(*draw(1_000, 1, lambda p: 0.7 + 0.3 * p))


def test_what_is_certified_is_proven_by_its_own_numbers():
    assert binomial_tail(GOOD.errors, GOOD.accepted, 0.1) <= 0.1
    assert (GOOD.n, GOOD.risk_max, GOOD.delta, GOOD.scored_on) == (1_000, 0.1, 0.1, SCORED_ON)
    assert 250 <= GOOD.accepted <= 1_000
    assert (GOOD.created_unix_ms, GOOD.expires_unix_ms, GOOD.label_kind) == (1_000, 9_000, LabelKind.GOLD)


def test_the_promise_is_kept_in_nine_of_ten_draws():
    """The true share of wrong ones above a threshold t is (1 - t) / 2 here; the plug-in rule breaks it in every other."""
    broken = refused = 0
    traffic, _ = draw(5_000, 99)
    for seed in range(300):
        found = certify(*draw(300, seed), traffic=traffic, aim=AIM, about=ABOUT)
        if isinstance(found, NotCertifiable):
            refused += 1
        else:
            broken += (1 - found.threshold) / 2 > 0.1
    assert broken <= 42  # 30 are allowed, and 300 draws vary by 12 at most once in a hundred
    assert refused < 300


def test_the_smallest_samples_decide():
    """The table of the smallest accepted samples is what certify goes by: one answer fewer is not enough."""
    for errors in (0, 1, 2, 5):
        n = smallest_sample(errors, 0.1, 0.1)
        wrong = [True] * errors + [False] * (n - errors)
        assert certified([0.9] * n, wrong).accepted == n
        refused = certify([0.9] * (n - 1), wrong[:-1], traffic=[0.9], aim=AIM, about=ABOUT)
        assert isinstance(refused, NotCertifiable)
        assert refused.reason == ("few_labels" if errors == 0 else "many_errors")
        assert refused.accepted_needed == n


def test_what_could_not_pass_is_no_test():
    """With 40 labels the surest quarter is too small to prove 10 %, but all of them are not: the sequence goes on."""
    scores = [place / 40 for place in range(40)]
    found = certified(scores, [False] * 40)
    assert (found.accepted, found.errors) == (40, 0)
    failed_late = certified(scores, [place < 10 for place in range(40)])
    assert 22 <= failed_late.accepted < 40


def test_a_failure_ends_the_sequence():
    """The surest are wrong, all others right: what is lax would pass, but it may not be tested any more."""
    scores = [place / 400 for place in range(400)]
    wrong = [place >= 380 for place in range(400)]
    found = certify(scores, wrong, traffic=scores, aim=AIM, about=ABOUT)
    assert isinstance(found, NotCertifiable)
    assert found.reason == "many_errors"
    assert found.tested is not None
    assert (found.tested.accepted, found.tested.errors) == (100, 20)
    assert found.tested.p_value == pytest.approx(binomial_tail(20, 100, 0.1))
    assert "of the 100 surest answers 20 were wrong" in found.message


def test_where_to_start_is_chosen_before_labels():
    """The surest fifth is right, of the rest every third is not: too much for a quarter, enough for less."""
    scores = [place / 400 for place in range(400)]
    wrong = [place < 320 and place % 3 == 0 for place in range(400)]
    refused = certify(scores, wrong, traffic=scores, aim=AIM, about=ABOUT)
    assert isinstance(refused, NotCertifiable)
    assert certified(scores, wrong, replace(AIM, coverage_min=0.1)).accepted == 80


def test_why_there_is_none():
    assert _reason([0.5] * 10, [False] * 10) == "few_labels"
    assert _reason([0.5] * 100, [True] * 100) == "many_errors"
    assert _reason([0.5] * 100, [False] * 100, traffic=[]) == "no_traffic"
    assert _reason([], [], traffic=[0.5]) == "few_labels"
    unknown = replace(SCORED_ON, template_digest="")
    found = certify([0.5] * 100, [False] * 100, traffic=[0.5], aim=AIM, about=replace(ABOUT, scored_on=unknown))
    assert isinstance(found, NotCertifiable)
    assert (found.reason, found.least_escalated is None) == ("unidentified", False)
    assert "template digest is not known" in found.message


def _reason(scores, wrong, traffic=(0.5,)):
    found = certify(scores, wrong, traffic=traffic, aim=AIM, about=ABOUT)
    assert isinstance(found, NotCertifiable)
    return found.reason


@pytest.mark.parametrize(
    "fields_",
    [{"risk_max": 0.0}, {"risk_max": 1.0}, {"delta": 0.0}, {"delta": 1.5}, {"coverage_min": 0.0}, {"parts": 0}],
)
def test_an_impossible_aim_is_refused(fields_):
    with pytest.raises(ValueError, match=next(iter(fields_))):
        Aim(**{"risk_max": 0.1} | fields_)


@pytest.mark.parametrize(("scores", "wrong"), [([0.5], []), ([float("nan")], [True]), ([float("inf")], [True])])
def test_scores_that_are_none_are_refused(scores, wrong):
    with pytest.raises(ValueError, match="scores"):
        certify(scores, wrong, traffic=[0.5], aim=AIM, about=ABOUT)


def test_delta_is_split_over_parts():
    scores, wrong = draw(1_000, 1, lambda p: 0.7 + 0.3 * p)
    one_of_five = certified(scores, wrong, replace(AIM, parts=5))
    assert one_of_five.delta == pytest.approx(0.02)
    assert one_of_five.threshold >= GOOD.threshold
    assert one_of_five.accepted <= GOOD.accepted


def test_thresholds_are_quantiles_of_traffic_strict_to_lax():
    found = thresholds([place / 100 for place in range(100)], count=4)
    assert found == tuple(
        Threshold(at=at, coverage=share) for at, share in ((0.75, 0.25), (0.5, 0.5), (0.25, 0.75), (0.0, 1.0))
    )
    assert thresholds([0.5] * 9) == (Threshold(at=0.5, coverage=1.0),)
    assert thresholds([]) == ()


def test_what_must_be_escalated_is_told_before():
    found = least_escalated(366, 1_000, 0.1)
    assert found.value == pytest.approx(0.2956, abs=1e-4)
    assert found.low < found.value < found.high
    assert least_escalated(5, 100, 0.1).value == 0.0


@pytest.mark.parametrize("name", [each.name for each in fields(ScoredOn)])
def test_any_change_voids_it_and_says_which(name):
    changed = replace(SCORED_ON, **{name: "other"})
    spoken = "part of the answer that is judged" if name == "scope" else name.replace("_", " ")
    assert void(GOOD, changed, 5_000) == f"the {spoken} is not what was certified"
    assert not applies(GOOD, changed, 5_000)
    unknown = replace(SCORED_ON, **{name: ""})
    assert void(replace(GOOD, scored_on=unknown), unknown, 5_000) == f"the {spoken} is not known"
    assert not applies(replace(GOOD, scored_on=unknown), unknown, 5_000)


def test_it_holds_until_it_expires():
    assert void(GOOD, SCORED_ON, 8_999) == ""
    assert applies(GOOD, SCORED_ON, 8_999)
    assert void(GOOD, SCORED_ON, 9_000) == "it has expired"
    two = replace(SCORED_ON, engine="x", engine_version="y")
    assert void(GOOD, two, 0) == "the engine and the engine version are not what was certified"


def test_agreement_is_not_called_right():
    agreed = certified(*draw(1_000, 1, lambda p: 0.7 + 0.3 * p), label_kind=LabelKind.AGREEMENT)
    assert "differ from a stronger model's, which is not the same as being wrong" in statement(agreed)
    assert wrong_at_most(agreed) is None
    audited = replace(agreed, audited=59, audited_wrong=0)
    assert wrong_at_most(audited) == pytest.approx(0.1 + 1 - 0.1 ** (1 / 59))
    assert "at most 13.8% of accepted answers are wrong, with 80% confidence" in statement(audited)
    assert wrong_at_most(GOOD) == 0.1


def test_regret_does_not_say_how_much_is_wrong():
    scores, faults = draw(1_000, 1, lambda p: 0.7 + 0.3 * p)
    found = certified(scores, faults, replace(AIM, fault=Fault.REGRET))
    assert "are wrong where a stronger model would have been right" in statement(found)
    assert wrong_at_most(found) is None


def test_statements_say_who_judged():
    assert statement(GOOD).startswith("At most 10.0% of accepted answers are wrong, with 90% confidence, as long as")
    feedback = certified(*draw(1_000, 1, lambda p: 0.7 + 0.3 * p), label_kind=LabelKind.FEEDBACK)
    assert "are called wrong by those who judge them" in statement(feedback)


def test_json_is_kept_whole():
    assert from_json(to_json(GOOD)) == GOOD


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": 2}, "format"),
        ({"errors": 0}, "altered"),
        ({"tenant": "other"}, "altered"),
        ({"id": "cert-0"}, "altered"),
        ({"risk_max": 0.01}, "do not prove"),
        ({"delta": 0.0}, "do not prove"),
        ({"accepted": 2_000}, "not a certificate"),
        ({"audited": -1}, "contradict"),
        ({"label_kind": "hearsay"}, "hearsay"),
        ({"more": 1}, "not a certificate"),
        ({"scored_on": 3}, "not a certificate"),
    ],
)
def test_an_altered_certificate_is_refused(change, told):
    with pytest.raises(ValueError, match=told):
        from_json(json.dumps(json.loads(to_json(GOOD)) | change))


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '"x"'])
def test_something_else_is_refused(text):
    with pytest.raises(ValueError):
        from_json(text)


def test_numbers_of_numpy_are_numbers():
    numpy = pytest.importorskip("numpy")
    scores, wrong = draw(1_000, 1, lambda p: 0.7 + 0.3 * p)
    found = certified(numpy.array(scores), numpy.array(wrong))
    assert from_json(to_json(found)) == GOOD


def test_the_sequence_tells_where_it_ended():
    scores, wrong = draw(1_000, 3)
    passed, failed = fixed_sequence(scores, wrong, thresholds(scores), AIM)
    assert failed is not None
    assert failed.p_value > 0.1
    assert passed is None or passed.p_value <= 0.1
