"""A month's money lasts the month, whatever comes."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.routing.spend import Spending, affordable_share, spend_threshold

MONTH = Spending(
    budget_micros=1_000_000,
    spent_micros=0,
    elapsed=0.0,
    answers=10_000,
    escalation_micros=1_000,
    probabilities=[step / 1000 for step in range(1000)],
)


def test_what_can_be_paid_is_not_held_back():
    assert spend_threshold(replace(MONTH, budget_micros=20_000_000)) is None
    assert spend_threshold(replace(MONTH, escalation_micros=0)) is None


def test_a_tenth_of_the_money_escalates_the_least_sure_tenth():
    assert spend_threshold(MONTH) == pytest.approx(0.1, abs=0.002)


def test_who_spent_too_fast_escalates_less_and_who_spent_little_more():
    half = replace(MONTH, elapsed=0.5, spent_micros=500_000)
    fast, slow = replace(half, spent_micros=900_000), replace(half, spent_micros=100_000)
    assert spend_threshold(fast) < spend_threshold(half) < spend_threshold(slow)  # type: ignore[operator]


def test_no_money_no_escalation():
    assert spend_threshold(replace(MONTH, spent_micros=1_000_000)) == 0.0
    assert spend_threshold(replace(MONTH, spent_micros=2_000_000)) == 0.0
    assert spend_threshold(replace(MONTH, budget_micros=0)) == 0.0


def test_what_is_left_near_the_end_is_not_burnt_at_once():
    last = replace(MONTH, elapsed=0.9999, spent_micros=999_000)
    assert affordable_share(last) == pytest.approx(1_000 / (10_000 * 0.02 * 1_000))


@given(
    spent=st.integers(0, 2_000_000),
    more=st.integers(0, 500_000),
    elapsed=st.floats(0, 1),
    probabilities=st.lists(st.floats(0, 1), max_size=60),
)
def test_having_spent_more_never_lets_more_escalate(spent: int, more: int, elapsed: float, probabilities: list[float]):
    before = replace(MONTH, spent_micros=spent, elapsed=elapsed, probabilities=probabilities)
    after = replace(before, spent_micros=spent + more)
    left, right = spend_threshold(before), spend_threshold(after)
    assert left is None or (right is not None and right <= left)


@pytest.mark.parametrize("seed", range(5))
def test_a_month_of_changing_traffic_stays_within_its_money(seed: int):
    """Traffic and difficulty change by the day; the threshold is looked at every hundred answers."""
    draw = random.Random(seed)
    budget, spent, recent = 3_000_000, 0, deque[float](maxlen=500)
    days = [(draw.randint(50, 2000), draw.uniform(0.3, 3.0)) for _ in range(30)]
    threshold: float | None = 0.0
    seen = 0
    for day, (count, hardness) in enumerate(days):
        for i in range(count):
            seen += 1
            probability = draw.random() ** hardness
            recent.append(probability)
            if i % 100 == 0:
                elapsed = (day + i / count) / 30
                threshold = spend_threshold(
                    Spending(
                        budget_micros=budget,
                        spent_micros=spent,
                        elapsed=elapsed,
                        answers=seen / elapsed if elapsed else 30_000,
                        escalation_micros=1_000,
                        probabilities=recent,
                    )
                )
            if threshold is None or probability < threshold:
                spent += draw.randint(500, 1_500)
    assert 0.85 * budget <= spent <= 1.01 * budget
