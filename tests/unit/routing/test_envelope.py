"""The best single deployment or pair for what a right answer is worth."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.routing.envelope import Rung, choose, continuation, envelope, stop_at


def make_rungs(n: int = 400, seed: int = 1) -> list[Rung]:
    """A cheap one that knows how sure it is, one of no use, and a dear one that is nearly always right."""
    draw = random.Random(seed)
    sure = [draw.random() for _ in range(n)]
    return [
        Rung(name="small", cost=1.0, right=[float(draw.random() < p) for p in sure], probability=sure),
        Rung(name="waste", cost=20.0, right=[float(draw.random() < 0.3) for _ in range(n)], probability=[0.3] * n),
        Rung(name="large", cost=100.0, right=[float(draw.random() < 0.95) for _ in range(n)]),
    ]


def test_what_is_worth_little_goes_to_the_cheapest():
    assert choose(make_rungs(), worth=10).first == "small"
    assert choose(make_rungs(), worth=10).second == ""


def test_what_is_worth_something_goes_to_a_pair():
    choice = choose(make_rungs(), worth=200)
    assert (choice.first, choice.second) == ("small", "large")
    assert choice.accept_at == pytest.approx(0.95 - 100 / 200, abs=0.08)
    assert choice.escalated == pytest.approx(choice.accept_at, abs=0.08)
    assert choice.cost == pytest.approx(1 + 100 * choice.escalated)


def test_what_is_worth_a_fortune_is_hardly_ever_left_to_the_small_one():
    choice = choose(make_rungs(), worth=1e9)
    assert choice.first == "large" or choice.accept_at > 0.85


def test_a_model_of_no_use_is_never_chosen():
    chosen = [choice for _, choice in envelope(make_rungs(), [2.0**k for k in range(30)])]
    assert all("waste" not in {choice.first, choice.second} for choice in chosen)


def test_more_worth_never_buys_less():
    chosen = [choice for _, choice in envelope(make_rungs(), [1.5**k for k in range(1, 40)])]
    for less, more in pairwise(chosen):
        assert more.quality >= less.quality - 0.005, "thresholds are smoothed, so that they hold for other questions"
        assert more.cost >= less.cost - 1e-9


def test_a_pair_keeps_the_order_that_it_was_given():
    rungs = make_rungs()
    turned = choose([rungs[2], rungs[0]], worth=200)
    assert (turned.first, turned.second) in {("large", ""), ("small", "")}, "large says nothing of how sure it is"


def test_the_chosen_is_the_best_of_all_thresholds_but_for_smoothing():
    small, _, large = make_rungs(2000)
    worth = 200.0
    choice = choose([small, large], worth=worth)

    def value(threshold: float) -> float:
        on = [p < threshold for p in small.probability]
        quality = sum(b if go else a for go, a, b in zip(on, small.right, large.right, strict=True)) / len(on)
        return worth * quality - small.cost - large.cost * sum(on) / len(on)

    best = max(value(step / 200) for step in range(202))
    assert worth * choice.quality - choice.cost >= best - 0.01 * worth


@given(
    going_on=st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1)),
    price=st.floats(0, 2),
    probability=st.floats(0, 1),
)
def test_from_the_threshold_on_stopping_is_worth_more(
    going_on: tuple[float, float, float], price: float, probability: float
):
    threshold = stop_at(going_on, price)
    a, b, c = going_on
    step = round(probability * 1000) / 1000
    if step >= threshold:
        assert step >= a + b * step + c * step * step - price


@settings(max_examples=25)
@given(st.floats(0, 1), st.integers(60, 200))
def test_equal_probabilities_everywhere_are_no_trouble(level: float, n: int):
    a, b, c = continuation([level] * n, [1.0] * n)
    assert 0.5 < a + b * level + c * level * level < 1.01


@pytest.mark.parametrize(
    ("rungs", "worth", "said"),
    [
        ([], 1.0, "nothing to choose from"),
        (make_rungs(59), 1.0, "59 questions"),
        ([make_rungs(60)[0], make_rungs(61)[2]], 1.0, "other questions"),
        (make_rungs(), 0.0, "worth more than 0"),
        (make_rungs(), float("inf"), "worth more than 0"),
    ],
)
def test_what_cannot_be_decided_is_said(rungs: list[Rung], worth: float, said: str):
    with pytest.raises(ValueError, match=said):
        choose(rungs, worth=worth)
