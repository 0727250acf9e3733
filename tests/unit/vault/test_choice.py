"""Which models a vault searches with, and what a text in English is."""

from __future__ import annotations

import pytest

from freehold.domain.errors.vault import VaultModelMissing, VaultModelUnfit
from freehold.vault.choice import (
    ENGLISH,
    ENGLISH_RANKER,
    MULTILINGUAL,
    Choice,
    choose_models,
    reads_english,
    reads_foreign,
)

ALL = frozenset({ENGLISH, ENGLISH_RANKER, MULTILINGUAL})


def chosen(here: frozenset[str], **wanted: str) -> Choice:
    return choose_models(here.__contains__, folder="/models", **wanted)


@pytest.mark.parametrize("language", ["", "en", "de"])
def test_the_multilingual_embedder_is_taken_where_it_is(language: str) -> None:
    found = chosen(ALL, language=language)
    assert (found.embedder, found.notice) == (MULTILINGUAL, "")


def test_the_english_embedder_is_taken_for_english_only() -> None:
    assert chosen(frozenset({ENGLISH}), language="en") == Choice(embedder=ENGLISH)
    for language in ("", "de"):
        found = chosen(frozenset({ENGLISH}), language=language)
        assert found.embedder == ""
        assert "knows English only" in found.notice
        assert "freehold pull multilingual-e5-small" in found.notice


def test_without_any_there_are_words_and_a_command() -> None:
    found = chosen(frozenset(), language="en")
    assert (found.embedder, found.reranker) == ("", "")
    assert "/models" in found.notice
    assert "freehold pull multilingual-e5-small" in found.notice


@pytest.mark.parametrize(("language", "reranker"), [("en", ENGLISH_RANKER), ("de", ""), ("", "")])
def test_the_reranker_orders_english_only(language: str, reranker: str) -> None:
    assert chosen(ALL, language=language).reranker == reranker


def test_none_is_none() -> None:
    assert chosen(ALL, embedder="none", reranker="none", language="en") == Choice()


def test_a_model_asked_for_by_name_that_is_not_here_is_an_error_with_a_command() -> None:
    for wanted in ({"embedder": ENGLISH}, {"reranker": ENGLISH_RANKER}):
        with pytest.raises(VaultModelMissing) as caught:
            chosen(frozenset({MULTILINGUAL}), **wanted)
        name = next(iter(wanted.values()))
        assert f"freehold pull {name}" in str(caught.value)
        assert "/models" in str(caught.value)


def test_a_model_that_cannot_do_it_is_an_error_that_names_those_that_can() -> None:
    with pytest.raises(VaultModelUnfit, match=ENGLISH):
        chosen(ALL, embedder=ENGLISH_RANKER)
    with pytest.raises(VaultModelUnfit, match=ENGLISH_RANKER):
        chosen(ALL, reranker="qwen3-8b")


@pytest.mark.parametrize(
    ("text", "is_english"),
    [
        ("Where is the station?", True),
        ("warranty period pump", True),
        ("The pump of the second floor was replaced in May, and its warranty ends with the year.", True),
        ("Wo ist der Bahnhof?", False),
        ("Die Pumpe im zweiten Stock wurde im Mai ersetzt, ihre Garantie endet mit dem Jahr.", False),
        ("¿Dónde está la estación?", False),
        ("Où est la gare de la ville", False),
        ("Где находится вокзал?", False),
        ("车站在哪里？", False),
        ("أين المحطة؟", False),
        ("3 + 4", False),
        ("", False),
    ],
)
def test_english_is_told_from_other_languages(text: str, is_english: bool) -> None:
    assert reads_english(text) is is_english


@pytest.mark.parametrize(
    ("text", "is_foreign"),
    [
        ("The pump of the second floor was replaced in May.", False),
        ("item | price\npump | 3.10\nvalve | 4.20", False),
        ("def total(items): return sum(each.price for each in items)", False),
        ("", False),
        ("Die Pumpe im zweiten Stock wurde im Mai ersetzt, und die Garantie endet mit dem Jahr.", True),
        ("Насос на втором этаже", True),
    ],
)
def test_what_is_in_no_language_is_not_foreign(text: str, is_foreign: bool) -> None:
    assert reads_foreign(text) is is_foreign
