"""Texts as the most probable row of pieces."""

from __future__ import annotations

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from freehold.engines.embed.unigram import Unigram

SCORED = [
    ("<s>", 0.0),
    ("</s>", 0.0),
    ("<unk>", 0.0),
    ("▁", -2.0),
    ("▁a", -3.0),
    ("a", -4.0),
    ("b", -4.5),
    ("ab", -6.0),
]
SCORED += [("▁ab", -12.0), ("ba", -9.5), ("bab", -11.0)]
REPLACED = {ord("Ａ"): "a", ord("\t"): " ", ord("ﷺ"): "ab ab"}
TOKENIZER = Unigram(SCORED, unknown=2, marks=frozenset({0, 1, 2}), replaced=REPLACED)


def names(text: str) -> list[str]:
    return [SCORED[token][0] for token in TOKENIZER.tokens(text)]


def test_the_most_probable_row_is_taken() -> None:
    assert names("ab") == ["▁a", "b"]
    assert names("bab") == ["▁", "b", "ab"]
    assert names("a b") == ["▁a", "▁", "b"]
    assert names("") == ["▁"]


def test_characters_are_replaced_and_blanks_are_one() -> None:
    assert names("Ａ") == names("a")
    assert names(" a \t  b") == names("a b")
    assert names("ﷺ" * 3) == names("ab abab abab ab")


def test_what_is_in_no_piece_is_unknown_and_a_mark_in_a_text_is_text() -> None:
    assert names("xa") == ["▁", "<unk>", "a"]
    assert TOKENIZER.tokens("<s>").count(0) == 0


def best(word: str) -> float:
    """By trying every way to cut a word."""
    pieces, worst = dict(SCORED[3:]), min(score for _, score in SCORED) - 10.0
    found = -math.inf
    for count in range(len(word)):
        for cuts in itertools.combinations(range(1, len(word)), count):
            ends = [0, *cuts, len(word)]
            parts = [word[first:last] for first, last in itertools.pairwise(ends)]
            if all(part in pieces or len(part) == 1 for part in parts):
                found = max(found, sum(pieces.get(part, worst) for part in parts))
    return found


@given(st.text(alphabet="abx", min_size=1, max_size=8))
def test_no_other_row_is_more_probable(text: str) -> None:
    scores, worst = dict(SCORED[3:]), min(score for _, score in SCORED) - 10.0
    found = sum(worst if token == 2 else scores[SCORED[token][0]] for token in TOKENIZER.tokens(text))
    assert math.isclose(found, best("▁" + text))
