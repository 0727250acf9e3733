"""Texts as terms: what the index keeps of a text, and what a question asks it for. Pure.

One term for each word, so that a question stays cheap: English words by their stem, and every word cut after its first
letters, which does for other languages what a stemmer does for English, and needs no guess at the language. Scripts
that have no blanks between words are kept as pairs of neighbouring letters. Decision 41 has what that measured.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

_LATIN_LETTERS, _OTHER_LETTERS = 6, 5
_LATIN_BELOW = "\u0250"
_LAST_MARK = 0x1FFFF
"""Behind it are no marks but variation selectors."""

_JOINERS = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff\u0640"))
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7ff\uf900-\ufaff"
    "\U00020000-\U0003ffff]+"
)
"""Thai, Lao, Burmese, Khmer, Han, Kana and Hangul."""
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")

_ARABIC_ALEF = str.maketrans("أإآٱى", "ااااي")
_ARABIC_MARKS = re.compile("[\u064b-\u065f\u0670]")
_ARABIC_FRONT = re.compile(r"^(?:[وفبكل]?ال|لل|و)(?=\w{3})")
_ARABIC_BACK = re.compile(r"(?<=\w{3})(?:ها|ان|ات|ون|ين|يه|ية|ه|ة|ي)$")

_VOWELS = frozenset("aeiouy")
_STOP_WORDS = (
    "a an and are as at be but by for from had has have he if in into is it its no not of on or she such that the"
    " their then there these they this to was were will with what which who whom whose how when where why do does did"
    " can could would should"
)
_STOP = frozenset(_STOP_WORDS.split())


def kept_terms(text: str) -> str:
    """The terms of a text, in its order, with blanks between them; none has a blank or punctuation in it."""
    return " ".join(_terms(text))


def asked_terms(text: str) -> tuple[str, ...]:
    """The terms that a question asks for, each once."""
    return tuple(dict.fromkeys(_terms(text)))


def counted(texts: Sequence[str], asked: Sequence[str]) -> list[tuple[int, Counter[str]]]:
    """Of each text how many terms it has, and how often those that are asked for.

    Cheaper than ``kept_terms`` of each: a word that several of them have is looked at once.
    """
    wanted = frozenset(asked)
    known: dict[str, tuple[int, tuple[str, ...]]] = {}
    made: list[tuple[int, Counter[str]]] = []
    for text in texts:
        total, often = 0, Counter[str]()
        for word in _words_in(text):
            found = known.get(word)
            if found is None:
                terms = tuple(_terms_of(word))
                found = known[word] = len(terms), tuple(term for term in terms if term in wanted)
            total += found[0]
            if found[1]:
                often.update(found[1])
        made.append((total, often))
    return made


def _terms(text: str) -> Iterator[str]:
    for word in _words_in(text):
        yield from _terms_of(word)


def _words_in(text: str) -> list[str]:
    # Twice: composing can leave what folding case takes apart, and a term must not depend on how its text was typed.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).translate(_JOINERS)
    return _words().findall(_THOUSANDS.sub("", folded))


def _terms_of(word: str) -> Iterator[str]:
    at = 0
    for run in _UNSPACED.finditer(word):
        if run.start() > at:
            yield from _of_word(word[at : run.start()])
        yield from _pairs(run.group())
        at = run.end()
    if at < len(word):
        yield from _of_word(word[at:])


def _pairs(run: str) -> Iterator[str]:
    yield from (run[at : at + 2] for at in range(max(1, len(run) - 1)))


def _of_word(word: str) -> Iterator[str]:
    if word.isascii():
        if word in _STOP:
            return
        # A number, a code or a file's name is itself and nothing like it.
        yield word if any(map(str.isdigit, word)) else _stem(word)[:_LATIN_LETTERS]
    elif "\u0600" <= word[0] <= "\u06ff":
        yield (_arabic(word) or word)[:_OTHER_LETTERS]
    else:
        yield word[: _LATIN_LETTERS if word[0] < _LATIN_BELOW else _OTHER_LETTERS]


def _stem(word: str) -> str:
    """The first step of Porter's algorithm (1980), and its final e: what is cut short anyway needs no more."""
    if len(word) > 3:
        if word.endswith("ies"):
            word = word[:-3] + ("y" if len(word) > 4 else "ie")
        elif word.endswith("sses"):
            word = word[:-2]
        elif word.endswith("s") and word[-2] not in "su":
            word = word[:-1]
    for end in ("ing", "ed"):
        stem = word.removesuffix(end)
        if stem != word and len(stem) > 1 and not _VOWELS.isdisjoint(stem):
            is_doubled = len(stem) > 2 and stem[-1] == stem[-2] and stem[-1] not in "lsz"
            word = stem[:-1] if is_doubled else stem
            break
    if len(word) > 3 and word.endswith("y") and word[-2] not in _VOWELS:
        return word[:-1] + "i"
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def _arabic(word: str) -> str:
    """Without marks, article and commonest endings, as the Light10 stemmer takes them off (Larkey and others, 2007)."""
    word = _ARABIC_MARKS.sub("", word).translate(_ARABIC_ALEF)
    return _ARABIC_BACK.sub("", _ARABIC_FRONT.sub("", word))


@functools.cache
def _words() -> re.Pattern[str]:
    r"""Words with the marks in them: for ``\w`` a Hindi word ends at each of its vowels."""
    marks = [code for code in range(0x300, min(_LAST_MARK, sys.maxunicode) + 1) if _is_mark(code)]
    ranges: list[list[int]] = []
    for code in marks:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    inside = "".join(f"{chr(low)}-{chr(high)}" for low, high in ranges)
    # A point between digits is part of a number: 3.5 is not 3 and 5.
    return re.compile(rf"(?:[^\W_]|[{inside}]|(?<=\d)\.(?=\d))+")


def _is_mark(code: int) -> bool:
    return unicodedata.category(chr(code)) in {"Mn", "Mc"}
