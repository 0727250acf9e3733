"""Tails and bounds against exact arithmetic and published tables."""

from decimal import Decimal, localcontext

import pytest

from freehold.routing.binomial import (
    binomial_tail,
    clopper_pearson,
    fisher_tail,
    later_tail,
    share_at_least,
    share_at_most,
    smallest_sample,
)


def exact(most, n, share):
    """The tail in forty digits, from the first term up."""
    with localcontext() as digits:
        digits.prec = 40
        p = Decimal(str(share))
        term = total = (1 - p) ** n
        for k in range(1, most + 1):
            term *= Decimal(n - k + 1) / k * p / (1 - p)
            total += term
        return float(total)


def test_tails_are_those_of_tables():
    assert binomial_tail(0, 59, 0.05) == pytest.approx(0.95**59)
    assert binomial_tail(2, 10, 0.3) == pytest.approx(0.3827827864)
    assert binomial_tail(10, 10, 0.5) == 1.0


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("n", [1, 7, 60, 400])
def test_tails_are_exact_on_both_sides_of_the_mean(n, share):
    for most in {0, n // 20, n // 5, n // 2, n * 9 // 10, n - 1}:
        assert binomial_tail(most, n, share) == pytest.approx(exact(most, n, share), rel=1e-9, abs=1e-15)


def test_large_counts_neither_overflow_nor_lose_what_matters():
    assert binomial_tail(5_000, 100_000, 0.05) == pytest.approx(0.5, abs=0.005)
    assert binomial_tail(4_800, 100_000, 0.05) == pytest.approx(exact(4_800, 100_000, 0.05), rel=1e-7)
    assert binomial_tail(0, 100_000, 0.5) == 0.0
    assert binomial_tail(99_999, 100_000, 1e-9) == 1.0


def test_the_edges():
    assert binomial_tail(-1, 5, 0.3) == 0.0
    assert binomial_tail(9, 5, 0.3) == 1.0
    assert binomial_tail(0, 0, 0.3) == 1.0
    assert binomial_tail(0, 5, 0.0) == 1.0
    assert binomial_tail(4, 5, 1.0) == 0.0
    for n, share in ((5, 1.1), (5, -0.1), (-1, 0.5), (5, float("nan"))):
        with pytest.raises(ValueError, match="no binomial distribution"):
            binomial_tail(0, n, share)


def test_intervals_are_clopper_and_pearsons():
    found = clopper_pearson(10, 100)
    assert (found.low, found.high) == (pytest.approx(0.04900469, abs=1e-7), pytest.approx(0.17622260, abs=1e-7))
    assert share_at_most(0, 59, 0.05) == pytest.approx(1 - 0.05 ** (1 / 59))
    assert share_at_least(0, 10, 0.05) == 0.0
    assert share_at_most(10, 10, 0.05) == 1.0
    assert share_at_most(0, 0, 0.05) == 1.0


SMALLEST = {
    (0.20, 0.05): (14, 22, 30, 50),
    (0.20, 0.10): (11, 18, 25, 45),
    (0.10, 0.05): (29, 46, 61, 103),
    (0.10, 0.10): (22, 38, 52, 91),
    (0.05, 0.05): (59, 93, 124, 208),
    (0.05, 0.10): (45, 77, 105, 184),
    (0.02, 0.05): (149, 236, 313, 523),
    (0.02, 0.10): (114, 194, 265, 462),
    (0.01, 0.05): (299, 473, 628, 1_049),
    (0.01, 0.10): (230, 388, 531, 926),
}


@pytest.mark.parametrize(("risk", "delta"), SMALLEST)
def test_the_smallest_accepted_sample(risk, delta):
    found = tuple(smallest_sample(errors, risk, delta) for errors in (0, 1, 2, 5))
    assert found == SMALLEST[risk, delta]


def test_the_smallest_sample_is_the_smallest():
    for errors in (0, 3, 40):
        n = smallest_sample(errors, 0.07, 0.1)
        assert binomial_tail(errors, n, 0.07) <= 0.1 < binomial_tail(errors, n - 1, 0.07)


def test_later_values_below_an_early_one_are_counted_exactly():
    """All orders of 3 early and 2 later values are equally likely: 2 of 10 choices of places have both below."""
    assert later_tail(0, 2, rank=1, seen=3) == pytest.approx(1.0)
    assert later_tail(2, 2, rank=1, seen=3) == pytest.approx(1 / 10)
    assert later_tail(1, 2, rank=1, seen=3) == pytest.approx(4 / 10)


def test_fishers_test_is_the_hypergeometric_tail():
    assert fisher_tail(3, 3, before=0, seen=3) == pytest.approx(1 / 20)
    assert fisher_tail(0, 5, before=2, seen=9) == pytest.approx(1.0)
    assert fisher_tail(3, 4, before=1, seen=4) == pytest.approx(17 / 70)
