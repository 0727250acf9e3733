"""The decision on a new version: check values of Tango's interval, the four verdicts, and levels that hold."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.routing.canary import (
    ALPHA,
    LEAST,
    CanaryVerdict,
    Pair,
    compare,
    level,
    lower_bound,
    quantile,
    questions_needed,
    score,
)

Z = 1.6448536269514722


def shows(delta: float) -> Callable[[int, int, int], bool]:
    return lambda lost, won, n: score(lost, won, n, -delta) > Z


def pairs(lost: int, won: int, n: int) -> list[Pair]:
    both = n - lost - won
    return [
        *[Pair(old=True, new=False)] * lost,
        *[Pair(old=False, new=True)] * won,
        *[Pair(old=True, new=True)] * both,
    ]


@pytest.mark.parametrize(
    ("lost", "won", "n", "low"),
    [(6, 4, 120, -0.06554), (10, 5, 120, -0.09940), (20, 4, 120, -0.20198), (15, 14, 500, -0.02049)],
)
def test_the_interval_has_its_check_values(lost: int, won: int, n: int, low: float) -> None:
    """From the project's notes, computed elsewhere."""
    assert quantile(0.05) == pytest.approx(Z, abs=1e-12)
    assert lower_bound(lost, won, n, z=Z) == pytest.approx(low, abs=1e-5)


@pytest.mark.parametrize(
    ("lost", "won", "n", "verdict"),
    [
        (6, 4, 120, CanaryVerdict.UNDECIDED),
        (20, 4, 120, CanaryVerdict.WORSE),
        (15, 14, 500, CanaryVerdict.NOT_WORSE),
        (2, 30, 120, CanaryVerdict.BETTER),
        (0, 0, 53, CanaryVerdict.NOT_WORSE),
        (0, 0, 20, CanaryVerdict.UNDECIDED),
        (0, 0, 0, CanaryVerdict.UNDECIDED),
        (5, 0, 5, CanaryVerdict.WORSE),
    ],
)
def test_verdicts(lost: int, won: int, n: int, verdict: CanaryVerdict) -> None:
    found = compare(pairs(lost, won, n))
    assert found.verdict is verdict
    assert found.verdict.passes == (verdict in {CanaryVerdict.BETTER, CanaryVerdict.NOT_WORSE})
    assert (found.questions, found.lost, found.won) == (n, lost, won)
    assert (found.more > 0) == (verdict is CanaryVerdict.UNDECIDED)


def test_answers_that_nobody_can_judge_count_against_the_new_version() -> None:
    same, other = Pair(alike=True), Pair(alike=False)
    assert compare([same] * 60).verdict is CanaryVerdict.NOT_WORSE
    doubted = compare([same] * 60 + [other] * 10)
    assert doubted.verdict is CanaryVerdict.UNDECIDED, "never worse: they may all be better"
    assert doubted.unknown == 10
    assert compare([same] * 60 + [Pair(alike=None)] * 10) == doubted


def test_a_calibrated_judge_says_what_is_at_most_lost() -> None:
    same = [Pair(alike=True)] * 200
    sure_right, sure_wrong = Pair(alike=False, old_chance=1.0), Pair(alike=False, old_chance=0.0)
    assert compare(same + [sure_wrong] * 12).verdict is CanaryVerdict.NOT_WORSE
    assert compare(same + [sure_right] * 12).verdict is CanaryVerdict.UNDECIDED
    doubted = compare(same[:40] + [sure_right] * 40)
    assert doubted.verdict is CanaryVerdict.UNDECIDED, "another answer may be right, too: that needs somebody who knows"
    assert doubted.low < -0.5
    half = compare(same + [Pair(alike=False, old_chance=0.5)] * 12)
    assert compare(same + [sure_right] * 12).low < half.low < compare(same + [sure_wrong] * 12).low


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 200))
def test_the_bound_lies_below_what_was_seen_and_its_score_is_the_level(lost: int, won: int, both: int) -> None:
    n = lost + won + both
    low = lower_bound(lost, won, n, z=Z)
    assert -1.0 <= low <= ((won - lost) / n if n else 0.0)
    if low > -1.0 and n:
        assert score(lost, won, n, low) == pytest.approx(1.6449, abs=0.01)
    if won:
        assert lower_bound(lost + 1, won - 1, n, z=Z) <= low


