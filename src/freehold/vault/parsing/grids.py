"""Tables on pages that know no tables: what stands in rows and columns is one where its layout leaves no doubt. Pure.

A page gives characters and their places. Characters far apart on one line are of different cells; rows that follow each
other, and whose cells stand below each other, are a table. Wherever that is in doubt, everything stays the lines that it was:
prose that is set in columns and taken for a table would be torn apart, and a table that is read as lines loses little.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

GAP = 1.0
"""Space between two cells at least, in sizes of letters; spaces of justified prose are narrower."""

ROWS_LEAST = 3
"""A head and two rows below it: two lines that happen to align are no table."""

_WIDE = 0.62
"""Width of a line for each of its characters, in sizes of letters, from which on it has gaps: of prose it is about a half."""

_PROSE_CHARACTERS = 25
"""Lines beside each other that are longer, or cells, are prose in columns."""

_FAR = 2.6
"""Distance between the lines of two rows, in sizes of letters, from which on they are not of one table."""

_FULL = 0.5
"""Share of the rows that have something in a column at least."""

_FILLED, _PROSE = 0.8, 0.6
"""Where more than this share of the cells fills this share of its column's width, they are prose."""

_OVER_MAX = 3
"""Rows of cells that may stand over a table without being of it, as a page's own head."""

_COLUMNS_MAX, _CELLS_MAX = 40, 5_000
"""Of one table, and of one page: what has more was made to take time, or is no table to be read."""

_MARK = re.compile(r"[^\w]{1,2}|\(?\w{1,3}[.)]")
"""What stands before the items of a list: a dot, a number, a letter."""

_NUMBER = re.compile(r"[^\w\s]?\s?[\d][\d.,\s]*\s?[^\w\s]?|[-–—]|n/?a", re.IGNORECASE)

