"""What is sealed opens with its key alone, and says nothing without it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.vault.store_seal import (
    fingerprint,
    opened,
    opened_text,
    opened_values,
    pieces,
    sealed,
    sealed_text,
    sealed_values,
)

KEY, OTHER = bytes(range(32)), bytes(32)
any_text = st.text(st.characters(exclude_categories=()))


@given(data=st.binary(max_size=500))
def test_what_was_sealed_opens(data: bytes) -> None:
    assert opened(KEY, sealed(KEY, data)) == data


@given(text=any_text)
def test_any_text_comes_back(text: str) -> None:
    assert opened_text(KEY, sealed_text(KEY, text)) == text
    assert opened_values(KEY, sealed_values(KEY, [text, 3, ""])) == [text, 3, ""]


def test_the_same_text_is_never_sealed_the_same() -> None:
    made = {sealed_text(KEY, "the same text") for _ in range(50)}
    assert len(made) == 50
    assert all(b"same" not in one for one in made)


def test_another_key_opens_nothing() -> None:
    assert opened(OTHER, sealed(KEY, b"the same text")) != b"the same text"


@given(parts=st.lists(any_text, max_size=3), others=st.lists(any_text, max_size=3))
def test_a_fingerprint_stands_for_its_parts_alone(parts: list[str], others: list[str]) -> None:
    assert (fingerprint(KEY, *parts) == fingerprint(KEY, *others)) is (parts == others)
    assert fingerprint(KEY, *parts) != fingerprint(OTHER, *parts)
    assert -(1 << 63) <= fingerprint(KEY, *parts) < 1 << 63


def test_parts_are_not_run_together() -> None:
    assert fingerprint(KEY, "ab", "c") != fingerprint(KEY, "a", "bc")


@given(data=st.binary(max_size=100), size=st.integers(1, 30))
def test_pieces_are_all_of_it(data: bytes, size: int) -> None:
    cut = list(pieces(data, size))
    assert b"".join(cut) == data
    assert all(len(piece) == size for piece in cut[:-1])
