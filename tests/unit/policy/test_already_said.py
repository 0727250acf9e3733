"""A value that a client said is known again, however it is written, and no other is."""

from __future__ import annotations

import pytest

from freehold.policy.already_said import AlreadySaid


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("my card is 4111 1111 1111 1111.", "4111-1111-1111-1111"),
        ("my card is 4111111111111111", "4111 1111 1111 1111"),
        ("I am JANE@Example.com", "jane@example.com"),
        ("see ?to=jane%40example.com&x=1", "jane@example.com"),
        ("I am jane@example.com", "jane%40example.com"),
        ("I am jane&#64;example.com", "jane@example.com"),
        ("Straße: ＡＢ１２", "ab12"),
        ("key " + "k1" * 200, "k1" * 200),
    ],
)
def test_it_is_known_in_another_form(said: str, value: str) -> None:
    assert AlreadySaid(lambda: [said])(value)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("order 14111111111111111", "4111111111111111"),
        ("order 41111111111111112", "4111111111111111"),
        ("I am jane@example.com", "ane@example.com"),
        ("I am jane@example.community", "jane@example.com"),
        ("nothing", "jane@example.com"),
        ("---", "--"),
        ("%ff%fe", "jane@example.com"),
    ],
)
def test_what_only_looks_like_it_is_not(said: str, value: str) -> None:
    assert not AlreadySaid(lambda: [said])(value)


def test_two_texts_make_no_value_together() -> None:
    assert not AlreadySaid(lambda: ["4111 1111", "1111 1111"])("4111 1111 1111 1111")


def test_texts_are_asked_for_once_and_only_when_needed() -> None:
    asked: list[int] = []

    def texts() -> list[str]:
        asked.append(1)
        return ["jane@example.com"]

    said = AlreadySaid(texts)
    assert asked == []
    assert said("jane@example.com")
    assert said("jane@example.com")
    assert not said("joe@example.com")
    assert asked == [1]


@pytest.mark.parametrize("more", ["", " für"], ids=["ASCII", "beyond it"])
def test_what_is_only_there_without_the_words_ends_was_not_said(more: str) -> None:
    said = AlreadySaid(lambda: [f"call 0170-12 34567, not 90170 1234{more}"])
    assert said("0170 1234567") and said("(0170) 12-34567")
    assert not said("0170 1234") and not said("7012345")
