"""The alarm that needs no labels: silent on the same traffic, loud on another."""

import math
import random

import pytest

from freehold.routing.novelty import (
    EMPTY,
    Reference,
    closeness,
    closeness_of_each,
    judge,
    kolmogorov_tail,
    reference,
    reference_from_json,
    seen,
    to_json,
    window_from_json,
)


def scores(n, seed, power=1.0):
    dice = random.Random(seed)
    return [dice.random() ** power for _ in range(n)]


KNOWN = reference(scores(600, 1), closeness=scores(400, 2), answers=600, unparsable=6)


def window(count, seed, *, power=1.0, far=1.0, unparsable=0.01, known=KNOWN):
    dice, found = random.Random(seed), EMPTY
    for score in scores(count, seed + 1_000, power):
        found = seen(found, known, score=score, closeness=dice.random() ** far, parsed=dice.random() >= unparsable)
    return found


def test_the_same_traffic_is_not_new():
    """Three tests at a hundredth each: of 200 windows at most 6 in the mean, and 14 but once in a hundred times."""
    alarms = sum(bool(judge(window(200, seed), KNOWN, alpha=0.01).alarm) for seed in range(200))
    assert alarms <= 14
    assert not any(judge(window(200, seed), KNOWN).psi > 0.25 for seed in range(20))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"power": 3.0}, "confidences are spread otherwise"),
        ({"far": 4.0}, "of questions are far from known ones"),
        ({"unparsable": 0.15}, "of answers cannot be parsed"),
    ],
)
def test_other_traffic_is(changed, told):
    found = judge(window(200, 5, **changed), KNOWN)
    assert told in found.alarm
    assert found.alarm.startswith("the last 200 answers are unlike those calibrated on: ")
    assert found.alarm.count(";") == 0
    if "power" in changed:
        assert found.psi > 0.25


def test_the_statistic_is_kolmogorovs():
    """Half of the traffic where a tenth was: the distance is 0.4 at that bound."""
    known = reference([place / 100 for place in range(100)])
    new = EMPTY
    for place in range(100):
        new = seen(new, known, score=0.05 if place < 50 else 0.1 + 0.9 * (place - 50) / 50)
    found = judge(new, known)
    assert found.ks == pytest.approx(0.4, abs=0.03)
    root = math.sqrt(50)
    assert found.ks_p_value == pytest.approx(kolmogorov_tail((root + 0.12 + 0.11 / root) * found.ks))


def test_kolmogorovs_distribution_is_that_of_tables():
    assert kolmogorov_tail(1.2238) == pytest.approx(0.10, abs=1e-3)
    assert kolmogorov_tail(1.3581) == pytest.approx(0.05, abs=1e-3)
    assert kolmogorov_tail(1.6276) == pytest.approx(0.01, abs=1e-3)
    assert kolmogorov_tail(0.0) == 1.0
    assert kolmogorov_tail(9.0) < 1e-60


def test_what_is_not_measured_is_not_judged():
    found = judge(seen(EMPTY, Reference()), Reference())
    assert (found.ks_p_value, found.far_p_value, found.unparsable_p_value, found.alarm) == (1.0, 1.0, 1.0, "")
    few = reference([0.5] * 49, closeness=[0.5] * 49)
    assert (few.counts, few.questions) == ((), 0)
    nothing = EMPTY
    for _ in range(50):
        nothing = seen(nothing, KNOWN)
    found = judge(nothing, KNOWN)
    assert (found.answers, found.ks_p_value, found.far_p_value, found.unparsable_p_value) == (50, 1.0, 1.0, 1.0)


def test_scores_that_are_all_equal_are_one_cell():
    known = reference([0.5] * 100)
    assert known.edges == ()
    found = judge(seen(EMPTY, known, score=0.5), known)
    assert (found.ks, found.psi, found.alarm) == (0.0, 0.0, "")


def test_closeness_is_the_mean_cosine_to_the_nearest():
    known = [(1.0, 0.0), (0.8, 0.6), (0.0, 1.0), (-1.0, 0.0)]
    assert closeness((1.0, 0.0), known, neighbours=2) == pytest.approx(0.9)
    assert closeness((1.0, 0.0), known[:1]) == pytest.approx(1.0)
    assert closeness_of_each(known, neighbours=1) == pytest.approx([0.8, 0.8, 0.6, 0.0])


def test_numpy_gives_the_same():
    numpy = pytest.importorskip("numpy")
    dice = random.Random(3)
    known = []
    for _ in range(120):
        vector = [dice.gauss(0, 1) for _ in range(8)]
        length = math.sqrt(sum(each * each for each in vector))
        known.append([each / length for each in vector])
    assert closeness_of_each(known, numpy=numpy) == pytest.approx(closeness_of_each(known))
    assert closeness_of_each(known[:3], numpy=numpy) == pytest.approx(closeness_of_each(known[:3]))


def test_states_are_kept_and_resumed():
    half = window(100, 5)
    assert reference_from_json(to_json(KNOWN)) == KNOWN
    assert window_from_json(to_json(half), KNOWN) == half
    assert window_from_json(to_json(EMPTY), KNOWN) == EMPTY
    with pytest.raises(ValueError, match="40 cells were counted, the reference has 0"):
        window_from_json(to_json(half), Reference())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"edges": 1, "counts": []}',
        '{"edges": [2, 1], "counts": [1, 1, 1]}',
        '{"edges": [], "counts": [], "more": 1}',
    ],
)
def test_something_else_is_refused(text):
    with pytest.raises(ValueError):
        reference_from_json(text)
