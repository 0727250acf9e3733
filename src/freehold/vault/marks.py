"""Quote marks of many languages: which of them belong together. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

QUOTED_CHARACTERS_MAX = 2_000
"""A mark that is not closed within so many, or before an empty line, opens nothing."""
_SINGLE_CHARACTERS_MAX = 400
"""The same for single marks, which are apostrophes as often."""

_CLOSING = {
    "\u201e": "\u201c\u201d\u201f\"", "\u201c": "\u201d", "\u201d": "\u201d", "\u201f": "\u201d", "\u00ab": "\u00bb",
    "\u00bb": "\u00ab", "\u2039": "\u203a", "\u203a": "\u2039", "\u300c": "\u300d", "\u300e": "\u300f",
    "\u301d": "\u301e\u301f", "\uff02": "\uff02", '"': '"', "'": "'", "\u2018": "\u2019", "\u201a": "\u2018\u2019",
}  # fmt: skip
_SINGLE = frozenset("'\u2018\u2019\u201a")
_EITHER = frozenset("\"'\u201d\uff02\u00bb\u203a")
"""Marks that open in one language and close in another, or both in the same."""
_STRAY = frozenset('"\u201c\u201d\u201e\u201f\u00ab\u00bb\u300c\u300d\u300e\u300f\u301d\u301e\u301f\uff02')
_ALL = frozenset(_CLOSING).union(*_CLOSING.values())
_TICK = "`"


@dataclass(frozen=True, slots=True)
class Quoted:
    """A part of a text in quote marks: of one character each, at ``start`` and ``end - 1``."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Unclosed:
    """A quote that is not over with the text: more of it may come."""

    start: int


def quote_at(text: str, place: int, *, is_whole: bool) -> Quoted | Unclosed | None:
    """The quote that begins at a place; ``None`` where none does.

    Args:
        text: What is known of the text.
        place: Where to look.
        is_whole: No more of it comes.
    """
    mark = text[place]
    closing = _CLOSING.get(mark)
    if closing is None or not _may_open(text, place):
        return None
    limit = place + (_SINGLE_CHARACTERS_MAX if mark in _SINGLE else QUOTED_CHARACTERS_MAX)
    depth = 0
    for at in range(place + 1, min(len(text), limit)):
        each = text[at]
        if each == "\n" and text[at - 1] == "\n":
            return None
        if each in closing and _may_close(text, at, mark):
            if at + 1 >= len(text) and not is_whole and (mark in _SINGLE or text[at - 1].isspace()):
                return Unclosed(place)
            if depth == 0:
                return Quoted(place, at + 1)
            depth -= 1
        elif each == mark and each not in closing:
            depth += 1
    return None if is_whole or len(text) >= limit else Unclosed(place)


def _may_open(text: str, place: int) -> bool:
    mark = text[place]
    if mark not in _EITHER and mark not in _SINGLE:
        return True
    before = text[place - 1] if place else " "
    behind = text[place + 1] if place + 1 < len(text) else ""
    if mark in _SINGLE:
        return not before.isalnum() and not behind.isspace() and not behind.isdigit()
    return before.isspace() or (not behind.isspace() and not before.isdigit())


def _may_close(text: str, place: int, opened: str) -> bool:
    behind = text[place + 1] if place + 1 < len(text) else " "
    if opened in _SINGLE:
        return not behind.isalnum() and not text[place - 1].isspace()
    return not text[place - 1].isspace() or not behind.isalnum()


def quotes_in(text: str) -> Iterator[Quoted]:
    """The outermost quotes of a whole text, in order; none in code."""
    place = 0
    while place < len(text):
        if (end := code_end(text, place, is_whole=True)) is not None:
            place = max(end, place + 1)
            continue
        found = quote_at(text, place, is_whole=True)
        if isinstance(found, Quoted):
            yield found
            place = found.end
        else:
            place += 1


def without_marks(text: str) -> str:
    """A text without any quote mark; apostrophes stay."""
    return "".join(
        each
        for place, each in enumerate(text)
        if each not in _ALL or (place and text[place - 1 : place + 2].replace(each, "x").isalnum() and each in _SINGLE)
    )


def code_end(text: str, place: int, *, is_whole: bool) -> int | None:
    """Behind the code in a line that begins at a place; ``None`` where none does, -1 where more of it may come."""
    if text[place] != _TICK:
        return None
    line = text.find("\n", place)
    end = text.find(_TICK, place + 1, line if line >= 0 else len(text))
    if end >= 0:
        return end + 1
    return None if is_whole or line >= 0 or len(text) - place > QUOTED_CHARACTERS_MAX else -1


def is_stray(text: str, place: int) -> bool:
    """Whether a mark that belongs to no quote would look as if it did; not one behind a number, for inches."""
    return text[place] in _STRAY and not (place and text[place - 1].isdigit())
