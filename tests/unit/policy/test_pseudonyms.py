"""Pseudonyms: what goes out, what is remembered, and that nothing else does."""

from __future__ import annotations

import random
import re

import pytest

from freehold.domain.findings import Finding
from freehold.policy.pseudonyms import (
    TOKEN,
    TOKEN_CHARACTERS_MAX,
    PseudonymMap,
    neutralise,
    pseudonymise,
)
from freehold.policy.spans import spans_of, word_of

KEY = bytes(range(32))


def found(text: str, value: str, type_name: str = "PERSON", kind: str = "pii", score: float = 1.0) -> Finding:
    start = text.index(value)
    return Finding(start=start, end=start + len(value), kind=kind, type=type_name, score=score)


def test_a_finding_becomes_a_token_that_the_map_knows() -> None:
    text = "Write to Ann Lee today."
    done = pseudonymise([text], [[found(text, "Ann Lee")]], KEY)
    (token,) = done.map.values
    assert TOKEN.fullmatch(token)
    assert token.startswith("⟦PERSON_")
    assert done.texts == (f"Write to {token} today.",)
    assert done.map.values == {token: "Ann Lee"}
    assert done.counts == {"PERSON": 1}
    assert done.kinds == {"pii"}


def test_one_value_has_one_token_in_a_conversation_and_another_one_in_the_next() -> None:
    text = "Ann Lee"
    one = pseudonymise([text, text], [[found(text, text)], [found(text, text)]], KEY)
    assert one.texts[0] == one.texts[1]
    later = pseudonymise([f"{text}!"], [[]], KEY, one.map)
    assert later.texts == (f"{one.texts[0]}!",), "known from an earlier turn, though no detector saw it this time"
    other = pseudonymise([text], [[found(text, text)]], bytes(32))
    assert other.texts[0] != one.texts[0]


def test_a_known_value_is_replaced_as_a_word_only() -> None:
    text = "Anna met Joanna, Anna's aunt"
    done = pseudonymise([text], [[found(text, "Anna")]], KEY)
    (token,) = done.map.values
    assert done.texts == (f"{token} met Joanna, {token}'s aunt",)


def test_findings_that_overlap_are_one_with_the_longest_name() -> None:
    text = "mail ann.lee@example.com now"
    mail = found(text, "ann.lee@example.com", "EMAIL")
    done = pseudonymise([text], [[found(text, "ann.lee"), mail, found(text, "example.com now", "URL")]], KEY)
    assert list(done.map.values.values()) == ["ann.lee@example.com now"]
    assert done.counts == {"EMAIL": 1}


def test_neighbours_stay_two() -> None:
    spans = spans_of(
        "abcd", [Finding(start=2, end=4, kind="pii", type="B"), Finding(start=0, end=2, kind="pii", type="A")]
    )
    assert [(each.start, each.end, each.word) for each in spans] == [(0, 2, "A"), (2, 4, "B")]
    assert spans_of("ab", [Finding(start=1, end=1, kind="pii", type="A")]) == ()


def test_a_hex_that_is_taken_is_lengthened() -> None:
    first = pseudonymise(["Ann Lee"], [[found("Ann Lee", "Ann Lee")]], KEY)
    (token,) = first.map.values
    taken = PseudonymMap(values={token: "somebody else"})
    second = pseudonymise(["Ann Lee"], [[found("Ann Lee", "Ann Lee")]], KEY, taken)
    assert second.texts[0].startswith(token[:-1])
    assert len(second.texts[0]) == len(token) + 4
    assert second.map.values == {token: "somebody else", second.texts[0]: "Ann Lee"}


def test_where_no_digits_are_left_nothing_goes_out() -> None:
    taken: dict[str, str] = {}
    for _ in range(4):
        made = pseudonymise(["Ann Lee"], [[found("Ann Lee", "Ann Lee")]], KEY, PseudonymMap(values=taken))
        taken |= {token: f"other {len(token)}" for token in made.map.values}
    with pytest.raises(ValueError, match="told apart"):
        pseudonymise(["Ann Lee"], [[found("Ann Lee", "Ann Lee")]], KEY, PseudonymMap(values=taken))


def test_brackets_of_the_text_name_no_token() -> None:
    token = next(iter(pseudonymise(["Ann Lee"], [[found("Ann Lee", "Ann Lee")]], KEY).map.values))
    done = pseudonymise([f"what is {token}?"], [[]], KEY)
    assert not TOKEN.search(done.texts[0])
    assert done.neutralised == 2
    assert neutralise(token) == f"〚{token[1:-1]}〛"


def test_words_are_letters_and_no_token_is_longer_than_a_stream_is_held() -> None:
    assert word_of("API_KEY") == "APIKEY"
    assert word_of("iban") == "IBAN"
    assert word_of("42⟧") == "VALUE"
    text = "x"
    done = pseudonymise([text], [[found(text, text, "A" * 80)]], KEY)
    assert len(done.texts[0]) + 12 <= TOKEN_CHARACTERS_MAX


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (0, 4), (3, 2)])
def test_a_finding_of_another_text_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="outside its text"):
        pseudonymise(["abc"], [[Finding(start=start, end=end, kind="pii", type="A")]], KEY)


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValueError, match="have findings of"):
        pseudonymise(["a"], [], KEY)
    with pytest.raises(ValueError, match="16 bytes"):
        pseudonymise(["a"], [[]], b"short")


def test_a_lone_surrogate_has_a_token_too() -> None:
    text = "\ud83d Ann"
    done = pseudonymise([text], [[found(text, text)]], KEY)
    assert list(done.map.values.values()) == [text]


def test_a_map_that_is_shown_shows_no_value() -> None:
    text = "Ann Lee"
    assert "Ann" not in repr(pseudonymise([text], [[found(text, text)]], KEY).map)


def test_every_known_value_that_stands_as_a_word_is_replaced_and_no_other() -> None:
    """As an expression of all of them would find it, the longest first; that takes as long as there are values."""
    lot = random.Random(7)
    letters = "ab_ +\u00e9-\u0308]^\\"
    for _ in range(500):
        values = {"".join(lot.choices(letters, k=lot.randint(4, 7))) for _ in range(lot.randint(1, 5))}
        text = "".join(lot.choice([lot.choice(letters), *values]) for _ in range(12))
        pseudonyms = PseudonymMap(values={f"\u27e6X_{place:08x}\u27e7": value for place, value in enumerate(values)})
        tokens = {value: token for token, value in pseudonyms.values.items()}
        any_of = "|".join(map(re.escape, sorted(values, key=len, reverse=True)))
        wanted = re.sub(rf"(?<!\w)(?:{any_of})(?!\w)", lambda match, tokens=tokens: tokens[match[0]], text)
        done = pseudonymise([text], [[]], KEY, pseudonyms)
        assert done.texts == (wanted,), (values, text)
