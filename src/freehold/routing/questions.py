"""What can be said of a question before anybody answers it: numbers read off its text, and hashed words and pairs.

None of this looks for a benchmark's format; lettered options, numbers and code are what makes questions of any source
easier or harder for one model than for another.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

GRAMS_DIMENSIONS = 1 << 18
"""Words and pairs are hashed into so many places."""

_CHARACTERS_MAX = 20_000
_WORD = re.compile(r"\w+")
_PIECE = re.compile(r"[A-Za-z]+|[0-9]+|[^\W\d_]+|[^\s]")
_CHARACTERS_PER_TOKEN_MAX = 16
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SENTENCE_END = re.compile(r"[.!?。！？](?:\s|$)")
_OPTION = re.compile(r"^\s*\(?[A-Ja-j][.):]\s+(.*)$", re.MULTILINE)
_FRACTION = re.compile(r"\d\s*/\s*\d")
_DECIMAL = re.compile(r"\d\.\d")
_CODE = re.compile(r"```|[{};]\s*$|\b(?:def|class|return|import|function|void|SELECT|print\w*)\b[\s(]", re.MULTILINE)
_OPERATORS = frozenset("+-*/=^<>%$\\{}[]|~")
_ASKING = ("what", "which", "who", "whom", "whose", "when", "where", "why", "how")
_NEGATING = frozenset({"not", "except", "never", "least", "false", "incorrect", "without", "no"})


def surface(text: str) -> tuple[float, ...]:
    """Numbers read off a question's text, always as many and in one order; lengths and counts as logarithms.

    Of a text of more than 20,000 characters only the beginning is read.
    """
    text = text[:_CHARACTERS_MAX]
    words = _WORD.findall(text.lower())
    numbers = _NUMBER.findall(text)
    options = _OPTION.findall(text)
    known = frozenset(words)
    characters, count = max(1, len(text)), max(1, len(words))
    marks = sum(not each.isalnum() and not each.isspace() for each in text)
    return (
        math.log1p(len(text)),
        math.log1p(len(words)),
        len(text) / count,
        sum(map(len, words)) / count,
        math.log1p(max(map(len, words), default=0)),
        len(known) / count,
        math.log1p(text.count("\n")),
        math.log1p(len(_SENTENCE_END.findall(text))),
        math.log1p(text.count("?")),
        math.log1p(text.count(",")),
        marks / characters,
        sum(map(str.isupper, text)) / characters,
        sum(map(str.isdigit, text)) / characters,
        math.log1p(len(numbers)),
        len(numbers) / count,
        math.log1p(max(map(_value, numbers), default=0.0)),
        math.log1p(len(_FRACTION.findall(text))),
        math.log1p(len(_DECIMAL.findall(text))),
        float("%" in text or "percent" in known),
        math.log1p(sum(each in _OPERATORS for each in text)),
        float(_CODE.search(text) is not None),
        float(len(options)),
        math.log1p(sum(map(len, options)) / max(1, len(options))),
        float(not known.isdisjoint(_NEGATING)),
        *(float(each in known) for each in _ASKING),
    )


def grams(text: str) -> Mapping[int, float]:
    """Words and pairs of neighbours by the place that they hash to, each ``1 + ln(count)``.

    The hash is CRC-32, so that places are the same in every process. Long texts are cut as by ``surface``.
    """
    words = _WORD.findall(text[:_CHARACTERS_MAX].lower())
    found = Counter((*words, *(f"{left} {right}" for left, right in pairwise(words))))
    places: dict[int, float] = {}
    for gram, times in found.items():
        place = zlib.crc32(gram.encode()) % GRAMS_DIMENSIONS
        places[place] = places.get(place, 0.0) + times
    return {place: 1.0 + math.log(times) for place, times in places.items()}


def _value(number: str) -> float:
    """A number as it was probably meant: a comma before three digits parts thousands."""
    plain = re.sub(r",(?=\d{3}(?:\D|$))", "", number)
    try:
        return min(float(plain), 1e15)
    except ValueError:
        return 0.0


def shortened(text: str, tokens: int) -> str:
    """The beginning of a text that is about ``tokens`` tokens long, cut between words.

    An estimate that needs no tokenizer: a word has a token for its first five letters and each four behind them, a
    number one for each two digits, and what is not Latin one a character.
    """
    left, end = float(tokens), 0
    for match in _PIECE.finditer(text[: tokens * _CHARACTERS_PER_TOKEN_MAX]):
        piece = match.group()
        if not piece.isascii():
            left -= len(piece)
        elif piece[0].isdigit():
            left -= math.ceil(len(piece) / 2)
        else:
            left -= 1 + max(0, len(piece) - 5) / 4
        if left < 0:
            break
        end = match.end()
    return text[:end]
