"""Texts as terms."""

from __future__ import annotations

import pytest

from freehold.vault.words import asked_terms, kept_terms


@pytest.mark.parametrize(
    ("kept", "asked"),
    [
        ("The cells were binding", "cell binds"),
        ("Ponies and policies", "pony policy"),
        ("internationalisation", "internationally"),
        ("die Kündigungsfrist", "Kündigung"),
        ("договора", "договором"),
        ("वाशिंगटन में", "वाशिंगटन"),
        ("والمدينة", "مدينة"),
        ("戦場のヴァルキュリア", "戦場"),
        ("ประเทศไทย", "ไทย"),
        ("한국어를", "한국어"),
        ("Straße", "STRASSE"),
        ("ﬁnance", "finance"),
        ("co\u00adoperate", "cooperate"),
        ("\ufeffFirst", "first"),
        ("1,279 units", "1279"),
        ("report_2023-final.pdf", "report 2023 final pdf"),
    ],
)
def test_forms_of_one_word_have_a_term_in_common(kept: str, asked: str) -> None:
    assert set(asked_terms(asked)) <= set(kept_terms(kept).split())


@pytest.mark.parametrize(
    ("kept", "asked"),
    [("ABC1234567", "ABC1234568"), ("3.5", "3.8"), ("2017", "2018"), ("cells", "bells"), ("12,5", "125")],
)
def test_what_only_looks_alike_has_none(kept: str, asked: str) -> None:
    assert not set(asked_terms(asked)) & set(kept_terms(kept).split())


def test_a_question_asks_for_each_term_once_and_for_no_small_words() -> None:
    assert asked_terms("What is the cell of the cells?") == ("cell",)


@pytest.mark.parametrize("text", ["", " \n", "?!", "the of and", '"'])
def test_nothing_to_look_for_is_no_terms(text: str) -> None:
    assert asked_terms(text) == ()
    assert not kept_terms(text)
