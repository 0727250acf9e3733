"""Words of an answer with the tokens that they were made of, and which of them the question did not give.

A small model is sure of the words it repeats ("The capital of Oman is") and of its grammar, whatever it knows. What
it adds of its own carries the doubt, so its words are weighed apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from freehold.domain.request import InferenceRequest
from freehold.domain.response import TokenLogprob

_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
"""A run of word characters; in scripts written without blanks each character."""

_GLUE = frozenset(
    {
        *(
            "a",
            "an",
            "and",
            "answer",
            "are",
            "as",
            "be",
            "by",
            "for",
            "in",
            "is",
            "it",
            "of",
            "on",
            "or",
            "that",
            "the",
        ),
        *("this", "to", "was", "were", "with", "your"),
    }
)
"""English words that frame an answer. Other languages go without: their frame counts as content."""

_PROMPT_CHARACTERS_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Word:
    """A word in lower case and its tokens."""

    text: str
    tokens: tuple[TokenLogprob, ...]


def words(tokens: Sequence[TokenLogprob]) -> list[Word]:
    """The words of an answer in order; a token that reaches into two words belongs to both."""
    ends = list(accumulate(len(token.token) for token in tokens))
    text = "".join(token.token for token in tokens)
    found: list[Word] = []
    first = 0
    for match in _WORD.finditer(text):
        while ends[first] <= match.start():
            first += 1
        last = first
        while ends[last] < match.end():
            last += 1
        found.append(Word(match.group().lower(), tuple(tokens[first : last + 1])))
    return found


def new_words(answer: Sequence[Word], request: InferenceRequest) -> list[Word]:
    """Words of the answer that are neither in the question nor mere frame."""
    texts = [message.text for message in request.messages] + [request.prompt]
    given = frozenset(_WORD.findall(" ".join(texts)[-_PROMPT_CHARACTERS_MAX:].lower()))
    return [word for word in answer if word.text not in given and word.text not in _GLUE]
