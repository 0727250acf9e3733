"""Words of an answer, and which of them the question did not give.

A small model is sure of the words it repeats ("The capital of Oman is") and of its grammar, whatever it knows. What
it adds of its own carries the doubt, so its words are weighed apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
"""A run of word characters; in scripts written without blanks each character."""

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


@dataclass(frozen=True, slots=True)
class Words:
    """The words of an answer's beginning.

    Attributes:
        all: Every word, in lower case.
        new: Characters (start, end) of those that are neither in the question nor mere frame.
    """

    all: tuple[str, ...]
    new: tuple[tuple[int, int], ...]


def words_of(answer: str, question: str) -> Words:
    """The words of the first 300 characters of ``answer``, held against the last 4,000 of ``question``."""
    given = frozenset(_WORD.findall(question[-_QUESTION_CHARACTERS_MAX:].lower()))
    said: list[str] = []
    new: list[tuple[int, int]] = []
    for found in _WORD.finditer(answer, 0, _ANSWER_CHARACTERS_MAX):
        word = found.group().lower()
        said.append(word)
        if word not in given and word not in _GLUE:
            new.append(found.span())
    return Words(tuple(said), tuple(new))
