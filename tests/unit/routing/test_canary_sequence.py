"""The decision on a new version that may be looked at as often as anybody likes: check values, order, and its level."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.routing.canary import CanaryVerdict, Pair, compare
from freehold.routing.canary_sequence import compare_so_far, lower_bound, money

DIFFERENCES = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), max_size=300)


def pairs(lost: int, won: int, n: int) -> list[Pair]:
    both = n - lost - won
    return [
        *[Pair(old=True, new=False)] * lost,
        *[Pair(old=False, new=True)] * won,
        *[Pair(old=True, new=True)] * both,
    ]


@pytest.mark.parametrize(
    ("lost", "won", "n", "verdict"),
    [
        (0, 0, 0, CanaryVerdict.UNDECIDED),
        (0, 0, 60, CanaryVerdict.UNDECIDED),
        (0, 0, 100, CanaryVerdict.NOT_WORSE),
        (15, 14, 500, CanaryVerdict.NOT_WORSE),
        (6, 4, 120, CanaryVerdict.UNDECIDED),
        (2, 30, 120, CanaryVerdict.BETTER),
        (30, 4, 120, CanaryVerdict.WORSE),
        (8, 0, 8, CanaryVerdict.WORSE),
    ],
)
def test_verdicts(lost: int, won: int, n: int, verdict: CanaryVerdict) -> None:
    found = compare_so_far(pairs(lost, won, n))
    assert found.verdict is verdict
    assert (found.questions, found.lost, found.won, found.alpha) == (n, lost, won, 0.05)
    assert (found.more > 0) == (verdict is CanaryVerdict.UNDECIDED)


def test_money_is_what_the_bettors_have() -> None:
    """By hand, against a mean of -0.05: 93, 50, 26, 12 and 4 % are put on each of three ties and a loss."""
    expected = 0.0
    for bet, part in ((0.93, 0.28), (0.5, 0.28), (0.26, 0.22), (0.12, 0.14), (0.04, 0.08)):
        expected += part * (1 - bet + bet / 0.95) ** 3 * (1 - bet)
    assert money({0.0: 3, -1.0: 1}, -0.05) == pytest.approx(math.log(expected))
    assert money({}, 0.3) == pytest.approx(0.0)


def test_it_asks_for_more_than_a_single_look_that_was_fixed_before() -> None:
    for answers in (pairs(5, 5, 150), pairs(15, 15, 400)):
        assert compare_so_far(answers).low < compare(answers).low < compare(answers).high < compare_so_far(answers).high


@given(DIFFERENCES, st.sampled_from([0.05, 0.0105]))
def test_the_bound_is_where_the_money_is_enough(differences: list[float], alpha: float) -> None:
    counts = Counter(differences)
    low = lower_bound(counts, alpha=alpha)
    assert -1.0 <= low <= 1.0
    if low > -1.0:
        assert money(counts, low) >= -math.log(alpha)
        assert low < math.fsum(differences) / len(differences)
    assert money(counts, low + 1e-5) < -math.log(alpha)
    assert lower_bound(counts, alpha=alpha / 2) <= low


def test_in_which_order_answers_came_does_not_matter() -> None:
    """A beginning that is easy or hard decides nothing."""
    answers, draw = pairs(14, 6, 200), random.Random(2)
    found = compare_so_far(answers)
    assert compare_so_far(answers[::-1]) == found
    for _ in range(5):
        draw.shuffle(answers)
        assert compare_so_far(answers) == found


def test_what_nobody_can_judge_counts_by_what_is_at_most_lost_and_won() -> None:
    same = [Pair(alike=True)] * 300
    sure, never = Pair(alike=False, old_chance=1.0), Pair(alike=False, old_chance=0.0)
    assert compare_so_far(same + [never] * 20).verdict is CanaryVerdict.NOT_WORSE
    assert compare_so_far(same + [sure] * 20).verdict is CanaryVerdict.UNDECIDED
    cannot = compare_so_far(same[:40] + [Pair(alike=None)] * 40)
    assert (cannot.verdict, cannot.unknown) == (CanaryVerdict.UNDECIDED, 40), "never worse: they may all be better"
    doubted = [Pair(alike=False, old_chance=0.5)] * 20
    assert compare_so_far(same + [sure] * 20).low < compare_so_far(same + doubted).low
    assert compare_so_far(same + [sure] * 20) != compare_so_far(same + [Pair(old=True, new=False)] * 20)


def test_shares_are_shares() -> None:
    for wrong in (0.0, 1.0, -0.1):
        with pytest.raises(ValueError, match="delta"):
            compare_so_far([], delta=wrong)
        with pytest.raises(ValueError, match="alpha"):
            compare_so_far([], alpha=wrong)


def test_the_number_that_is_told_is_enough_in_four_of_five_cases() -> None:
    draw, found = random.Random(5), compare_so_far(pairs(6, 6, 150), alpha=0.035)
    needed = found.questions + found.more
    share, passed = 13 / 152, 0
    for _ in range(400):
        differing = sum(draw.random() < share for _ in range(needed))
        lost = sum(draw.random() < 0.5 for _ in range(differing))
        counts = {-1.0: lost, 0.0: needed - differing, 1.0: differing - lost}
        passed += money(counts, -0.05) >= -math.log(0.035)
    assert 400 <= needed <= 700
    assert passed / 400 >= 0.75


@pytest.mark.parametrize("share", [0.06, 0.12, 0.2])
def test_one_that_is_worse_by_delta_passes_in_one_of_twenty_at_most_though_every_answer_is_looked_at(
    share: float,
) -> None:
    draw, passed = random.Random(3), 0
    lost_share = (share + 0.05) / 2
    for _ in range(250):
        counts = {-1.0: 0, 0.0: 0, 1.0: 0}
        for number in range(1, 601):
            thrown = draw.random()
            counts[-1.0 if thrown < lost_share else 1.0 if thrown < share else 0.0] += 1
            if number % 10 == 0 and money(counts, -0.05) >= -math.log(0.05):
                passed += 1
                break
    assert passed / 250 <= 0.05
