"""What holds of every classifier, whatever it was fitted to."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.routing.classifier import Head
from freehold.routing.letters import joined
from freehold.routing.softmax import softmax

numbers = st.floats(-50, 50, allow_nan=False)


@st.composite
def heads(draw: st.DrawFn) -> tuple[Head, list[float]]:
    width, count = draw(st.integers(1, 6)), draw(st.integers(2, 6))
    rows = [tuple(draw(st.lists(numbers, min_size=width + 1, max_size=width + 1))) for _ in range(count)]
    vector = draw(st.lists(st.floats(-5, 5), min_size=width, max_size=width))
    head = Head(rows=tuple(rows), temperature=draw(st.floats(0.05, 20)), n=draw(st.integers(2, 10_000)))
    return head, vector


@given(heads())
def test_probabilities_are_positive_and_sum_to_one(case: tuple[Head, list[float]]) -> None:
    head, vector = case
    probabilities = head.of_vector(vector)
    assert math.isclose(sum(probabilities), 1.0, rel_tol=1e-9)
    assert all(0 < each < 1 for each in probabilities)
    assert max(probabilities) <= 1 - 1 / (head.n + 2) / 2 + 1e-9


@given(heads(), st.randoms(use_true_random=False))
def test_labels_in_another_order_have_the_same_probabilities(case: tuple[Head, list[float]], dice: object) -> None:
    head, vector = case
    order = list(range(len(head.rows)))
    dice.shuffle(order)
    turned = Head(rows=tuple(head.rows[i] for i in order), temperature=head.temperature, n=head.n)
    before, after = head.of_vector(vector), turned.of_vector(vector)
    assert all(math.isclose(after[place], before[i], rel_tol=1e-9) for place, i in enumerate(order))


@given(heads(), st.floats(0.1, 10))
def test_the_length_of_a_vector_says_nothing(case: tuple[Head, list[float]], factor: float) -> None:
    head, vector = case
    if math.hypot(*vector) < 1e-3:
        return
    longer = head.of_vector([each * factor for each in vector])
    assert all(
        math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in zip(longer, head.of_vector(vector), strict=True)
    )


@settings(max_examples=50)
@given(heads(), st.integers(2, 10))
def test_more_examples_that_say_the_same_keep_the_order(case: tuple[Head, list[float]], times: int) -> None:
    head, vector = case
    surer = Head(rows=head.rows, temperature=head.temperature, n=head.n * times)
    before, after = head.of_vector(vector), surer.of_vector(vector)
    assert max(range(len(before)), key=before.__getitem__) == max(range(len(after)), key=after.__getitem__)
    assert max(after) >= max(before) - 1e-12


@given(st.lists(st.floats(-20, 0), min_size=2, max_size=8), st.floats(-5, 5))
def test_what_all_letters_share_says_nothing(logprobs: list[float], shared: float) -> None:
    count = len(logprobs)
    shifted = [each + shared for each in logprobs]
    mine, theirs = softmax(joined([(0, logprobs)], count)), softmax(joined([(0, shifted)], count))
    assert all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(mine, theirs, strict=True))
