"""Recognisers and the secret scanner read any text, in time that grows with its length, and forget nothing."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from freehold.domain.findings import Finding
from freehold.policy.recognise import recognise, secrets

CHARACTERS = 100_000
TIMES_PLAIN_MAX = 40
"""Of a hostile text's time to a plain one's: generous, and far below what backtracking over 100,000 characters costs."""
PLAIN = "The quick brown fox jumps over the lazy dog, and then it sleeps in the sun. "
PIECES = [
    "a", "A", "0", "1 ", "1-", "-", ".", ",", "@", ":", "=", "/", "+", "(", ")", "[", "{", '"', "'", "\\", "`", "$", "%", " ", "\n",
    "é", "ß", "İ", "😀", "\u00a0", "\u200b", "\ud800", "key=", "password", "token: ", 'secret="', "tokens=[", "pass='a\\", "-----",
    "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----\n", "A" * 64 + "\n", "eyJ", "eyJaaaaaaaaaa.", "://", "http://a:",
    "-u a:", "basic ", "bearer ", "IBAN ", "DE89 3704 ", "GB82", "4111 ", "+1", "(212) 555-", "0 1", "Aa ", " Street", "1 rue ",
    "Calle a ", "weg 1 ", "Am ", "12345 ", "passport ", "number ", "no. ", "born ", "1.2.", "::", "ffff:", "00:1B:", "0x", "bc1",
    "1A", "DNI ", "12.345.", "NHC ", "MRN ", "SSN ", "vehicle ", "AB12 ", "phone ", "x204", "linkedin.com/in/", " [at] ", " (dot) ",
    'k: "' + "A1" * 30 + '",', "jwk", '"d":"', "<%", "{{", "AKIA", "sk-", "ghp_", "mysql ", "sig=", "Buffer.from(", "de ", "der und ",
    "590-555-0126", "jane.doe@example.com", "4111-1111-1111-1111",
]  # fmt: skip
texts = st.one_of(st.text(max_size=300), st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
HOSTILE = [
    "a", "A", "0", "1 ", "1-", "a.", "a@", "a@b.", "a:", "1:", "=", "key=", "password ", 'token="', 'tokens=["a",', "pass='a\\",
    "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\n" + "A" * 60 + "\n", ("A" * 64 + "\n") * 20 + "-----END PRIVATE KEY-----\n",
    "eyJ", "eyJaaaaaaaa.", "a://a:", "-u a:b", "\n", " ", "(", "+1 (", "0 1", "4111 ", "GB82 WEST ", "DE89", "Aa ", "Aa-", "12 Aa Bb ",
    "1 rue a ", "Calle a ", "Aweg 1 ", "1 Main Street, Aa Bb Cc ", "national id a1 ", "passport is number no. ", "1.1.1.", "1::", "ffff:",
    "a [at] ", 'k: "' + "A1" * 30 + '",', "\\", "new a(", " @abc", "İ", "vehicle AB12 ", "NHC n ", 'password\\":\\"', "mysql a",
]  # fmt: skip


def thread_s(do, text: str) -> float:
    begun = time.thread_time()
    do(text)
    return time.thread_time() - begun


@pytest.fixture(scope="module")
def plain_s() -> dict[str, float]:
    text = (PLAIN * (CHARACTERS // len(PLAIN) + 1))[:CHARACTERS]
    return {do.__name__: max(thread_s(do, text) for _ in range(2)) for do in (recognise, secrets)}


@pytest.mark.parametrize("unit", HOSTILE, ids=lambda unit: repr(unit[:24]))
def test_no_text_takes_much_longer_than_a_plain_one(unit, plain_s) -> None:
    text = (unit * (CHARACTERS // len(unit) + 1))[:CHARACTERS]
    for do in (recognise, secrets):
        assert thread_s(do, text) < TIMES_PLAIN_MAX * plain_s[do.__name__]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join))
@settings(deadline=None, max_examples=25)
def test_no_repetition_takes_much_longer_than_a_plain_one(unit) -> None:
    size = CHARACTERS // 10
    plain = (PLAIN * (size // len(PLAIN) + 1))[:size]
    text = (unit * (size // len(unit) + 1))[:size]
    for do in (recognise, secrets):
        assert thread_s(do, text) < TIMES_PLAIN_MAX * max(thread_s(do, plain) for _ in range(2))


def is_well_formed(text: str, found: tuple[Finding, ...]) -> bool:
    ends: dict[str, int] = {}
    for each in found:
        if not (0 <= each.start < each.end <= len(text) and 0 < each.score <= 1 and each.type.isupper()):
            return False
        if each.end <= ends.get(each.kind, 0):
            return False
        ends[each.kind] = each.end
    return [each.start for each in found] == sorted(each.start for each in found)


@given(texts)
@example(
    "\u200b (590-555-0126passwordjane.doe@example.com：590-555-0126"
)  # two values of one beginning, the shorter last
@settings(deadline=None)
def test_any_text_is_read_and_places_are_sorted_and_within_it(text) -> None:
    assert is_well_formed(text, recognise(text))
    assert is_well_formed(text, recognise(text, languages=["de", "en", "es", "fr"]))
    assert is_well_formed(text, secrets(text))


@given(texts, st.sampled_from(["\n\n~ ~ ~\n", "\n\nThe lake lay still.\n", "\n\n" + PLAIN * 20]))
@settings(deadline=None)
def test_what_follows_takes_nothing_away(text, more) -> None:
    for do in (secrets, lambda each: recognise(each, languages=["de", "en", "es", "fr"])):
        longer = do(text + more)
        for found in do(text):
            assert any(
                each.kind == found.kind and each.start <= found.start and each.end >= found.end for each in longer
            )


@given(texts)
@settings(deadline=None)
def test_the_same_text_gives_the_same_findings(text) -> None:
    assert recognise(text) == recognise(text)
    assert secrets(text) == secrets(text)


def test_a_line_of_any_length_is_read() -> None:
    line = "x" * 300_000 + " mail jane@example.org " + "y" * 10
    assert [line[each.start : each.end] for each in recognise(line)] == ["jane@example.org"]
