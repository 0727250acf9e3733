"""Rounding half to even."""

from __future__ import annotations

import pytest

from freehold.ledger.rounding import divide_half_even


@pytest.mark.parametrize(
    ("numerator", "denominator", "result"),
    [(1, 2, 0), (3, 2, 2), (5, 2, 2), (-1, 2, 0), (-3, 2, -2), (7, 3, 2), (8, 3, 3), (0, 9, 0), (10**30, 1, 10**30)],
)
def test_divide(numerator, denominator, result):
    assert divide_half_even(numerator, denominator) == result


@pytest.mark.parametrize("denominator", [0, -2])
def test_a_denominator_is_positive(denominator):
    with pytest.raises(ValueError, match="cannot divide"):
        divide_half_even(1, denominator)
