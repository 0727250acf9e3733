"""Terms, whatever the text."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from freehold.vault.words import asked_terms, kept_terms

# Also letters that few strategies draw: Thai, Devanagari, Arabic, Kana, Hangul.
TEXTS = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from("กาแ์हिंमाلاوةعربあカ한글.,_1aé\u200c\u0301 ")), max_size=60
)


@given(TEXTS)
def test_a_text_has_every_term_that_it_asks_for_itself(text: str) -> None:
    assert set(asked_terms(text)) == set(kept_terms(text).split())


@given(TEXTS)
def test_no_term_has_a_blank_or_a_quote_in_it(text: str) -> None:
    for term in asked_terms(text):
        assert term
        assert not any(each.isspace() or each in "\"'*():^" for each in term)


@given(TEXTS)
def test_how_a_text_is_composed_and_cased_makes_no_difference(text: str) -> None:
    plain = kept_terms(text)
    assert kept_terms(unicodedata.normalize("NFD", text)) == plain
    assert kept_terms(unicodedata.normalize("NFC", text)) == plain
