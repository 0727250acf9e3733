import pytest

from freehold.routing.linear import solve
from freehold.routing.quality import auroc, bins, coverage_risk, measure_quality, selective_risk


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


def test_coverage_against_risk_takes_equal_probabilities_together():
    pairs = [(0.9, True), (0.5, True), (0.5, False), (0.1, False)]
    found = [(point.accept_at, point.coverage, point.risk) for point in coverage_risk(pairs)]
    assert found == [(0.9, 0.25, 0.0), (0.5, 0.75, pytest.approx(1 / 3)), (0.1, 1.0, 0.5)]
    assert coverage_risk([]) == []


def test_a_long_curve_is_thinned_and_still_ends_at_the_whole():
    pairs = [(place / 1_000, place % 3 > 0) for place in range(1_000)]
    found = coverage_risk(pairs, most=10)
    assert [round(point.coverage, 2) for point in found] == [round(step / 10, 2) for step in range(1, 11)]
    assert found[-1].risk == pytest.approx(0.334)


def test_selective_risk_is_the_mean_over_coverages():
    ordered = [(0.9, True), (0.8, True), (0.1, False), (0.0, False)]
    assert selective_risk(ordered) == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
    assert selective_risk([(0.5, right) for _, right in ordered]) == pytest.approx(0.5)
    assert selective_risk(ordered) < selective_risk([(1 - at, right) for at, right in ordered])
