"""What a run is judged by: bars, slopes, tables, and where a result goes."""

from __future__ import annotations

import math

import pytest

from bench.bars import Bar, all_of, bar_table, fitted, markdown, summary, with_section


@pytest.mark.parametrize(
    ("measured", "is_floor", "holds"),
    [(1.0, False, True), (1.01, False, False), (1.0, True, True), (0.99, True, False), (math.nan, True, False)],
)
def test_a_bar_holds_at_its_limit(measured: float, is_floor: bool, holds: bool) -> None:
    assert Bar(what="x", measured=measured, needed=1.0, is_floor=is_floor).holds is holds


def test_what_was_not_measured_does_not_hold() -> None:
    bar = Bar(what="x", measured=None, needed=1.0)
    assert not bar.holds
    assert bar.row() == ["x", "–", "≤ 1", "**not measured**"]


def test_bars_are_shown_with_their_limits() -> None:
    bars = [Bar(what="slow", measured=0.31, needed=0.3, unit=" ms"), all_of("cases", 42, 42)]
    assert bar_table(bars).splitlines() == [
        "| bar | measured | needed |  |",
        "|---|---|---|---|",
        "| slow | 0.31 ms | ≤ 0.3 ms | **does not hold** |",
        "| cases | 42 | ≥ 42 | holds |",
    ]
    assert summary(bars) == "1 of 2 bars hold; not: slow"
    assert summary(bars[1:]) == "1 of 1 bars hold"


def test_a_large_limit_is_shown_whole() -> None:
    assert Bar(what="x", measured=3e5, needed=300_000, digits=0).row()[1:3] == ["300,000", "≤ 300,000"]


def test_a_straight_line_is_found_with_its_error() -> None:
    exact = fitted([0, 1, 2, 3], [5, 7, 9, 11])
    assert (exact.slope, exact.standard_error) == (pytest.approx(2), pytest.approx(0))
    noisy = fitted([0, 1, 2, 3], [0, 1, 0, 1])
    assert noisy.slope == pytest.approx(0.2)
    assert noisy.standard_error == pytest.approx(math.sqrt(0.8 / 2 / 5))
    with pytest.raises(ValueError, match="2 points"):
        fitted([0, 1], [0, 1])


PAGE = "# Page\n\nIntro.\n\n## One\n\nold\n\n### Deeper\n\nold\n\n## Two\n\nkept\n"


def test_a_section_is_replaced_whole_and_alone() -> None:
    assert with_section(PAGE, "One", "new\n") == "# Page\n\nIntro.\n\n## One\n\nnew\n\n## Two\n\nkept\n"
    assert with_section(PAGE, "Two", "new") == PAGE.replace("kept", "new")
    assert with_section(PAGE, "Three", "new") == PAGE + "\n## Three\n\nnew\n"
    assert with_section(with_section(PAGE, "One", "x"), "One", "x") == with_section(PAGE, "One", "x")


def test_a_table_has_a_line_below_its_head() -> None:
    assert markdown(["a", "b"], [["1", "2"]]) == "| a | b |\n|---|---|\n| 1 | 2 |"
