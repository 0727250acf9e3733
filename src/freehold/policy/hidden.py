"""Characters that people do not see and models read or write: removed from an answer as it comes. Pure."""

from __future__ import annotations

import re

_JOINERS = "\u200c\u200d"
"""Emoji and several scripts need them, between two characters of their own."""

_EMOJI = "\ufe0f"

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff\ue000-\uf8ff\U000f0000-\U0010ffff]"
)
"""Controls, soft hyphens, zero-width characters, directions of writing, fillers, selectors of variants, tag characters,
and characters of private use, which any font may show as nothing."""


def without_hidden(text: str) -> str:
    """A whole text without them."""
    if _HIDDEN.search(text) is None:
        return text
    return "".join(_kept(text, place) for place in range(len(text)))


def _kept(text: str, place: int) -> str:
    each = text[place]
    if _HIDDEN.match(each) is None:
        return each
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    if each in _JOINERS:
        return each if _is_seen(before) and _is_seen(after) else ""
    if each == _EMOJI:
        return (
            each
            if before and (not before.isascii() or before in "#*0123456789") and _HIDDEN.match(before) is None
            else ""
        )
    return ""


def _is_seen(each: str) -> bool:
    """Whether a joiner beside it means something."""
    return bool(each) and not each.isascii() and (each == _EMOJI or _HIDDEN.match(each) is None)


class HiddenFilter:
    """The same piece by piece, and line ends as one character. Equal however a text is cut."""

    __slots__ = ("_before", "_held")

    def __init__(self) -> None:
        self._before = ""
        self._held = ""

    def feed(self, piece: str) -> str:
        """What of a piece, and of what was held of those before it, is to be seen."""
        text = self._held + piece
        # What one of these means is known with the character behind it.
        self._held = text[-1:] if text[-1:] in ("\r", *_JOINERS) else ""
        return self._filtered(text[: len(text) - len(self._held)], after=self._held)

    def close(self) -> str:
        """What is left at the end."""
        text, self._held = self._held, ""
        return self._filtered(text, after="")

    def _filtered(self, text: str, *, after: str) -> str:
        if not text:
            return ""
        before, self._before = self._before, text[-1:]
        if _HIDDEN.search(text) is None:
            return text
        lines = (before + text + after).replace("\r\n", "\n").replace("\r", "\n")
        first, last = len(before), len(lines) - len(after)
        return "".join(_kept(lines, place) for place in range(first, last))
