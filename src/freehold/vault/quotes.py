"""Quotes: whether what stands in quote marks stands so in a document, and where. Pure.

Both sides are folded (``fold``), then compared exactly: no ratio, since a changed number or a left-out "not" changes few
characters. What is found is told in the document's own characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

CHARACTERS_MIN = 12
"""Shorter ones are not checked as quotes: they are names and words that are talked about."""
PIECE_WORDS_MIN = 5
"""Words of a piece that tells a stitched quote from a made one."""

_DROPPED = frozenset("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff\ufe0e\ufe0f")
_DOUBLE = "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\u301d\u301e\u301f\u300c\u300d\u300e\u300f\uff02"
_SINGLE = "\u2018\u2019\u201a\u201b\u2039\u203a\u2032\u0060\u00b4\u02bc"
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
_SAME = {
    **dict.fromkeys(map(ord, '"' + _DOUBLE + _SINGLE), "'"),  # who quotes a quote changes its marks, as he has to
    **dict.fromkeys(map(ord, _DASHES), "-"),
}
_JOINING = re.compile(
    "[\u1161-\u11ff\u09be\u09d7\u0b3e\u0b56\u0b57\u0bbe\u0bd7\u0cc2\u0cd5\u0cd6\u0d3e\u0d57\u0dcf\u0ddf\u102e]"
)
"""Characters that may be composed with the one before although they do not combine: vowels of Hangul and Indic ones."""
_BROKEN = re.compile(r"(?<=\w)[-\u00ad\u2010]\r?\n[ \t]*(?=[^\W\d_])")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_NOT_BEFORE = ("不", "未", "無", "无", "非", "没", "沒", "别", "勿", "ไม่")
_ENDING = ".,;:!?。，、；：！？"
_WORD = re.compile(r"\w+")
_GAP = re.compile(r"\s*(?:\[\s*(?:\.\.\.|…)\s*\]|\(\s*(?:\.\.\.|…)\s*\)|\.\.\.+|…)\s*")


@dataclass(frozen=True, slots=True)
class Folded:
    """A text as it is compared.

    Attributes:
        text: Its characters, folded.
        starts: Where the original of each begins.
        ends: Where that ends. Several characters of one original (a ligature) have the same.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]


def is_unspaced(character: str) -> bool:
    """Whether it belongs to a script that does not part its words by blanks."""
    return _UNSPACED.match(character) is not None


def fold(text: str, *, joined: bool = True) -> Folded:
    """A text as it is compared: NFKC, invisible characters dropped, one kind of quote mark and dash, single blanks.

    Args:
        text: Any.
        joined: Words that were broken at the end of a line lose the hyphen too, not only the break.
    """
    skipped = {
        place
        for broken in _BROKEN.finditer(text)
        for place in range(broken.start() + (not joined and text[broken.start()] != "\u00ad"), broken.end())
    }
    said: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end, cluster in _clusters(text, skipped):
        for each in unicodedata.normalize("NFKC", cluster).translate(_SAME):
            if not each.isspace():
                said.append(each)
                starts.append(start)
                ends.append(end)
            elif said and said[-1] == " ":
                ends[-1] = end
            else:
                said.append(" ")
                starts.append(start)
                ends.append(end)
    return Folded("".join(said), starts, ends)


def _clusters(text: str, skipped: set[int]) -> Iterator[tuple[int, int, str]]:
    """Characters with what is composed with them, and where they stand."""
    start, end, held = 0, 0, ""
    for place, each in enumerate(text):
        if each in _DROPPED or place in skipped:
            continue
        if held and (each > "\x7f") and (unicodedata.combining(each) or _JOINING.match(each)):
            held, end = held + each, place + 1
            continue
        if held:
            yield start, end, held
        start, end, held = place, place + 1, each
    if held:
        yield start, end, held


def find(quote: str, within: Folded) -> tuple[int, int] | None:
    """Where a quote stands, in characters of the original; ``None`` where it does not.

    Args:
        quote: Folded, without blanks around it.
        within: Where it is looked for; it must begin and end there where words and numbers do.
    """
    place = within.text.find(quote) if quote else -1
    while place >= 0:
        end = place + len(quote)
        if not (_cuts(within, place) or _cuts(within, end) or _is_denied(within.text, place)):
            return within.starts[place], within.ends[end - 1]
        place = within.text.find(quote, place + 1)
    return None


