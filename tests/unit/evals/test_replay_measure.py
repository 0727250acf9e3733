"""Measures of a pair: the same as elsewhere in the code, unchanged by numpy, and nothing where nothing is defined."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import numpy
import pytest

from freehold.evals.replay.certified import certificates
from freehold.evals.replay.measure import NAMES, measured
from freehold.evals.replay.options import Options, Score
from freehold.evals.replay.results import PairReport
from freehold.evals.replay.run import replay
from freehold.evals.replay.select import Pair
from freehold.routing.betting import Bets, expected_delay
from freehold.routing.quality import measure_quality
from tests.support.recorded import own, tiny

OPTIONS = Options(resamples=12)


def drawn(n: int = 500, seed: int = 1, *, low: float = 0.55, high: float = 0.8, **changes: Any) -> Pair:
    """Two models, and a probability that is worth something."""
    dice = random.Random(seed)
    weak = [float(dice.random() < low) for _ in range(n)]
    sure = [min(0.99, max(0.01, 0.3 + 0.3 * right + 0.3 * dice.random())) for right in weak]
    values: dict[str, Any] = {
        "weak": "w",
        "strong": "s",
        "low": weak,
        "high": [float(dice.random() < high) for _ in range(n)],
        "weights": [1.0] * n,
        "need": [-each for each in sure],
        "sure": sure,
        "score": Score.PROBABILITY,
        "scored_by": "calibrated probability",
        "weak_cost_usd": 0.001,
        "strong_cost_usd": 0.01,
    }
    return Pair(**(values | changes))


def test_every_measure_is_there_with_its_interval() -> None:
    found = measured(drawn(), OPTIONS).numbers
    assert tuple(found) == NAMES
    for name, each in found.items():
        assert each.value is not None, name
        if name != "oracle_apgr":
            assert each.low is not None, name
            assert each.low <= each.value <= (math.inf if each.high is None else each.high), name


def test_confidence_is_measured_as_calibrations_are() -> None:
    pair = drawn(333)
    found = measured(pair, OPTIONS)
    quality = measure_quality(list(pair.sure), [right == 1 for right in pair.low])
    assert found.numbers["ece"].value == pytest.approx(quality.ece, abs=1e-12)
    assert found.numbers["auroc_of_wrong"].value == pytest.approx(quality.auroc, abs=1e-12)
    assert sum(each.answers for each in found.reliability) == pytest.approx(333, abs=5)
    assert all(each.low <= each.right <= each.high for each in found.reliability)


def test_numpy_changes_no_number() -> None:
    weights = [1.0 + (place % 4) / 3 for place in range(500)]
    for pair in (drawn(), drawn(weights=weights), drawn(need=(), sure=(), score=Score.NONE)):
        assert measured(pair, OPTIONS) == measured(pair, OPTIONS, numpy=numpy)
    weighed = drawn(200, weights=weights[:200])
    assert certificates(weighed, OPTIONS) == certificates(weighed, OPTIONS, numpy=numpy)


def test_a_weight_is_as_many_questions() -> None:
    pair = drawn(120)
    many = [place for place in range(120) for _ in range(1 + place % 3)]
    rows = {name: [getattr(pair, name)[place] for place in many] for name in ("low", "high", "need", "sure")}
    heavy = measured(replace(pair, weights=[1.0 + place % 3 for place in range(120)]), OPTIONS).numbers
    repeated = measured(replace(pair, weights=[1.0] * len(many), **rows), OPTIONS).numbers
    for name in NAMES:
        assert heavy[name].value == pytest.approx(repeated[name].value, abs=1e-9), name


def test_risk_by_hand() -> None:
    # Surest first: right, right, wrong, right, wrong.
    pair = replace(drawn(5), low=[1.0, 1.0, 0.0, 1.0, 0.0], need=[1.0, 2.0, 3.0, 4.0, 5.0])
    risk = {round(x, 3): y for x, y, _, _ in measured(pair, OPTIONS).risk.points}
    assert risk[0.4] == pytest.approx(0)
    assert risk[0.6] == pytest.approx(1 / 3)
    assert risk[0.8] == pytest.approx(1 / 4)
    assert risk[1.0] == pytest.approx(2 / 5)


def test_what_has_no_score_goes_on_first_and_is_never_accepted() -> None:
    pair = drawn(100)
    blind = replace(pair, need=[math.inf if place < 30 else need for place, need in enumerate(pair.need)])
    found = measured(blind, OPTIONS)
    assert max(x for x, *_ in found.risk.points) == pytest.approx(0.7)
    assert found.numbers["risk_at_80"].said == "too few have a score"
    seen = replace(
        pair,
        low=pair.low[30:],
        high=pair.high[30:],
        weights=pair.weights[30:],
        need=pair.need[30:],
        sure=pair.sure[30:],
    )
    assert found.numbers["auroc_of_wrong"].value == pytest.approx(
        measured(seen, OPTIONS).numbers["auroc_of_wrong"].value
    )
    assert all(cell.ideal <= 0.7 + 1e-9 for cell in certificates(blind, OPTIONS))


@pytest.mark.parametrize(
    ("pair", "name", "said"),
    [
        (drawn(low=0.8, high=0.5), "apgr", "no gap"),
        (drawn(low=0.8, high=0.5), "cpt50", "no gap"),
        (drawn(need=(), sure=(), score=Score.NONE), "apgr", "no score"),
        (drawn(need=(), sure=(), score=Score.NONE), "ece", "no score"),
        (drawn(sure=(), score=Score.AGREEMENT), "ece", "not a probability"),
        (drawn(weak_cost_usd=None), "aiq", "costs not recorded"),
        (drawn(low=1.01), "auroc_of_wrong", "all right or all wrong"),
    ],
)
def test_what_is_not_defined_is_said(pair: Pair, name: str, said: str) -> None:
    estimate = measured(pair, OPTIONS).numbers[name]
    assert (estimate.value, estimate.said) == (None, said)


def test_a_gap_that_is_too_small_is_said() -> None:
    pair = drawn(200)
    high = list(pair.low)
    wrong = [place for place, right in enumerate(high) if not right][:5]
    for place in wrong:
        high[place] = 1.0
    found = measured(replace(pair, high=high), OPTIONS).numbers
    assert found["gap"].value == pytest.approx(0.025)
    assert found["apgr"].said == "gap too small, see cloud share"
    assert found["share_for_98"].value is not None


def test_a_share_by_hand() -> None:
    pair = replace(drawn(4), low=[1.0, 0.0, 0.0, 1.0], high=[1.0, 1.0, 1.0, 1.0], need=[4.0, 3.0, 2.0, 1.0])
    found = measured(pair, OPTIONS)
    assert found.numbers["share_for_100"].value == pytest.approx(0.75)
    assert found.quality.points[0][:2] == (0.0, 0.5)
    assert found.quality.points[-1][:2] == (1.0, 1.0)


def test_the_same_seed_gives_the_same_and_another_one_other_intervals() -> None:
    pair = drawn()
    one, two, three = (measured(pair, Options(resamples=12, seed=seed)) for seed in (0, 0, 1))
    assert one == two
    assert one.numbers["apgr"].value == three.numbers["apgr"].value
    assert one.numbers["apgr"] != three.numbers["apgr"]


def test_no_resamples_are_no_intervals() -> None:
    found = measured(drawn(), Options(resamples=0)).numbers["apgr"]
    assert found.value is not None
    assert (found.low, found.high) == (None, None)


def coverage_of(report: PairReport, name: str, truth: float) -> bool:
    each = report.numbers[name]
    return each.low is not None and each.high is not None and each.low <= truth <= each.high


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    found = (measured(drawn(200, seed=seed), Options(resamples=30), numpy=numpy) for seed in range(40))
    held = sum(coverage_of(each, "weak", 0.55) for each in found)
    assert held >= 32  # 95 % of 40, less what 40 draws vary; an interval half as wide would hold 27


def test_a_certificate_keeps_its_promise_where_scores_say_nothing() -> None:
    pair = drawn(2_000, low=0.93, need=[float(place % 997) for place in range(2_000)], sure=())
    for cell in certificates(pair, Options(risk=0.05), numpy=numpy):
        assert cell.violated <= 0.1 + 3 * math.sqrt(0.09 / 400)
        assert cell.least_escalated == pytest.approx(max(0, (1 - sum(pair.low) / 2_000 - 0.05) / 0.95))


def test_a_certificate_accepts_what_it_can_prove() -> None:
    pair = drawn(2_000, low=0.9)
    few, some, many = certificates(pair, Options(risk=0.15), numpy=numpy)
    assert few.accepted <= some.accepted <= many.accepted
    assert many.certified == 1.0
    assert many.accepted > 0.9
    assert (few.labels, few.draws, few.delta) == (200, 400, 0.1)
    # Whoever accepts more has more answers shadowed, so that an alarm comes sooner.
    assert few.alarm_after is not None
    assert many.alarm_after == pytest.approx(
        expected_delay(Bets.against(0.15), 0.3, shadowed=0.2, accepted=many.accepted)
    )
    assert few.alarm_after > many.alarm_after


def test_own_outcomes_are_measured_as_if_all_had_been_labelled() -> None:
    from freehold.evals.replay.own import tables_of

    seen = replay([tables_of(own(requests=4_000))], Options(resamples=0)).workloads[0].pairs[0]
    # Probabilities are honest in that house, and even: half of the answers are right.
    assert seen.numbers["weak"].value == pytest.approx(0.5, abs=0.03)
    assert seen.numbers["ece"].value == pytest.approx(0, abs=0.04)
    assert seen.score is Score.PROBABILITY
    # Taken as they come, the labelled ones are mostly those that were escalated.
    taken = [each.right for each in own(requests=4_000) if each.right is not None]
    assert sum(taken) / len(taken) < 0.4


def test_a_set_is_replayed_by_workload() -> None:
    found = replay([tiny()], Options(resamples=5))
    assert [report.workload for report in found.workloads] == ["names", "sums"]
    assert [(pair.weak, pair.strong) for pair in found.workloads[1].pairs] == [
        ("small", "medium"),
        ("small", "large"),
        ("medium", "large"),
    ]
