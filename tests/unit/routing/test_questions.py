"""What is read off a question's text."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from freehold.routing.questions import GRAMS_DIMENSIONS, grams, shortened, surface

PLAIN = "Who painted the ceiling?"


@given(st.text(max_size=300))
def test_there_are_always_as_many_numbers_and_all_are_finite(text: str) -> None:
    found = surface(text)
    assert len(found) == len(surface(PLAIN))
    assert all(math.isfinite(each) for each in found)


def test_options_numbers_and_code_are_seen() -> None:
    plain = surface(PLAIN)
    for other in (
        PLAIN + "\nA. Raphael\nB. Michelangelo",
        PLAIN + " He needed 1,461 days.",
        PLAIN + "\n```python\nprint(1)\n```",
        PLAIN + " It was not Raphael.",
    ):
        assert surface(other) != plain


def test_thousands_are_one_number() -> None:
    assert surface("It costs 12,500 crowns")[15] == surface("It costs 12500 crowns")[15] == math.log1p(12_500)


def test_a_gram_is_a_word_or_a_pair_of_neighbours() -> None:
    assert len(grams("red green blue")) == 5
    assert set(grams("red green")) < set(grams("red green blue"))
    assert set(grams("green red")) != set(grams("red green"))
    assert all(0 <= place < GRAMS_DIMENSIONS for place in grams(PLAIN))


def test_a_word_that_comes_again_counts_by_its_logarithm() -> None:
    once, thrice = grams("red"), grams("red red red")
    (place,) = once
    assert once[place] == 1.0
    assert thrice[place] == 1.0 + math.log(3)


def test_a_text_is_cut_between_words() -> None:
    assert shortened("one two three four five", 3) == "one two three"
    assert shortened(PLAIN, 100) == PLAIN
    assert shortened("", 10) == ""


def test_long_words_numbers_and_other_scripts_have_more_tokens() -> None:
    assert shortened("internationalisation of it all", 4) == ""
    assert shortened("1234567890 is it", 5) == "1234567890"
    assert shortened("これは長い質問です", 4) == ""
    assert shortened("これは 長い 質問", 5) == "これは 長い"


@given(st.text(max_size=400), st.integers(1, 40))
def test_what_is_left_is_a_beginning(text: str, tokens: int) -> None:
    assert text.startswith(shortened(text, tokens))
