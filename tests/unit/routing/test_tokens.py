import math

import pytest

from freehold.routing.tokens import LOGPROB_FLOOR, Tokens
from tests.support.routing import token

SAID = Tokens([token("The", -0.1), token(" Mus", -0.2), token("cat", -0.4), token(".", -0.8)])


@pytest.mark.parametrize(
    ("start", "end", "tokens"), [(0, 3, (0, 1)), (4, 10, (1, 3)), (2, 5, (0, 2)), (10, 11, (3, 4))]
)
def test_the_tokens_that_spell_a_piece_of_the_answer(start, end, tokens):
    assert SAID.text == "The Muscat."
    assert SAID.span(start, end) == tokens


def test_tokens_together_are_as_likely_as_their_product():
    assert SAID.logprob(1, 3) == pytest.approx(-0.6)
    assert Tokens([token("a", -15.0), token("b", -15.0)]).logprob(0, 2) == LOGPROB_FLOOR


def test_entropy_counts_what_the_alternatives_leave_over():
    half = math.log(0.5)
    assert Tokens([token("a", half, ("b", half))]).entropy(0) == pytest.approx(math.log(2))
    quarter = math.log(0.25)
    assert Tokens([token("a", quarter, ("b", quarter))]).entropy(0) == pytest.approx(1.5 * math.log(2))
    assert SAID.entropy(0) is None


def test_a_letter_is_held_against_the_letters_that_were_offered():
    likely = Tokens([token("A", math.log(0.4), ("The", math.log(0.3)), (" B", math.log(0.1)), ("C", math.log(0.1)))])
    assert likely.share_among(0, frozenset("AB")) == pytest.approx(0.8)
    assert likely.share_among(0, frozenset("BC")) is None


def test_an_empty_token_is_no_obstacle():
    assert Tokens([token("", -0.1), token("a", -0.2), token("", -0.3)]).span(0, 1) == (1, 2)
