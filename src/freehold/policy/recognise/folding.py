"""Texts without what hides a value from a pattern: characters of no width, wide digits and letters, odd spaces."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from freehold.domain.findings import Finding

INVISIBLE = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
"""What shows nothing, as inside of a class of characters: all that a font may leave out (``Default_Ignorable_Code_Point``
of Unicode), marks of annotations, and controls that are no white space."""

_SPACES = "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_HYPHENS = "\u2010\u2011\u2012\u2212\ufe63"
_WIDE = {place: place - 0xFEE0 for place in range(0xFF01, 0xFF5F)}
_PLAIN = {**_WIDE, **dict.fromkeys(map(ord, _SPACES), " "), **dict.fromkeys(map(ord, _HYPHENS), "-")}
_ODD = re.compile(f"[{INVISIBLE}{_SPACES}{_HYPHENS}\uff01-\uff5e]")
_HIDDEN = re.compile(f"[{INVISIBLE}]")


def folded(text: str) -> tuple[str, list[int] | None]:
    """A text in which patterns find what a reader sees, and where each of its characters stood.

    Returns:
        The text itself and ``None`` where nothing had to be changed or every character kept its place; else the
        shorter text, and of each of its characters the place in the text that was given.
    """
    if _ODD.search(text) is None:
        return text, None
    plain = text.translate(_PLAIN)
    if _HIDDEN.search(plain) is None:
        return plain, None
    places = [place for place, each in enumerate(plain) if _HIDDEN.match(each) is None]
    return "".join([plain[place] for place in places]), places


def unfolded(found: Iterable[Finding], places: list[int] | None) -> tuple[Finding, ...]:
    """Findings in a folded text, at their places in the text that was given."""
    if places is None:
        return tuple(found)
    return tuple(replace(each, start=places[each.start], end=places[each.end - 1] + 1) for each in found)
