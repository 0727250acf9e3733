"""However an answer is cut into pieces, the restorer says the same, says it at once, and never says half a token."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE
from freehold.policy.pseudonyms import OPENING, TOKEN, TOKEN_CHARACTERS_MAX, PseudonymMap
from freehold.policy.restorer import Restorer

ORIGINAL = Label(level=Level.CONFIDENTIAL, zones=frozenset({DEVICE}))
VALUES = {
    "⟦PERSON_0123abcd⟧": "Ann Lee",
    "⟦EMAIL_89abcdef0123⟧": "ann@example.com",
    "⟦PHONE_00000001⟧": "(030) 12",
    "⟦URL_00000002⟧": "https://intranet.example/a",
}
MAP = PseudonymMap(values=VALUES)

plain = st.text(st.characters(exclude_characters="⟦⟧", codec=None), max_size=12)
hostile = st.sampled_from(
    [
        "⟦", "⟧", "⟦⟦", "⟧⟧", "⟦PERSON", "⟦PERSON_", "⟦PERSON_0123abc", "⟦PERSON_0123abcd", "PERSON_0123abcd⟧", "_", "\ud83d",
        "\ude00", "[a](", "](", "![", "]", "[r]:", ")", "(", "<", ">", "<a href=", '"', "'", "=", "<!--", "-->", "https://",
        "www.", "\\", " ", "\n", "\n\n", "\r\n", "\t", "<script>", "</script>", '"arguments"', "Action Input:", "`", "|", "&#",
    ]
)  # fmt: skip
pieces = st.one_of(plain, hostile, st.sampled_from([*VALUES, "⟦PERSON_ffffffff⟧"]))
texts = st.lists(pieces, max_size=25).map("".join)


@st.composite
def cut(draw: st.DrawFn, source: st.SearchStrategy[str] = texts) -> tuple[str, list[str]]:
    """A text, and the pieces that it comes in; some are empty."""
    text = draw(source)
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=20)))
    return text, [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def restorer() -> Restorer:
    return Restorer(MAP, original=ORIGINAL, cleared_for=ORIGINAL)


def whole(text: str) -> str:
    one = restorer()
    return one.feed(text) + one.finish()


@settings(max_examples=400, deadline=None)
@given(cut())
def test_any_cutting_gives_the_same_text_and_counts(given_: tuple[str, list[str]]) -> None:
    text, parts = given_
    one, other = restorer(), restorer()
    got = "".join(map(one.feed, parts)) + one.finish()
    assert got == other.feed(text) + other.finish()
    assert (one.restored, one.unknown, one.kept) == (other.restored, other.unknown, other.kept)
    by_character = restorer()
    assert "".join(map(by_character.feed, text)) + by_character.finish() == got


@settings(max_examples=300, deadline=None)
@given(cut())
def test_no_prefix_ends_within_a_token(given_: tuple[str, list[str]]) -> None:
    _, parts = given_
    one = restorer()
    sent, ends = "", []
    for part in parts:
        sent += one.feed(part)
        ends.append(len(sent))
        assert one.held_characters <= TOKEN_CHARACTERS_MAX
    sent += one.finish()
    for token in TOKEN.finditer(sent):
        assert not [end for end in ends if token.start() < end < token.end()]


@settings(max_examples=200, deadline=None)
@given(cut(st.lists(st.one_of(plain, hostile), max_size=25).map("".join).map(lambda text: text.replace(OPENING, ""))))
def test_a_text_without_tokens_passes_as_it_comes(given_: tuple[str, list[str]]) -> None:
    _, parts = given_
    one = restorer()
    for part in parts:
        assert one.feed(part) == part
    assert one.finish() == ""


@settings(max_examples=200, deadline=None)
@given(texts)
def test_all_that_is_known_is_restored_or_counted(text: str) -> None:
    one = restorer()
    got = one.feed(text) + one.finish()
    known = [each for each in re.findall("⟦[A-Za-z]{1,16}_[0-9A-Fa-f]{1,20}⟧", text) if each in VALUES]
    assert one.restored + sum(one.kept.values()) == len(known)
    if not one.restored:
        assert got == text


@settings(max_examples=200, deadline=None)
@given(texts)
def test_who_is_not_cleared_gets_the_text_as_it_came(text: str) -> None:
    lower = Label(level=Level.PUBLIC, zones=frozenset({DEVICE}))
    one = Restorer(MAP, original=ORIGINAL, cleared_for=lower)
    assert one.feed(text) + one.finish() == text


link_parts = st.text(st.sampled_from(list("ab/?=&.:-_~%()<>\"'\\ ![]`*")), max_size=20)


@settings(max_examples=300, deadline=None)
@given(
    before=link_parts,
    inner=st.text(st.sampled_from(list("ab/?=&.:-_~%'\"`*![\\")), max_size=12),
    cut_at=st.integers(0, 60),
)
def test_no_link_target_is_restored_whatever_stands_before_it(before: str, inner: str, cut_at: int) -> None:
    """A real link's target holds no space and no parenthesis here: every reader agrees that it is one."""
    token = "⟦PERSON_0123abcd⟧"
    text = f"{before} [x](/{inner}{token})"
    one = restorer()
    got = one.feed(text[:cut_at]) + one.feed(text[cut_at:]) + one.finish()
    assert got == text


@settings(max_examples=300, deadline=None)
@given(
    before=link_parts,
    name=st.sampled_from(["href", "src", "x"]),
    value=st.text(st.sampled_from(list("ab>/='<")), max_size=8),
)
def test_no_attribute_is_restored_whatever_stands_before_it(before: str, name: str, value: str) -> None:
    token = "⟦PERSON_0123abcd⟧"
    text = f'{before} <a t="{value}" {name}="{token}">'
    assert whole(text) == text
