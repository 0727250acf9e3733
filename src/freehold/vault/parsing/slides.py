"""PPTX: each slide a page, its title a heading, its tables and notes with it."""

from __future__ import annotations

from collections.abc import Mapping

from freehold.vault.parsing.draft import Draft, one_line
from freehold.vault.parsing.limits import Spent
from freehold.vault.parsing.package import Package, read_xml, relation, relations, value

PRESENTATION = "ppt/presentation.xml"

_TITLES = frozenset({"title", "ctrTitle"})
_COUNTS = frozenset({"sldNum", "dt"})


def add_slides(draft: Draft, package: Package, spent: Spent) -> int:
    """Add a PPTX file's text; how many slides there are.

    Raises:
        FileUnread: It is damaged or beyond a limit.
    """
    parts = relations(package, PRESENTATION, spent)
    order: list[str] = []

    def start(name: str, attributes: Mapping[str, str]) -> None:
        if name == "sldId" and (target := parts.get(relation(attributes))):
            order.append(target[1])

    read_xml(package.read(PRESENTATION), spent=spent, start=start)
    spent.pages(len(order))
    for number, name in enumerate(order, 1):
        spent.tick()
        draft.under("", level=1)
        _Slide(draft, number, spent).read(package.read(name))
        for kind, target in relations(package, name, spent).values():
            if kind == "notesSlide":
                _Slide(draft, number, spent).read(package.read(target))
    return len(order)


class _Slide:
    """One slide, or the notes of one."""

    def __init__(self, draft: Draft, page: int, spent: Spent) -> None:
        self._draft = draft
        self._page = page
        self._spent = spent
        self._role = ""
        self._shape: list[str] = []
        self._line: list[str] = []
        self._rows: list[list[str]] | None = None
        self._in_text = False

    def read(self, data: bytes) -> None:
        """Add its text."""
        if data:
            read_xml(data, spent=self._spent, start=self._start, end=self._end, characters=self._characters)

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "sp":
            self._role, self._shape = "", []
        elif name == "ph":
            self._role = value(attributes, "type")
        elif name == "t":
            self._in_text = True
        elif name == "br":
            self._line.append("\n")
        elif name == "tbl":
            self._rows = []
        elif name == "tr" and self._rows is not None:
            self._rows.append([])
        elif name == "tc" and self._rows:
            self._rows[-1].append("")

    def _characters(self, text: str) -> None:
        if self._in_text:
            self._line.append(text)

    def _end(self, name: str) -> None:
        if name == "t":
            self._in_text = False
        elif name == "p":
            line, self._line = "".join(self._line), []
            if self._rows and self._rows[-1]:
                self._rows[-1][-1] = f"{self._rows[-1][-1]} {one_line(line, most=len(line))}".strip()
            elif line.strip():
                self._shape.append(line.strip())
        elif name == "tbl":
            rows, self._rows = self._rows or [], None
            self._draft.table(rows, page=self._page)
        elif name == "sp":
            self._put()

    def _put(self) -> None:
        if self._role in _TITLES and self._shape:
            self._draft.heading(" ".join(self._shape), level=1, page=self._page)
        elif self._role not in _COUNTS:
            for line in self._shape:
                self._draft.add(line, page=self._page)
        self._shape = []
