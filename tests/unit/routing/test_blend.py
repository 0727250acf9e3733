"""Blending scores that were made out of sample."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from freehold.routing.blend import blend, guarded, paired_z

N = 400


def _noise(seed: int, scale: float = 1.0) -> list[float]:
    draw = random.Random(seed)
    return [draw.gauss(0, scale) for _ in range(N)]


def _plus(*columns: list[float]) -> list[float]:
    return [sum(row) for row in zip(*columns, strict=True)]


def test_what_explains_more_weighs_more() -> None:
    good, poor = _noise(1), _noise(2)
    gains = _plus(good, [0.2 * each for each in poor], _noise(3))
    first, second = blend([good, poor], gains)
    assert first > 2 * second > 0


def test_no_weight_is_negative() -> None:
    good = _noise(1)
    wrong_way_round = [-each for each in good]
    weights = blend([good, wrong_way_round], _plus(good, _noise(2)))
    assert weights[0] > 0 == weights[1]


def test_a_column_that_never_changes_has_no_weight() -> None:
    good = _noise(1)
    assert blend([good, [0.5] * N], _plus(good, _noise(2)))[1] == 0


def test_few_outcomes_leave_the_weights_nearly_equal() -> None:
    good, poor = _noise(1)[:8], _noise(2)[:8]
    few = blend([good, poor], _plus(_noise(1), _noise(4))[:8])
    many = blend([_noise(1), _noise(2)], _plus(_noise(1), _noise(4)))
    assert few[1] / sum(few) > many[1] / sum(many)


def test_the_guard_takes_two_signals_that_each_tell_something() -> None:
    one, other = _noise(1), _noise(2)
    assert min(guarded([one, other], _plus(one, other, _noise(3)))) > 0


def test_the_guard_falls_back_to_the_better_one() -> None:
    one, nothing = _noise(1), _noise(2)
    gains = _plus(one, _noise(3))
    assert guarded([one, nothing], gains) == [1.0, 0.0]
    assert guarded([nothing, one], gains) == [0.0, 1.0]


@given(st.lists(st.floats(-1, 1), min_size=0, max_size=30))
def test_a_paired_z_is_a_mean_over_its_error(values: list[float]) -> None:
    found = paired_z(values)
    assert not math.isnan(found)
    assert paired_z([-each for each in values]) == -found or math.isclose(paired_z([-each for each in values]), -found)


def test_a_paired_z_of_what_never_differs() -> None:
    assert paired_z([]) == paired_z([1.0]) == paired_z([0.0, 0.0]) == 0
    assert paired_z([0.5] * 4) == math.inf
    assert math.isclose(paired_z([1.0, 0.0, 1.0, 0.0]), 0.5 / math.sqrt(1 / 3 / 4))
