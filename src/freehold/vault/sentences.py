"""Where sentences end, in a text that may still be coming. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from freehold.vault.marks import Quoted, Unclosed, code_end, quote_at

SENTENCE_CHARACTERS_MAX = 4_000
"""Of one; a longer one is cut between words."""

_ENDS = frozenset(".!?…؟۔।॥։")
_ENDS_AT_ONCE = frozenset("。！？｡")
_TRAILING = frozenset(")]}\"'”’»›」』）】。！？.!?…")
_SHORT_WORDS = (
    "dr mr mrs ms prof st sr jr vs etc al fig no nr vol pp ca cf eq ed eds inc ltd co e.g i.e u.s u.k a.m p.m z.b d.h bzw usw"
    " abs art bd sog evtl ggf vgl dipl hr fr ing p.ej ej sra av арт им стр рис тыс"
)
_SHORT = frozenset(_SHORT_WORDS.split())
_FULL_LINE = 40
_LINE_ENDS = frozenset(".!?…:|。！？")
_NEW_LINE = re.compile(r"\s*(?:\n|[-*•|#>]|\d{1,3}[.)]\s|\Z)")
"""A line that begins something: an empty one, an item, a row, a heading."""
_LAST_WORD = re.compile(r"[\w.]+\Z")
_MARKER = re.compile(r"\s*\[\d{1,3}(?:\s*[,;-]\s*\d{1,3})*\]")
_MARKER_SO_FAR = re.compile(r"\s*(?:\[[\d\s,;-]{0,20})?\Z")


def sentence_end(text: str, start: int, *, is_whole: bool, quotes: bool = True) -> int | None:
    """Behind the sentence that begins at a place, with the numbers of sources after it; ``None`` while that is not known.

    The same however the text comes in pieces: an end depends on nothing behind it but the next characters that are there
    in any case. A line ends a sentence; a quote that is open, and code in a line, do not let it end.

    Args:
        text: What is known of the text.
        start: Where it begins.
        is_whole: No more of the text comes.
        quotes: Whether quotes are kept whole.
    """
    place = start
    while place < len(text):
        each = text[place]
        if each == "\n" and (quotes or not _is_wrapped(text, start, place)):
            return place + 1
        if place - start >= SENTENCE_CHARACTERS_MAX and each.isspace():
            return place + 1
        if quotes and (step := _skipped(text, place, is_whole=is_whole)) != place:
            if step is None:
                return None
            place = step
            may_end = text[place - 2] in _ENDS | _ENDS_AT_ONCE
        else:
            place += 1
            may_end = each in _ENDS_AT_ONCE or (each in _ENDS and not _is_short(text, start, place - 1))
        if may_end and (found := _ended(text, place, is_whole=is_whole, at_once=each in _ENDS_AT_ONCE)) != 0:
            return found
    return len(text) if is_whole and len(text) > start else None


def _is_wrapped(text: str, start: int, place: int) -> bool:
    """Whether a line of a document was broken only because it was full."""
    line = text[max(start, text.rfind("\n", 0, place) + 1) : place].rstrip()
    return len(line) >= _FULL_LINE and line[-1:] not in _LINE_ENDS and _NEW_LINE.match(text, place + 1) is None


def _skipped(text: str, place: int, *, is_whole: bool) -> int | None:
    """Behind the quote or the code at a place, the place itself where there is none, ``None`` where more of it comes."""
    code = code_end(text, place, is_whole=is_whole)
    if code is not None:
        return None if code < 0 else code
    found = quote_at(text, place, is_whole=is_whole)
    if isinstance(found, Unclosed):
        return None
    return found.end if isinstance(found, Quoted) else place


def _ended(text: str, place: int, *, is_whole: bool, at_once: bool = False) -> int | None:
    """Behind a sentence whose last words end at a place; 0 where it goes on, ``None`` while that is not known."""
    while place < len(text) and text[place] in _TRAILING:
        place += 1
    if place >= len(text):
        return place if is_whole else None
    while (marker := _MARKER.match(text, place)) is not None:
        place = marker.end()
    if not is_whole and _MARKER_SO_FAR.match(text, place):
        return None
    behind = place
    while behind < len(text) and text[behind].isspace() and text[behind] != "\n":
        behind += 1
    if behind >= len(text) or text[behind] == "\n" or at_once:
        return behind
    return behind if behind > place and not text[behind].islower() else 0


def _is_short(text: str, start: int, place: int) -> bool:
    """Whether the full stop at a place ends an abbreviation, an initial or the number of an item."""
    if text[place] != ".":
        return False
    word = _LAST_WORD.search(text, start, place)
    if word is None:
        return False
    said = word.group()
    if said.lower() in _SHORT or (len(said) == 1 and said.isalpha() and said.isupper()):
        return True
    return said.isdigit() and not text[start : word.start()].strip()


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Where the sentences and lines of a whole text stand, without blanks around them, whatever is quoted in them."""
    start = 0
    while (end := sentence_end(text, start, is_whole=True, quotes=False)) is not None:
        said = text[start:end]
        first = start + len(said) - len(said.lstrip())
        last = start + len(said.rstrip())
        if last > first:
            yield first, last
        start = end
