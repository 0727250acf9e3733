"""Words of an answer, and which of them the question did not give.

A small model is sure of the words it repeats ("The capital of Oman is") and of its grammar, whatever it knows. What
it adds of its own carries the doubt, so its words are weighed apart.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import NamedTuple

_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"([{_UNSPACED}]|[^\W{_UNSPACED}]+)")
"""A run of word characters; in scripts written without blanks each character."""

_ASCII_WORD = re.compile(r"([0-9A-Z_a-z]+)")
"""The same in a text that is ASCII, and faster there."""

_GLUE = frozenset(
    {
        *("a", "an", "and", "answer", "are", "as", "be", "by", "for", "in", "is", "it", "of", "on", "or", "that", "the"),
        *("this", "to", "was", "were", "with", "your"),
    }
)  # fmt: skip
"""English words that frame an answer. Other languages go without: their frame counts as content."""

_QUESTION_CHARACTERS_MAX = 4_000
_ANSWER_CHARACTERS_MAX = 300
"""An answer says what it has to say early, and this is measured for every answer."""


class Words(NamedTuple):
    """The words of an answer's beginning.

    Attributes:
        all: Every word, in lower case.
        new: Characters (start, end) of those that are neither in the question nor mere frame.
    """

    all: tuple[str, ...]
    new: tuple[tuple[int, int], ...]


def words_of(answer: str, question: str) -> Words:
    """The words of the first 300 characters of ``answer``, held against the last 4,000 of ``question``."""
    asked, said = question[-_QUESTION_CHARACTERS_MAX:].lower(), answer[:_ANSWER_CHARACTERS_MAX]
    known = _GLUE.union(_word(asked).findall(asked))
    pieces = _word(said).split(said)  # a gap, a word, a gap, … : in one call, which a search for each word is not
    ends = list(accumulate(map(len, pieces)))
    words = tuple([piece.lower() for piece in pieces[1::2]])
    places = zip(words, ends[::2], ends[1::2])  # noqa: B905 - one gap more than there are words
    return Words(words, tuple([(start, end) for word, start, end in places if word not in known]))


def _word(text: str) -> re.Pattern[str]:
    return _ASCII_WORD if text.isascii() else _WORD
