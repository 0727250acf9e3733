import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.routing.agreement import agreement, likeness

LONG = (
    "The mitochondrion makes most of the cell's supply of adenosine triphosphate, which is used throughout the cell as a"
    " source of chemical energy, and it has its own genome."
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris", "paris."),
        ("Paris", "The capital of France is **Paris**."),
        ("43", "17 + 26 = 43"),
        ("1,024", "The result is 1024."),
        ("B", "(b) photosynthesis"),
        ("The answer is (C).", "C"),
        ('{"a": 1, "b": [2]}', '{"b":[2],"a":1}'),
        ("It’s “fine”", 'it\'s "fine"'),
        ("", "  "),
        (LONG, LONG.upper()),
    ],
)
def test_the_same(one: str, other: str) -> None:
    assert likeness(one, other) == likeness(other, one) == 1.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris", "Lyon"),
        ("43", "The answer is 44."),
        ("A", "B"),
        ("A.", "The answer is (B)"),
        ("not known", ""),
        ("1.5", "15"),
        ("Par", "Paris"),
    ],
)
def test_not_the_same(one: str, other: str) -> None:
    assert likeness(one, other) == likeness(other, one) == 0.0


def test_long_texts_are_as_alike_as_their_words() -> None:
    other = LONG.replace("genome", "ribosomes").replace("most", "much")
    assert 0.85 < likeness(LONG, other) < 1.0
    assert likeness(LONG, "Bread is baked of flour and water, and of salt, in an oven that is hot enough for it.") < 0.5


def test_agreement_is_the_mean_over_the_others() -> None:
    assert agreement("Oslo", ["Oslo", "Bergen", "It is Oslo.", "Rome"]) == 0.5


@given(st.text(max_size=80), st.text(max_size=80))
def test_it_is_symmetric_and_a_share(one: str, other: str) -> None:
    found = likeness(one, other)
    assert 0.0 <= found <= 1.0
    assert found == likeness(other, one)


@given(st.text(max_size=80))
def test_everything_agrees_with_itself(text: str) -> None:
    assert likeness(text, text) == 1.0