Box = tuple[float, float, float, float]
"""Left, right, bottom and top, in points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of text as the page has it.

    Attributes:
        text: What it says.
        size: Of its letters, in points.
        boxes: Of each character; of a blank any.
    """

    text: str
    size: float
    boxes: Sequence[Box]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table.

    Attributes:
        lines: Which lines it takes the place of.
        rows: Its cells, as many in each row.
    """

    lines: frozenset[int]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    left: float
    right: float
    middle: float
    size: float
    text: str
    line: int


@dataclass(slots=True, kw_only=True)
class _Row:
    """Cells beside each other."""

    cells: list[_Cell] = field(default_factory=list[_Cell])

    @property
    def middle(self) -> float:
        return self.cells[0].middle

    @property
    def size(self) -> float:
        return max(cell.size for cell in self.cells)


def may_have_grids(lines: Sequence[tuple[str, float, Box, Box]]) -> bool:
    """Whether it is worth to look at each character of a page.

    Args:
        lines: Text and size of letters of each line, and the boxes of its first and last character.
    """
    told, beside = 0, dict[int, list[int]]()
    for text, size, first, last in lines:
        if size <= 0 or not text:
            continue
        if last[1] - first[0] > _WIDE * size * len(text):
            told += 1
        beside.setdefault(round((first[2] + first[3]) / size), []).append(len(text))
    for lengths in beside.values():
        if len(lengths) > 1 and median(lengths) <= _PROSE_CHARACTERS:
            told += 1
    return told >= ROWS_LEAST - 1


def grids_of(lines: Sequence[Line]) -> list[Grid]:
    """The tables of a page, from its top down."""
    cells = [cell for number, line in enumerate(lines) for cell in _cells(number, line)]
    if len(cells) > _CELLS_MAX:
        return []
    rows = _rows(cells)
    found: list[Grid] = []
    run: list[_Row] = []
    for row in [*rows, None]:
        if row is not None and (not run or _follows(run[-1], row)) and (len(row.cells) > 1 or run):
            run.append(row)
            continue
        found += _grids_in(run)
        run = [row] if row is not None and len(row.cells) > 1 else []
    whole = _lines_of(rows)
    return [each for each in found if all(whole[line] <= each.lines for line in each.lines)]


def _lines_of(rows: Sequence[_Row]) -> dict[int, frozenset[int]]:
    """Each line with the lines that stand beside it: one that is taken takes all of them."""
    return {cell.line: frozenset(other.line for other in row.cells) for row in rows for cell in row.cells}


def _cells(number: int, line: Line) -> list[_Cell]:
    """A line, cut where its characters are far apart."""
    found: list[_Cell] = []
    start, right = 0, None
    for at, (character, box) in enumerate(zip(line.text, line.boxes, strict=True)):
        if character.isspace():
            continue
        if right is not None and box[0] - right >= GAP * line.size:
            found += _cell(number, line, start, at)
            start = at
        right = max(right if right is not None else box[1], box[1])
    return found + _cell(number, line, start, len(line.text))


def _cell(number: int, line: Line, start: int, end: int) -> list[_Cell]:
    boxes = [box for at, box in enumerate(line.boxes[start:end], start) if not line.text[at].isspace()]
    if not boxes:
        return []
    low, high = min(box[2] for box in boxes), max(box[3] for box in boxes)
    return [
        _Cell(
            left=min(box[0] for box in boxes),
            right=max(box[1] for box in boxes),
            middle=(low + high) / 2,
            size=line.size,
            text=" ".join(line.text[start:end].split()),
            line=number,
        )
    ]


def _rows(cells: list[_Cell]) -> list[_Row]:
    """Cells beside each other together, from the top down, each row from left to right."""
    rows: list[_Row] = []
    for cell in sorted(cells, key=lambda each: -each.middle):
        if rows and abs(rows[-1].middle - cell.middle) <= cell.size / 2:
            rows[-1].cells.append(cell)
        else:
            rows.append(_Row(cells=[cell]))
    for row in rows:
        row.cells.sort(key=lambda each: each.left)
    return rows


def _follows(above: _Row, below: _Row) -> bool:
    return above.middle - below.middle <= _FAR * max(above.size, below.size)


def _grids_in(run: list[_Row]) -> list[Grid]:
    """The tables that some rows are: all of them, or those below what stands over it; none where there is doubt."""
    while run and len(run[-1].cells) == 1:
        run = run[:-1]
    if (whole := _below(run)) is not None:
        return [whole]
    found, part = list[Grid](), list[_Row]()
    for row in [*run, None]:
        if row is not None and len(row.cells) > 1:
            part.append(row)
            continue
        if (grid := _below(part)) is not None:
            found.append(grid)
        part = []
    return found


def _below(rows: Sequence[_Row]) -> Grid | None:
    """The table that some rows are, but for some at their beginning that stand over it."""
    return next((grid for first in range(_OVER_MAX) if (grid := _grid(rows[first:])) is not None), None)


def _grid(rows: Sequence[_Row]) -> Grid | None:
    if sum(len(row.cells) > 1 for row in rows) < ROWS_LEAST or len(rows[0].cells) < 2:
        return None
    columns = _columns([row for row in rows if len(row.cells) > 1])
    if not 2 <= len(columns) <= _COLUMNS_MAX:
        return None
    written: list[list[str]] = []
    for row in rows:
        placed = [_column(cell, columns) for cell in row.cells]
        if None in placed or len(set(placed)) < len(placed):
            return None
        line = [""] * len(columns)
        for cell, column in zip(row.cells, placed, strict=True):
            line[column or 0] = cell.text
        if len(row.cells) == 1 and placed[0] and written:  # what a cell above goes on with
            written[-1][placed[0]] = f"{written[-1][placed[0]]} {line[placed[0]]}".strip()
        else:
            written.append(line)
    if not _is_table(written, is_prose=_fills(rows, columns)):
        return None
    lines = frozenset(cell.line for row in rows for cell in row.cells)
    return Grid(lines=lines, rows=tuple(tuple(line) for line in written))


def _columns(rows: Sequence[_Row]) -> list[tuple[float, float]]:
    """From where to where columns go: what overlaps is one."""
    columns: list[tuple[float, float]] = []
    for left, right in sorted((cell.left, cell.right) for row in rows for cell in row.cells):
        if columns and left < columns[-1][1]:
            columns[-1] = (columns[-1][0], max(columns[-1][1], right))
        else:
            columns.append((left, right))
    return columns


def _column(cell: _Cell, columns: Sequence[tuple[float, float]]) -> int | None:
    """Which column a cell is in; ``None`` where it is in several, or in none."""
    touched = [number for number, (left, right) in enumerate(columns) if cell.left < right and cell.right > left]
    return touched[0] if len(touched) == 1 else None


def _fills(rows: Sequence[_Row], columns: Sequence[tuple[float, float]]) -> bool:
    """Whether most cells are as wide as their columns, as lines of prose are."""
    shares = list[bool]()
    for row in rows:
        for cell in row.cells:
            left, right = columns[_column(cell, columns) or 0]
            shares.append(cell.right - cell.left >= _FILLED * (right - left))
    return sum(shares) > _PROSE * len(shares)


def _is_table(rows: Sequence[Sequence[str]], *, is_prose: bool) -> bool:
    """Whether cells are data, and neither prose in columns nor a list with its marks."""
    if len(rows) < ROWS_LEAST:
        return False
    columns = [[cell for cell in column if cell] for column in zip(*rows, strict=True)]
    if any(len(column) < _FULL * len(rows) for column in columns):
        return False
    if all(_MARK.fullmatch(cell) for cell in columns[0]):
        return False
    others = [cell for column in columns[1:] for cell in column]
    if sum(bool(_NUMBER.fullmatch(cell)) for cell in others) >= len(others) / 3:
        return True
    return not is_prose and median(len(cell) for column in columns for cell in column) <= _PROSE_CHARACTERS