def test_delta_is_a_share() -> None:
    for wrong in (0.0, 1.0, -0.1):
        with pytest.raises(ValueError, match="delta"):
            compare([], delta=wrong)
        with pytest.raises(ValueError, match="alpha"):
            compare([], alpha=wrong)


@pytest.mark.parametrize("share", [0.06, 0.12, 0.2])
def test_a_version_that_is_worse_by_delta_passes_in_one_of_twenty_at_most(share: float) -> None:
    """At the boundary, where a wrong pass is likeliest; 4,000 draws."""
    draw, n, delta, passed = random.Random(7), 200, 0.05, 0
    lost_share = (share + delta) / 2
    for _ in range(4_000):
        thrown = [draw.random() for _ in range(n)]
        lost = sum(each < lost_share for each in thrown)
        won = sum(lost_share <= each < share for each in thrown)
        passed += score(lost, won, n, -delta) > 1.6449
    assert passed / 4_000 <= 0.06


def test_as_many_questions_as_are_told_are_enough() -> None:
    draw, passed = random.Random(3), 0
    needed = questions_needed(23, 200, shows=shows(0.05))
    assert 297 <= needed <= 400, "the formula's 297 at a share of 12 % is slightly short"
    for _ in range(1_000):
        differing = sum(draw.random() < 24 / 202 for _ in range(needed))
        lost = sum(draw.random() < 0.5 for _ in range(differing))
        passed += score(lost, differing - lost, needed, -0.05) > 1.6449
    assert passed / 1_000 >= 0.77
    assert questions_needed(1_000, 1_000, shows=shows(0.001)) == 0, "no number that anybody would ask"


def test_levels_of_all_looks_add_up_to_no_more_than_there_is() -> None:
    levels = [level(each) for each in range(50)]
    assert sum(levels) == pytest.approx(ALPHA)
    assert sum(levels) <= ALPHA
    assert levels == sorted(levels, reverse=True)
    assert levels[0] == pytest.approx(0.035)


def test_few_questions_show_nothing_but_that_it_is_worse() -> None:
    assert compare(pairs(0, 20, 29)).verdict is CanaryVerdict.BETTER
    few = compare(pairs(0, 20, 29), least=LEAST)
    assert (few.verdict, few.more > 0) == (CanaryVerdict.UNDECIDED, True)
    assert compare(pairs(0, 20, 30), least=LEAST).verdict is CanaryVerdict.BETTER
    assert compare(pairs(20, 0, 29), least=LEAST).verdict is CanaryVerdict.WORSE


def test_a_later_look_has_to_be_clearer() -> None:
    answers = pairs(8, 7, 200)
    first, second = (compare(answers, alpha=level(each)) for each in range(2))
    assert (first.verdict, second.verdict) == (CanaryVerdict.NOT_WORSE, CanaryVerdict.UNDECIDED)
    assert second.low < first.low < first.high < second.high
    assert second.more > 0


def test_a_version_that_is_worse_by_delta_passes_in_one_of_twenty_at_most_over_all_looks() -> None:
    """At 100, 200, 400 and 800 questions, each set holding the one before; with one threshold for all it is more."""
    draw, wrong, as_before = random.Random(11), 0, 0
    for _ in range(1_500):
        lost = won = n = 0
        passes = passed_before = False
        for look, questions in enumerate((100, 200, 400, 800)):
            thrown = [draw.random() for _ in range(questions - n)]
            n = questions
            lost += sum(each < 0.085 for each in thrown)
            won += sum(0.085 <= each < 0.12 for each in thrown)
            passes |= score(lost, won, n, -0.05) > quantile(level(look))
            passed_before |= score(lost, won, n, -0.05) > Z
        wrong += passes
        as_before += passed_before
    assert wrong / 1_500 <= 0.06
    assert as_before / 1_500 > 0.08
