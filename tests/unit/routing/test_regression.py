"""The regression finds the one minimum, from anywhere, with numpy or without."""

import math
import random

import numpy
import pytest

from freehold.routing.calibration import logistic
from freehold.routing.regression import Design, isotonic, log_losses, platt

DICE = random.Random(1)
ROWS = [[1.0, DICE.gauss(0, 1), DICE.gauss(0, 1)] for _ in range(300)]
OUTCOMES = [float(DICE.random() < logistic(0.5 + 2 * row[1] - row[2])) for row in ROWS]
PENALTIES = (0.0, 2.0, 2.0)


def slope_at(weights, centre):
    """The gradient of what is minimised: nought at the minimum."""
    slacks = [logistic(sum(map(float.__mul__, weights, row))) - each for row, each in zip(ROWS, OUTCOMES, strict=True)]
    pulls = [penalty * (weight - at) for penalty, weight, at in zip(PENALTIES, weights, centre, strict=True)]
    return [sum(slack * row[i] for slack, row in zip(slacks, ROWS, strict=True)) + pulls[i] for i in range(3)]


@pytest.mark.parametrize("module", [None, numpy], ids=["lists", "numpy"])
@pytest.mark.parametrize("centre", [(0.0, 0.0, 0.0), (0.0, 3.0, -1.0), (5.0, -20.0, 20.0)])
def test_it_ends_where_nothing_is_steep(module, centre):
    found = Design(ROWS, OUTCOMES, numpy=module).fit(range(300), penalties=PENALTIES, centre=centre)
    assert slope_at(found, centre) == pytest.approx([0.0] * 3, abs=1e-4)


@pytest.mark.parametrize("start", [(0.0, 0.0, 0.0), (0.0, -30.0, 30.0), (40.0, 0.0, 0.0)])
def test_where_it_starts_says_nothing(start):
    """Plain Newton steps from a start that is sure of the wrong thing never come back."""
    design = Design(ROWS, OUTCOMES)
    found = design.fit(range(300), penalties=PENALTIES, centre=(0.0, 0.0, 0.0), start=start)
    assert found == pytest.approx(design.fit(range(300), penalties=PENALTIES, centre=(0.0, 0.0, 0.0)), abs=1e-6)


def test_only_the_places_count():
    design = Design(ROWS, OUTCOMES)
    part = design.fit(range(100), penalties=PENALTIES, centre=(0.0, 0.0, 0.0))
    alone = Design(ROWS[:100], OUTCOMES[:100]).fit(range(100), penalties=PENALTIES, centre=(0.0, 0.0, 0.0))
    assert part == alone
    assert design.scores(part, [3]) == [sum(map(float.__mul__, part, ROWS[3]))]
    assert Design(ROWS, OUTCOMES, numpy=numpy).scores(part, [3]) == pytest.approx(design.scores(part, [3]))


def test_platt_recovers_a_scale():
    dice = random.Random(2)
    log_odds = [dice.gauss(0, 2) for _ in range(4_000)]
    right = [dice.random() < logistic(each) for each in log_odds]
    slope, offset = platt([each / 5 + 1 for each in log_odds], right)
    assert (slope, offset) == (pytest.approx(5.0, rel=0.1), pytest.approx(-5.0, rel=0.1))
    slope, offset = platt(log_odds, right, identity=3.0)
    assert (slope, offset) == (pytest.approx(1.0, abs=0.1), pytest.approx(0.0, abs=0.1))


def test_a_map_that_is_drawn_to_the_identity_stays_there_without_evidence():
    assert platt([3.0, -3.0, 2.0], [True, False, True], identity=1e6) == (
        pytest.approx(1.0),
        pytest.approx(0.0, abs=1e-3),
    )
    slope, _ = platt([3.0, -3.0], [False, True])
    assert slope == 0.0


def test_isotonic_pools_what_falls():
    assert isotonic([1.0, 2.0, 3.0, 4.0], [False, True, False, True]) == ((1.0, 0.0), (2.5, 0.5), (4.0, 1.0))


def test_losses_do_not_overflow():
    assert log_losses([0.0, 1e4, -1e4], [True, True, True]) == pytest.approx([math.log(2), 0.0, 1e4])
