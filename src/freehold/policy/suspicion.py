"""What in a text may be part of a value: decided word by word, by looks alone and at next to no cost. Pure.

A recogniser needs a value whole, and a client should have the words before it at once. So an answer is taken apart into
words: most hold nothing that any value has, and those that may are kept until it is known what they belong to.
"""

from __future__ import annotations

import re

BREAKS = "\\s\u3001\u3002\uff0c\uff01\uff1a\uff1b\uff1f"
"""What ends a word, as inside of a class of characters: blanks, and signs that end a clause where no blank is written."""

WORD = re.compile(rf"[^{BREAKS}]*[{BREAKS}]")
"""A word with the one character that ends it; of further ones each is a word of its own, with nothing in it."""

CAPITALS_MAX = 5
"""Words with a capital in front that may begin a value: the name of a street."""

_HINT = r"(?:pass|pwd|kennwort|contrase|clave|mdp|token|secret|key|credential|auth|session|cookie|bearer|\bsid)"
_COUNTING = (
    "\u00b2\u00b3\u00b9\u2070-\u2079\u2080-\u2089\u2460-\u249b\u24ea-\u24ff\u2776-\u2793\u3220-\u3229\u3280-\u3289"
)
_LOOKALIKES = "\ufe60\ufe6a\ufe6b\uff05\uff06\uff20"
_SIGNS = (
    rf"[\d@%&{_COUNTING}{_LOOKALIKES}]"
    r"|://|\.[A-Za-z]{2,3}/"
    r"|-----BEGIN|PuTTY-User"
    r"|[A-Za-z][A-Za-z+/_=-]{19}"
    r"|[\[({](?i:at|arroba|arobase)[\])}]"
    rf"|(?i:{_HINT})[^{BREAKS}]{{0,40}}?[:=\"'`(,]"
)
_SUSPICIOUS = re.compile(_SIGNS)
_MAY_BE = re.compile(rf"{_SIGNS}|(?<![^{BREAKS}])[:=]")
_HINTED = re.compile(rf"(?i:{_HINT})[^{BREAKS}]{{0,40}}[{BREAKS}]\Z")
_HINTED_CHARACTERS_MAX = 64
_CAPITALS = re.compile(
    rf"(?:(?<![^{BREAKS}])[\"'“‘„«(\[*_-]{{0,3}}[A-ZÀ-ÖØ-Þ][^{BREAKS}]{{0,60}}[ \u00a0]){{1,{CAPITALS_MAX}}}\Z"
)
_SHORT_NUMBER = re.compile(
    rf"(?<![^{BREAKS}])[\[($€£*_~\"']{{0,3}}\d{{1,4}}(?:\.\d{{1,3}}|(?:,\d{{3}}){{1,3}})?[a-z]{{0,3}}[])%€$*_~.,:;!?\"']{{0,4}}"
    rf"(?:(?=[{BREAKS}]+[^{BREAKS}\d]*[^\W\d_][^{BREAKS}\d]*[{BREAKS}])|[{BREAKS}]*\Z)"
)
_WHOLE_WORDS = re.compile(rf"(?s:.*)[{BREAKS}]")


def may_be_suspicious(text: str) -> bool:
    """Whether any word of a text could be, the last one also where it is not whole. ``True`` promises nothing."""
    return _MAY_BE.search(text) is not None


def is_suspicious(word: str) -> bool:
    """Whether a word holds what a value may have."""
    return _SUSPICIOUS.search(word) is not None


def is_given(word: str, before: str) -> bool:
    """Whether a word gives a value to the name before it, and that name promises a secret: ``password : …``."""
    return word.startswith((":", "=")) and _HINTED.search(before[-_HINTED_CHARACTERS_MAX:]) is not None


def has_short_numbers_only(text: str) -> bool:
    """Whether nothing in a text is suspicious but numbers of a few digits, each with a word of letters behind it."""
    return not may_be_suspicious(_SHORT_NUMBER.sub("", text))


def words_end(text: str) -> int:
    """Where the last word of a text ends that is whole; 0 where none is."""
    found = _WHOLE_WORDS.match(text)
    return 0 if found is None else found.end()


def capitals_begin(text: str, start: int, end: int) -> int:
    """Where the words with a capital begin that stand last in a stretch, on one line: ``end`` where there is none."""
    found = _CAPITALS.search(text[start:end])  # sliced: what stands before it is not there in every cutting
    return end if found is None else start + found.start()
