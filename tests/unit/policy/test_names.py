"""Which mentions are personal data: made mentions on made texts, no model."""

from __future__ import annotations

import pytest

from freehold.domain.detect_ports import Mention
from freehold.policy.names import is_cased, named, names_in, repeated


def said(text: str, *mentions: tuple[str, str] | tuple[str, str, float]) -> list[tuple[str, str]]:
    """Type and text of what is left of mentions, each given by its words, its type and a score."""
    made = []
    for words, kind, *score in mentions:
        start = text.index(words)
        made.append(Mention(start=start, end=start + len(words), type=kind, score=score[0] if score else 0.6))
    return [(each.type, text[each.start : each.end]) for each in named(text, made)]


def test_parts_of_a_name_are_one_with_what_is_between_and_beside_them() -> None:
    text = "It was signed by Daniel Torres Lagares. Then Alberto Miján de la Torre came."
    parts = ("Daniel", "GIVEN_NAME"), ("Torres", "SURNAME"), ("Alberto Miján", "GIVEN_NAME"), ("Torre came", "SURNAME")
    assert said(text, *parts) == [
        ("PERSON", "Daniel Torres Lagares"),
        ("PERSON", "Alberto Miján de la Torre"),
    ]


def test_small_letters_are_no_name_where_capitals_mean_something() -> None:
    text = "The abdomen was soft. Patient jane roe left."
    assert said(text, ("abdomen", "GIVEN_NAME")) == []
    assert said(text, ("jane roe", "GIVEN_NAME")) == [("PERSON", "jane roe")]
    assert said("i saw jane at the pub. then jane left", ("jane", "GIVEN_NAME"))[0] == ("PERSON", "jane")
    assert said(text, ("abdomen", "GIVEN_NAME", 0.95)) == [("PERSON", "abdomen")]


@pytest.mark.parametrize("words", ["Frau", "Monsieur", "shipTo", "Friday"])
def test_what_is_no_name_in_any_place(words: str) -> None:
    assert said(f"We met {words} there.", (words, "GIVEN_NAME", 0.99)) == []


def test_accounts_tags_and_paths_are_no_names() -> None:
    for mark in "@#_/":
        assert said(f"We saw {mark}Janet there.", ("Janet", "GIVEN_NAME", 0.99)) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Antwort an Frau Mies bis morgen.", "Mies"),
        ("Das Gutachten von Dr. Jay B. Saoud liegt vor.", "Jay B. Saoud"),
        ("Vorsitzende Richterin Klante verkündet.", "Klante"),
        ("La paciente de la Sra. Ruiz de la Torre.", "Ruiz de la Torre"),
        ("Le dossier de Mme Lefèvre est clos.", "Lefèvre"),
    ],
)
def test_titles_name_people_without_a_model(text: str, name: str) -> None:
    assert said(text) == [("PERSON", name)]


def test_a_german_noun_needs_more_than_a_name_elsewhere() -> None:
    text = "Die Klausel ist nicht wirksam und das Merkmal fehlt."
    assert said(text, ("Merkmal", "GIVEN_NAME", 0.4)) == []
    assert said(text, ("Merkmal", "GIVEN_NAME", 0.6)) == [("PERSON", "Merkmal")]


def test_a_town_or_a_number_alone_is_no_address() -> None:
    text = "She moved to Leeds at 14 Crown Street, Leeds LS1 4AP in 2011."
    assert said(text, ("Leeds", "CITY"), ("2011", "BUILDING_NUMBER")) == []
    assert said(text, ("14", "BUILDING_NUMBER"), ("Crown Street", "STREET_NAME"), ("LS1 4AP", "ZIP_CODE")) == [
        ("ADDRESS", "14 Crown Street")
    ]
    town, code = text.index("Leeds LS1"), text.index("LS1")
    beside = [
        Mention(start=town, end=town + 5, type="CITY", score=0.9),
        Mention(start=code, end=code + 7, type="ZIP_CODE", score=0.9),
    ]
    street = (text.index("14 Crown"), town - 2)
    found = named(text, beside, addresses=[street])
    assert [text[each.start : each.end] for each in found] == ["14 Crown Street, Leeds LS1 4AP"]


def test_numbers_of_machines_are_not_of_people() -> None:
    for value in ("758c368d-9f22-46d9-b32c-2bf37b1134fc", "29afb069de11dac72077fcc8accb56a78b72bec3", "3585.2276"):
        text = f"The passport service logged {value} today."
        assert said(text, (value, "PASSPORT", 0.99)) == []
    assert said("Her passport is X1234567.", ("X1234567", "PASSPORT")) == [("PERSONAL_NUMBER", "X1234567")]
    assert said("The order is X1234567.", ("X1234567", "PASSPORT")) == []
    assert said("Call 555-12", ("555-12", "PHONE")) == []


def test_a_name_found_once_is_found_everywhere() -> None:
    text = "Ask Annabel. The report quotes Annabel, not Annabella."
    assert said(text, ("Annabel", "GIVEN_NAME")) == [("PERSON", "Annabel"), ("PERSON", "Annabel")]
    found = named(text, [Mention(start=4, end=11, type="GIVEN_NAME", score=0.9)])
    names = names_in(text, found)
    assert [each.start for each in repeated(text, names)] == [4, 31]


@pytest.mark.parametrize(
    ("text", "cased"),
    [("One. Two.", True), ("one. two. Three", False), ("", False), ("日本語", False), ("One\ntwo\nThree\nFour", True)],
)
def test_whether_capitals_mean_something(text: str, *, cased: bool) -> None:
    assert is_cased(text) is cased
