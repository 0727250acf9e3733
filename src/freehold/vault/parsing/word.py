"""DOCX: headings, paragraphs, tables, notes, and what stands on the margins of its pages.

kreuzberg 4.10.4 loses every ``&`` and ``<`` of a DOCX, and names no margins, on which markings stand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from freehold.vault.parsing.draft import Draft, one_line
from freehold.vault.parsing.limits import Spent
from freehold.vault.parsing.package import Package, read_xml, relations, value

DOCUMENT = "word/document.xml"

_HEADING = re.compile(
    r"(?:heading|überschrift|titre|título|titolo|kop|nagłówek|rubrik|заголовок)\s*([1-9])", re.IGNORECASE
)
_TITLE = re.compile(r"title|titel", re.IGNORECASE)
_WRITTEN = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "\u2011", "softHyphen": "\u00ad"}
_SKIPPED = frozenset({"moveFrom", "Fallback", "del", "instrText", "delText"})
_MARGINS = ("header", "footer")
_NOTES = ("footnotes", "endnotes", "comments")


def add_word(draft: Draft, package: Package, spent: Spent) -> None:
    """Add a DOCX file's text.

    Raises:
        FileUnread: It is damaged or beyond a limit.
    """
    parts = relations(package, DOCUMENT, spent)
    levels = _levels(package, spent)
    margins = (target for kind, target in parts.values() if kind in _MARGINS)
    seen: set[str] = set()
    for target in sorted(margins):
        text = Draft(Spent(name=spent.name, limits=spent.limits))
        _Reader(text, {}, spent).read(package.read(target))
        if (line := text.text.strip()) and line not in seen:
            seen.add(line)
            draft.add(line)
    _Reader(draft, levels, spent).read(package.read(DOCUMENT))
    for kind, target in parts.values():
        if kind in _NOTES:
            draft.under("", level=1)
            _Reader(draft, {}, spent).read(package.read(target))


def _levels(package: Package, spent: Spent) -> dict[str, int]:
    """Heading level of each style that has one."""
    found: dict[str, int] = {}
    at = [""]

    def start(name: str, attributes: Mapping[str, str]) -> None:
        if name == "style":
            at[0] = value(attributes, "styleId")
        elif name == "name" and at[0]:
            said = value(attributes, "val")
            if match := _HEADING.fullmatch(said):
                found[at[0]] = int(match[1]) + 1
            elif _TITLE.fullmatch(said):
                found[at[0]] = 1
        elif name == "outlineLvl" and at[0]:
            level = value(attributes, "val")
            if level.isascii() and level.isdigit() and int(level) < 9:
                found.setdefault(at[0], int(level) + 2)

    data = package.read("word/styles.xml")
    if data:
        read_xml(data, spent=spent, start=start)
    return found


@dataclass(slots=True)
class _Paragraph:
    text: list[str] = field(default_factory=list[str])
    level: int = 0


class _Reader:
    """One part of a DOCX file."""

    def __init__(self, draft: Draft, levels: Mapping[str, int], spent: Spent) -> None:
        self._draft = draft
        self._levels = levels
        self._spent = spent
        self._paragraphs: list[_Paragraph] = []
        self._tables: list[list[list[str]]] = []
        self._skipped = 0
        self._in_text = False

    def read(self, data: bytes) -> None:
        """Add its text."""
        if data:
            read_xml(data, spent=self._spent, start=self._start, end=self._end, characters=self._characters)

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if self._skipped or name in _SKIPPED:
            self._skipped += 1
        elif name == "p":
            self._paragraphs.append(_Paragraph())
        elif name == "t":
            self._in_text = True
        elif name in _WRITTEN and self._paragraphs:
            self._paragraphs[-1].text.append(_WRITTEN[name])
        elif name == "pStyle" and self._paragraphs:
            style = value(attributes, "val")
            self._paragraphs[-1].level = self._levels.get(style, 0)
        elif name == "tbl":
            self._tables.append([])
        elif name == "tr" and self._tables:
            self._tables[-1].append([])
        elif name == "tc" and self._tables and self._tables[-1]:
            self._tables[-1][-1].append("")

    def _characters(self, text: str) -> None:
        if self._in_text and not self._skipped and self._paragraphs:
            self._paragraphs[-1].text.append(text)

    def _end(self, name: str) -> None:
        if self._skipped:
            self._skipped -= 1
        elif name == "t":
            self._in_text = False
        elif name == "p" and self._paragraphs:
            done = self._paragraphs.pop()
            self._put("".join(done.text), done.level)
        elif name == "tbl" and self._tables:
            rows = self._tables.pop()
            if self._tables:
                self._put("; ".join(", ".join(filter(None, row)) for row in rows), 0)
            else:
                self._draft.table(rows)

    def _put(self, text: str, level: int) -> None:
        if self._tables:
            row = self._tables[-1][-1:]
            if row and row[0]:
                row[0][-1] = f"{row[0][-1]} {one_line(text, most=len(text))}".strip()
        elif level:
            self._draft.heading(text, level=level)
        else:
            self._draft.add(text.strip())
