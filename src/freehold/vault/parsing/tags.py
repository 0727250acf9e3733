"""HTML as tags and text, in one pass whatever is in it.

The parser of the standard library takes minutes for a megabyte of ``<a <a <a``; time here grows with the length only:
what is scanned for the end of something that never ends is scanned once.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_NAME = re.compile(r"[A-Za-z][^\s/>]*+")
_RUN = re.compile(r"<(?:<(?![A-Za-z/!?]))*+")
_BLANK = re.compile(r"[\s/]*+")
_ATTRIBUTE = re.compile(r"([^\s/>=][^\s/>=]*+)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s>\"'][^\s>]*+)))?")
_RAW = {name: re.compile(rf"</{name}\b", re.IGNORECASE) for name in ("script", "style", "textarea", "title", "xmp")}
_UNREAD = frozenset({"script", "style"})
_ATTRIBUTES_MAX = 200


@dataclass(frozen=True, slots=True)
class Tag:
    """The beginning or end of an element.

    Attributes:
        name: In small letters.
        ends: Whether it ends here.
        attributes: By their names in small letters; of an end, none.
    """

    name: str
    ends: bool
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])


def tags(text: str) -> Iterator[Tag | str]:
    """Tags and the text between them, its character references resolved; comments and declarations left out."""
    at = 0
    while (found := text.find("<", at)) >= 0:
        if found > at:
            yield html.unescape(text[at:found])
        following = text[found + 1 : found + 2]
        if text.startswith("<!--", found):
            at = _behind(text, "-->", found + 4)
        elif following in ("!", "?"):
            at = _behind(text, ">", found)
        elif following == "/":
            name = _NAME.match(text, found + 2)
            at = _behind(text, ">", found)
            if name is not None:
                yield Tag(name[0].lower(), ends=True)
        elif (name := _NAME.match(text, found + 1)) is not None:
            tag = Tag(name[0].lower(), ends=False, attributes={})
            at = _attributes(text, name.end(), tag)
            yield tag
            if tag.name in _RAW:
                end = _RAW[tag.name].search(text, at)
                stop = end.start() if end else len(text)
                if tag.name not in _UNREAD and stop > at:
                    yield html.unescape(text[at:stop])
                at = stop
        else:
            at = _RUN.match(text, found).end()  # pyright: ignore[reportOptionalMemberAccess] - it begins with one
            yield text[found:at]
    if at < len(text):
        yield html.unescape(text[at:])


def _behind(text: str, mark: str, start: int) -> int:
    """Where ``mark`` ends; the end of the text where there is none."""
    found = text.find(mark, start)
    return len(text) if found < 0 else found + len(mark)


def _attributes(text: str, at: int, tag: Tag) -> int:
    """Read a tag's attributes; where it ends."""
    kept: dict[str, str] = tag.attributes  # pyright: ignore[reportAssignmentType] - its own, still being made
    while True:
        at = _BLANK.match(text, at).end()  # pyright: ignore[reportOptionalMemberAccess] - it matches nothing, too
        if at >= len(text):
            return at
        if text[at] == ">":
            return at + 1
        found = _ATTRIBUTE.match(text, at)
        if found is None:
            at += 1
            continue
        at = found.end()
        if len(kept) < _ATTRIBUTES_MAX:
            kept.setdefault(found[1].lower(), html.unescape(found[2] or found[3] or found[4] or ""))