def _cuts(within: Folded, place: int) -> bool:
    """Whether a place is inside a word, a number, or a character of the original."""
    text = within.text
    if not 0 < place < len(text):
        return False
    if within.starts[place] == within.starts[place - 1]:
        return True
    before, behind = text[place - 1], text[place]
    if before.isalnum() and behind.isalnum():
        return not (is_unspaced(before) and is_unspaced(behind))
    second = text[place - 2] if place > 1 else ""
    if behind.isalnum() and before in "-+'" and second.isalnum():
        return True
    if behind.isdigit() and before in ".,+-":
        return before in "+-" or second.isdigit()
    third = text[place + 1] if place + 1 < len(text) else ""
    if before.isalnum() and behind in "-'" and third.isalnum():
        return True
    return before.isdigit() and behind in ".," and third.isdigit()


def _is_denied(text: str, place: int) -> bool:
    """Whether a "not" without a blank stands right before it."""
    return 0 < place < len(text) and is_unspaced(text[place]) and text.endswith(_NOT_BEFORE, 0, place)


class Verdict(StrEnum):
    """What became of a quote."""

    SHORT = "short"
    VERIFIED = "verified"
    MISATTRIBUTED = "misattributed"
    STITCHED = "stitched"
    FABRICATED = "fabricated"


@dataclass(frozen=True, slots=True)
class Place:
    """A part of one of the texts: its number from 0, and from where to where."""

    text: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a quote, and where its pieces stand: more than one only where it said itself that it leaves out."""

    verdict: Verdict
    places: tuple[Place, ...] = ()


class Sources:
    """Texts in which quotes are looked for.

    Args:
        texts: In the order of their numbers.
    """

    __slots__ = ("_folded",)

    def __init__(self, texts: Sequence[str]) -> None:
        self._folded: list[tuple[Folded, ...]] = []
        for text in texts:
            broken = _BROKEN.search(text) is not None
            self._folded.append((fold(text), fold(text, joined=False)) if broken else (fold(text),))

    def check(self, quote: str, *, cited: Sequence[int] = ()) -> Checked:
        """Look a quote up.

        Args:
            quote: Without its marks. It is verified in exactly these words, and where it leaves out ("…") in these pieces
                of one text, in their order.
            cited: Numbers of the texts that it is said to be from; none for any of them.
        """
        said = _said(quote)
        if is_short(quote):
            return Checked(Verdict.SHORT)
        order = [each for each in cited if 0 <= each < len(self._folded)]
        order += [each for each in range(len(self._folded)) if each not in order]
        for number in order:
            if places := self._found(quote, number):
                is_meant = not cited or number in cited
                return Checked(Verdict.VERIFIED if is_meant else Verdict.MISATTRIBUTED, places)
        return Checked(Verdict.STITCHED if self._is_stitched(said) else Verdict.FABRICATED)

    def _found(self, quote: str, number: int) -> tuple[Place, ...]:
        """All pieces of a quote in one text; none where one is missing."""
        for folded in self._folded[number]:
            for said in (fold(quote).text.strip(), _said(quote)):
                if (whole := find(said, folded)) is not None:
                    return (Place(number, *whole),)
            pieces = [_said(piece) for piece in _GAP.split(quote) if piece.strip()]
            found = [find(piece, folded) for piece in pieces if not is_short(piece)]
            places = [Place(number, *each) for each in found if each is not None]
            is_in_order = all(a.end <= b.start for a, b in pairwise(places))
            if places and len(places) == len(pieces) and is_in_order:
                return tuple(places)
        return ()

    def _is_stitched(self, said: str) -> bool:
        """Whether at least two pieces of it stand somewhere, apart."""
        words = list(_WORD.finditer(said))
        pieces, first = 0, 0
        while first + PIECE_WORDS_MIN <= len(words):
            piece = said[words[first].start() : words[first + PIECE_WORDS_MIN - 1].end()]
            if any(find(piece, each) for folded in self._folded for each in folded):
                pieces += 1
                first += PIECE_WORDS_MIN
            else:
                first += 1
        return pieces > 1


def is_short(quote: str) -> bool:
    """Whether it is a name or a word that is talked about, not a quote."""
    said = _said(quote)
    return len(said) + len(_UNSPACED.findall(said)) < CHARACTERS_MIN  # one of those says as much as two letters


def _said(quote: str) -> str:
    """A quote as it is looked for: its writer may have put a comma or a full stop before the mark."""
    return fold(quote).text.strip().rstrip(_ENDING).strip()
