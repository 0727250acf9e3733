"""A document's text as it is put together, with blocks whose places are right by construction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from freehold.domain.vault import Block, BlockKind
from freehold.vault.parsing.limits import Spent

BLOCKS_MAX = 100_000
"""Of one document; what comes behind joins the last one."""

_HEADING_CHARACTERS = 200
_HEADINGS = 6
_CELL_CHARACTERS_MAX = 32_767
_NEWLINES = re.compile("\r\n?|\u2028|\u2029|\x85")
_HALVES = re.compile("[\ud800-\udfff]")


def normal(text: str) -> str:
    """``text`` with one kind of newline, without byte order marks and NULs, and without halves of characters.

    Everything else stays as it is: quotes are checked against it.
    """
    if not text.isascii():
        text = _HALVES.sub("\ufffd", _NEWLINES.sub("\n", text)).replace("\ufeff", "")
    elif "\r" in text:
        text = _NEWLINES.sub("\n", text)
    return text.replace("\0", "")


def one_line(text: str, *, most: int = _HEADING_CHARACTERS) -> str:
    """``text`` in one line, cut at ``most`` characters."""
    return " ".join(normal(text).split())[:most]


class Draft:
    """Text in the making.

    Args:
        spent: What counts its characters.
    """

    def __init__(self, spent: Spent) -> None:
        self._spent = spent
        self._parts: list[str] = []
        self._length = 0
        self._path: list[tuple[int, str]] = []
        self.blocks: list[Block] = []

    @property
    def length(self) -> int:
        """Code points so far."""
        return self._length

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self._parts)

    @property
    def headings(self) -> tuple[str, ...]:
        """That what is added next stands under."""
        return tuple(text for _, text in self._path)

    def heading(self, text: str, *, level: int, page: int = 0) -> None:
        """Add a heading of ``level``, 1 the outermost; what is added later stands under it."""
        shown = one_line(text)
        if not shown:
            return
        while self._path and self._path[-1][0] >= level:
            self._path.pop()
        self.add(text.strip(), kind=BlockKind.HEADING, page=page)
        if len(self._path) < _HEADINGS:
            self._path.append((level, shown))

    def under(self, text: str, *, level: int) -> None:
        """What is added next stands under this heading, which is said elsewhere."""
        while self._path and self._path[-1][0] >= level:
            self._path.pop()
        if shown := one_line(text):
            self._path.append((level, shown))

    def add(self, text: str, *, kind: BlockKind = BlockKind.TEXT, page: int = 0, gap: str = "\n\n") -> None:
        """Add a block, behind ``gap`` where something stands before it; a block of nothing is left out."""
        text = normal(text)
        if not text.strip():
            return
        if self._parts:
            self._put(gap)
        start = self._length
        self._put(text)
        self.mark(start, self._length, kind=kind, page=page)

    def raw(self, text: str) -> int:
        """Add text as it is, normalised by who calls; where it begins. Its blocks are marked with ``mark``."""
        start = self._length
        self._put(text)
        return start

    def mark(self, start: int, end: int, *, kind: BlockKind = BlockKind.TEXT, page: int = 0) -> None:
        """A block from ``start`` to ``end``."""
        if len(self.blocks) < BLOCKS_MAX:
            block = Block(start=start, end=end, kind=kind, page=page, heading=self.headings)
            self.blocks.append(block)
            return
        last = self.blocks[-1]
        self.blocks[-1] = Block(start=last.start, end=end, kind=BlockKind.TEXT, page=last.page, heading=last.heading)

    def table(self, rows: Iterable[Sequence[str]], *, page: int = 0) -> None:
        """Add a table as Markdown writes it, its first row the header."""
        if lines := table_lines(rows):
            self.add("\n".join(lines), kind=BlockKind.TABLE, page=page)

    def _put(self, text: str) -> None:
        self._spent.read(len(text))
        self._parts.append(text)
        self._length += len(text)


def table_lines(rows: Iterable[Sequence[str]]) -> list[str]:
    """A table's lines as Markdown writes them, rows of nothing left out."""
    kept = [[_cell(cell) for cell in row] for row in rows]
    kept = [row for row in kept if any(row)]
    if not kept:
        return []
    width = max(len(row) for row in kept)
    if width == 1:
        return [row[0] for row in kept]
    lines = ["| " + " | ".join([*row, *[""] * (width - len(row))]) + " |" for row in kept]
    lines.insert(1, "|" + " --- |" * width)
    return lines


def _cell(text: str) -> str:
    return one_line(text, most=_CELL_CHARACTERS_MAX).replace("|", "\\|")
