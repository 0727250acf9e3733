import pytest

from freehold.routing.linear import solve
from freehold.routing.quality import auroc, bins, measure_quality


def test_auroc_counts_pairs_with_ties_as_half():
    assert auroc([(0.1, False), (0.4, True), (0.6, False), (0.9, True)]) == 0.75
    assert auroc([(0.5, False), (0.5, True)]) == 0.5
    assert auroc([(0.2, True), (0.5, True)]) == 0.5
    assert auroc([(0.2, False), (0.5, True)]) == 1.0


def test_perfect_probabilities_have_no_error():
    found = measure_quality([0.0] * 10 + [1.0] * 10, [False] * 10 + [True] * 10)
    assert (found.n, found.accuracy, found.auroc, found.ece, found.brier) == (20, 0.5, 1.0, 0.0, 0.0)


def test_overconfidence_shows_as_calibration_error():
    found = measure_quality([0.9] * 10, [True] * 5 + [False] * 5)
    assert found.ece == pytest.approx(0.4)
    assert found.brier == pytest.approx((0.01 + 0.81) / 2)


def test_bins_hold_equal_mass_and_everything():
    pairs = [(index / 25, index % 2 == 0) for index in range(25)]
    found = bins(pairs)
    assert sum(count for *_, count in found) == 25
    assert {count for *_, count in found} <= {2, 3}
    assert bins([(0.5, True)]) == [(0.5, 1.0, 1)]


def test_solve():
    assert solve([[4.0, 0.0], [2.0, 3.0]], [10.0, 11.0]) == pytest.approx([1.0, 3.0])
    with pytest.raises(ValueError, match="positive definite"):
        solve([[1.0, 0.0], [2.0, 1.0]], [1.0, 1.0])
