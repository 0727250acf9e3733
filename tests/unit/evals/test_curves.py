"""Curves of routers: values known by hand, values recorded elsewhere, and the same numbers with numpy and without."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy
import pytest

from freehold.evals.arrays import arrays
from freehold.evals.curves import Curve, Interval, Ranking, aiq, bootstrap, interval_of, mean_over
from tests.support.shared_data import shared_data

BOTH = pytest.mark.parametrize("module", [None, numpy], ids=["plain", "numpy"])


def outcomes(n: int, seed: int) -> tuple[list[float], list[float], list[float]]:
    """Scores (with ties), and whether the weak and the strong model were right."""
    drawn = random.Random(seed)
    weak = [float(drawn.random() < 0.6) for _ in range(n)]
    strong = [float(drawn.random() < 0.8) for _ in range(n)]
    return [round(drawn.random() - 0.3 * right, 2) for right in weak], weak, strong


@BOTH
def test_a_score_that_says_nothing_is_a_straight_line(module: Any) -> None:
    _, weak, strong = outcomes(300, 0)
    curve = Curve([1.0] * 300, weak, strong, numpy=module)
    assert curve.apgr() == pytest.approx(0.5)
    assert curve.cpt(0.3) == pytest.approx(0.3, abs=6e-4)
    assert curve.quality(0.25) == pytest.approx(curve.weak + (curve.strong - curve.weak) / 4)


@BOTH
def test_a_perfect_score_by_hand(module: Any) -> None:
    # Four questions: the strong model alone is right at the first two, the weak one alone at the last.
    curve = Curve([3, 2, 1, 0], [0, 0, 1, 1], [1, 1, 1, 0], numpy=module)
    assert (curve.weak, curve.strong) == (0.5, 0.75)
    assert [curve.quality(share) for share in (0, 0.25, 0.5, 0.75, 1)] == [0.5, 0.75, 1, 1, 0.75]
    assert [curve.pgr(share) for share in (0.125, 0.25, 0.5)] == [0.5, 1, 2]
    # Trapezoids on quarters: (0 + 1)/2, (1 + 2)/2, 2, (2 + 1)/2.
    assert curve.apgr() == pytest.approx((0.5 + 1.5 + 2 + 1.5) / 4)
    assert (curve.cpt(0.5), curve.cpt(2), curve.cpt(2.01)) == (0.125, 0.5, None)
    assert (curve.share_for(0.5), curve.share_for(1), curve.share_for(2)) == (0.0, 0.25, None)
    assert curve.points() == [(0, 0.5), (0.25, 0.75), (0.5, 1), (0.75, 1), (1, 0.75)]


def test_equal_scores_are_taken_in_expectation() -> None:
    scores, weak, strong = outcomes(60, 3)
    tied = [round(score, 1) for score in scores]
    found: list[float] = []
    for seed in range(4_000):
        order = random.Random(seed)
        found.append(Curve([score + order.random() * 1e-6 for score in tied], weak, strong).quality(0.37))
    assert Curve(tied, weak, strong).quality(0.37) == pytest.approx(sum(found) / len(found), abs=2e-3)


@BOTH
def test_a_weight_is_as_many_questions(module: Any) -> None:
    scores, weak, strong = outcomes(50, 4)
    weights = [1 + place % 3 for place in range(50)]
    many = [place for place in range(50) for _ in range(weights[place])]
    one = Curve(scores, weak, strong, weights, numpy=module)
    other = Curve(*([row[place] for place in many] for row in (scores, weak, strong)), numpy=module)
    assert one.apgr() == pytest.approx(other.apgr(), abs=1e-12)
    assert (one.weak, one.strong, one.cpt(0.5)) == (
        pytest.approx(other.weak),
        pytest.approx(other.strong),
        other.cpt(0.5),
    )


@pytest.mark.parametrize("seed", range(5))
def test_numpy_changes_no_number(seed: int) -> None:
    scores, weak, strong = outcomes(777, seed)
    plain, quick = (Curve(scores, weak, strong, numpy=module) for module in (None, numpy))
    assert plain.apgr() == quick.apgr()
    assert [plain.cpt(each) for each in (0.5, 0.8)] == [quick.cpt(each) for each in (0.5, 0.8)]
    assert plain.points() == quick.points()
    assert [plain.quality(point / 97) for point in range(98)] == [quick.quality(point / 97) for point in range(98)]


def test_no_gap_is_said() -> None:
    curve = Curve([1, 2], [1, 1], [1, 0])
    for measure in (curve.apgr, lambda: curve.cpt(0.5), lambda: curve.pgr(0.5)):
        with pytest.raises(ValueError, match=r"no gap: the strong model's quality is 0\.5000, the weak one's 1\.0000"):
            measure()
    assert curve.share_for(1) == 0.0


@pytest.mark.parametrize(("weak", "weights"), [([], None), ([1.0], [0.0])])
def test_no_questions_are_no_curve(weak: Sequence[float], weights: Sequence[float] | None) -> None:
    with pytest.raises(ValueError, match="no questions"):
        Curve(weak, weak, weak, weights)


def test_average_improvement_in_quality() -> None:
    # The point (2, 0.4) lies below the line from (1, 0.5) to (3, 0.7): it is dominated.
    assert aiq([(1, 0.5), (2, 0.4), (3, 0.7)]) == pytest.approx(0.6)
    # Paying more for less is nobody's choice: the hull goes on level.
    assert aiq([(1, 0.5), (2, 0.7), (3, 0.6)]) == pytest.approx((0.6 + 0.7) / 2)
    assert aiq([(1, 0.2), (1, 0.5), (3, 0.7)]) == pytest.approx(0.6)
    with pytest.raises(ValueError, match="two of them"):
        aiq([(1, 0.5), (1, 0.7)])


def test_mean_over_a_range() -> None:
    points = [(1.0, 0.4), (3.0, 0.2)]
    assert mean_over(points, 1, 3) == pytest.approx(0.3)
    assert mean_over(points, 0, 1) == pytest.approx(0.4)
    assert mean_over(points, 2, 4) == pytest.approx((0.25 + 0.2) / 2)
    with pytest.raises(ValueError, match="no area"):
        mean_over(points, 3, 3)


@pytest.mark.parametrize("count", [1, 2, 13, 1_000])
@pytest.mark.parametrize("seed", [0, 1, -1, 2**64 + 5])
def test_draws_are_the_same_everywhere(count: int, seed: int) -> None:
    plain, quick = (list(arrays(module).draws(count, seed=seed, times=3)) for module in (None, numpy))
    assert [list(each) for each in quick] == plain
    assert {place for each in plain for place in each} <= set(range(count))


def test_draws_are_even() -> None:
    counts = [0] * 10
    for places in arrays().draws(10, seed=7, times=2_000):
        for place in places:
            counts[place] += 1
    assert max(abs(count - 2_000) for count in counts) < 5 * math.sqrt(2_000 * 0.9)


@BOTH
def test_the_interval_of_a_mean_is_the_one_of_theory(module: Any) -> None:
    values = [float(place % 4 == 0) for place in range(400)]
    found = bootstrap(
        400, lambda places: sum(values[place] for place in places) / len(places), seed=1, draws=400, numpy=module
    )
    half = 1.96 * math.sqrt(0.25 * 0.75 / 400)
    assert found.value == 0.25
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.15)
    assert found.low == pytest.approx(0.25 - half, abs=0.01)


def test_an_interval_holds_its_value() -> None:
    assert interval_of(5.0, [1.0, 2.0, 3.0]) == Interval(value=5.0, low=1.0, high=5.0)


@BOTH
def test_a_ranking_serves_many_weights(module: Any) -> None:
    scores, weak, strong = outcomes(200, 9)
    on = arrays(module)
    ranking = Ranking(scores, on)
    for places in on.draws(200, seed=3, times=5):
        drawn = [int(place) for place in places]
        again = Curve(*([row[place] for place in drawn] for row in (scores, weak, strong)))
        assert Curve(ranking, weak, strong, on.counts(places, 200)).apgr() == pytest.approx(again.apgr(), abs=1e-12)


def recorded(name: str, benchmark: str, weak: str, strong: str) -> tuple[list[float], list[float], list[float]]:
    """Log-probabilities of the weak model (0 where none), and whether either was right, on the test split."""
    from freehold.evals.replay.tables import read_tables, sets_at

    tables = read_tables(sets_at(shared_data("routing") / name)[0])
    asked = [
        each.qid
        for each in tables.queries
        if each.benchmark == benchmark and each.split == "test" and each.flag != "contaminated"
    ]
    by = {(each.qid, each.model): each for each in tables.outcomes}
    rows = [(by[qid, weak], by[qid, strong]) for qid in asked]
    return (
        [low.conf or 0.0 for low, _ in rows],
        [low.correct or 0.0 for low, _ in rows],
        [high.correct or 0.0 for _, high in rows],
    )


@pytest.mark.parametrize(("benchmark", "oracle"), [("mmlu", 1.2853), ("gsm8k", 1.121)])
def test_the_oracle_of_recorded_outcomes(benchmark: str, oracle: float) -> None:
    pytest.importorskip("pyarrow", reason="the recorded sets are Parquet")
    _, weak, strong = recorded("routellm", benchmark, "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview")
    gains = [high - low for low, high in zip(weak, strong, strict=True)]
    assert Curve(gains, weak, strong, numpy=numpy).apgr() == pytest.approx(oracle, abs=5e-4)


def test_the_confidence_of_recorded_answers() -> None:
    pytest.importorskip("pyarrow", reason="the recorded sets are Parquet")
    conf, weak, strong = recorded("cascade", "mmlu", "llama3.1-8b", "gpt-4o")
    curve = Curve([-each for each in conf], weak, strong)
    assert curve.apgr() == pytest.approx(0.687, abs=5e-4)
    assert (curve.cpt(0.5), curve.cpt(0.8)) == (pytest.approx(0.300, abs=6e-4), pytest.approx(0.511, abs=6e-4))
