"""PDF: the text of each page, its headings, and pages without text read by their looks."""

from __future__ import annotations

import contextlib
import ctypes
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from freehold.domain.errors.vault import FileDamaged, FileEncrypted, FileWithoutText
from freehold.vault.parsing.draft import Draft, normal, one_line
from freehold.vault.parsing.grids import Box, Grid, Line, grids_of, may_have_grids
from freehold.vault.parsing.limits import Spent
from freehold.vault.parsing.looks import Sight

_PASSWORD = 4  # FPDF_ERR_PASSWORD
_SECURITY = 5  # FPDF_ERR_SECURITY
_TEXT_LEAST = 8
"""A page with fewer letters and digits than this has no text layer worth the name."""

_NAMED_PAGES = 8
_OUTLINE_MAX = 5_000
_DATE = re.compile(r"D:(\d{4})(\d{2})(\d{2})")
_HYPHEN = re.compile("\ufffe|\x02")
"""How the library writes a hyphen at a line's end, where it has joined the lines already."""

_NUMBER = re.compile(r"^[A-Z]?\d*(\.\d+)*\.?\s+(?=\S)")
_LEADERS = re.compile(r"(\. ?){4}")
"""Dots that lead to a page's number: a line of a table of contents."""

_HEADING_CHARACTERS = 120
_LARGER = 1.15
_HEADING_SIZES = 4
_RUNNING_PAGES = 3
_PLACED_MAX = 30_000
"""Characters of a page that are looked at for tables; a full page of small print has a quarter of that."""


Document = Any
"""``pypdfium2.PdfDocument``, which says nothing of its types."""

Page = Any
"""``pypdfium2.PdfPage``."""


Rows = tuple[tuple[tuple[str, ...], ...], ...]
"""Tables, each its rows."""


def load_pdf_library() -> Any:
    """pypdfium2, loaded."""
    import pypdfium2

    return pypdfium2


def add_pages(draft: Draft, data: bytes, spent: Spent, sight: Sight) -> tuple[dict[str, str], int, list[str]]:
    """Add a PDF file's text.

    Returns:
        What it says of itself (``Title``, ``Author``, ``CreationDate``), its pages, and what was not read.

    Raises:
        FileUnread: It is damaged, encrypted, or beyond a limit.
    """
    document = _opened(data, spent)
    try:
        count = len(document)
        if count < 1:
            raise FileDamaged(name=spent.name, reason="it has no pages")
        spent.pages(count)
        outline = _outline(document)
        pages = [_read_page(document, number, spent, sight) for number in range(1, count + 1)]
        said = {key: str(text) for key, text in document.get_metadata_dict().items() if text}
    finally:
        document.close()
    levels, running = _heading_levels(pages), _running(pages)
    for number, page in enumerate(pages, 1):
        if page is not None:
            _add_page(draft, page, number, outline=outline.get(number, ()), levels=levels, not_=running)
    return said, count, _told(draft, pages, spent, sight)


def _told(draft: Draft, pages: Sequence[_Page | None], spent: Spent, sight: Sight) -> list[str]:
    """What was not read."""
    unread = [number for number, page in enumerate(pages, 1) if page is None]
    blank = [number for number, page in enumerate(pages, 1) if page is not None and page.seen and not page.lines]
    warnings: list[str] = []
    if unread:
        warnings.append(f"{_named(unread)} could not be read")
    if blank:
        warnings.append(f"{_named(blank)} held no text to be read: {sight.why_not or 'nothing was seen on them'}")
    if not draft.length:
        raise FileWithoutText(name=spent.name, reason="; ".join(warnings) or "all its pages are empty")
    return warnings


def day(said: str) -> str:
    """A PDF's date as YYYY-MM-DD, or empty."""
    found = _DATE.match(said)
    return "-".join(found.groups()) if found else ""


def _opened(data: bytes, spent: Spent) -> Document:
    library = load_pdf_library()
    try:
        return library.PdfDocument(data)
    except load_pdf_library().PdfiumError as error:
        code = getattr(error, "err_code", None)
        if code in (_PASSWORD, _SECURITY) or "password" in str(error).lower():
            raise FileEncrypted(name=spent.name, reason="by a password") from error
        raise FileDamaged(name=spent.name, reason="it is no whole PDF") from error


def _outline(document: Document) -> dict[int, list[tuple[int, str]]]:
    """Level and text of the outline's entries, by page."""
    found: dict[int, list[tuple[int, str]]] = {}
    with contextlib.suppress(load_pdf_library().PdfiumError, ValueError):
        for number, entry in enumerate(document.get_toc(max_depth=6)):
            if number >= _OUTLINE_MAX:
                break
            destination = entry.get_dest()
            page = destination.get_index() if destination else None
            title = one_line(entry.get_title() or "")
            if page is not None and title:
                found.setdefault(page + 1, []).append((entry.level + 1, title))
    return found


@dataclass(slots=True, kw_only=True)
class _Page:
    """What was read on a page.

    Attributes:
        lines: Each with the size of its letters in points; 0.0 where there are none.
        seen: Whether it was read by its looks.
        tables: Rows of tables, each under the number of the line that it stands before.
    """

    lines: list[tuple[str, float]]
    seen: bool = False
    tables: dict[int, Rows] = field(default_factory=dict[int, "Rows"])


def _read_page(document: Document, number: int, spent: Spent, sight: Sight) -> _Page | None:
    """What stands on a page; no lines where there is no text, ``None`` where it cannot be read."""
    try:
        page = document[number - 1]
    except load_pdf_library().PdfiumError:
        return None
    try:
        found = _layer(page, spent)
        lines = found.lines
        letters = sum(character.isalnum() for line, _ in lines for character in line)
        if letters < _TEXT_LEAST and not found.tables and _has_pictures(page):
            seen = sight.page(lambda scale: page.render(scale=scale).to_numpy(), page.get_size(), spent)
            if seen or not lines:
                return _Page(lines=[(line, 0.0) for line in seen.split("\n") if line], seen=True)
    except load_pdf_library().PdfiumError:
        return None
    else:
        return found
    finally:
        page.close()


def _layer(page: Page, spent: Spent) -> _Page:
    """A page's text layer: its lines, how large their letters are, and its tables."""
    layer = page.get_textpage()
    try:
        if layer.count_chars() > spent.limits.characters_max:
            raise spent.too_large(f"its text is longer than {spent.limits.characters_max:,} characters")
        text = layer.get_text_range()
        lines: list[tuple[int, str, float]] = []
        at = 0
        for line in text.split("\n"):
            lines.append((at, line.rstrip("\r"), _size(layer, text, at, len(line.rstrip()))))
            at += len(line) + 1
        # Where characters and their places are not one to one, as with characters beyond the first plane, none is known.
        grids = _grids(layer, lines) if layer.count_chars() == len(text) <= _PLACED_MAX else []
    finally:
        layer.close()
    taken = {number: grid for grid in grids for number in grid.lines}
    shown = _Page(lines=[])
    for number, (_, line, size) in enumerate(lines):
        grid = taken.get(number)
        if grid is None:
            if bare := normal(_HYPHEN.sub("", line)).strip():
                shown.lines.append((bare, size))
        elif number == min(grid.lines):
            shown.tables[len(shown.lines)] = (*shown.tables.get(len(shown.lines), ()), grid.rows)
    return shown


def _size(layer: Any, text: str, start: int, length: int) -> float:
    """How large the letters of a line are: its middle one's; a blank that the library put in has no size of its own."""
    middle = next((at for at in range(start + length // 2, start - 1, -1) if not text[at : at + 1].isspace()), start)
    size = load_pdf_library().raw.FPDFText_GetFontSize(layer.raw, middle)
    return round(size, 1) if math.isfinite(size) else 0.0


def _grids(layer: Any, lines: Sequence[tuple[int, str, float]]) -> list[Grid]:
    """The tables of a page, by the places of its characters."""
    boxes = _Boxes(layer)
    ends = [
        (line, size, boxes.at(start), boxes.at(start + len(line.rstrip()) - 1))
        for start, line, size in lines
        if line.strip()
    ]
    if not may_have_grids(ends):
        return []
    return grids_of(
        [
            Line(text=line, size=size, boxes=[boxes.at(start + place) for place in range(len(line))])
            for start, line, size in lines
        ]
    )


class _Boxes:
    """Places of a page's characters."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer.raw
        self._get = load_pdf_library().raw.FPDFText_GetCharBox
        self._values = [ctypes.c_double() for _ in range(4)]
        self._to = [ctypes.byref(value) for value in self._values]

    def at(self, number: int) -> Box:
        """Of one character; nothing where it has none."""
        if not self._get(self._layer, number, *self._to):
            return (0.0, 0.0, 0.0, 0.0)
        left, right, bottom, top = (each.value for each in self._values)
        is_somewhere = all(map(math.isfinite, (left, right, bottom, top)))
        return (left, right, bottom, top) if is_somewhere else (0.0, 0.0, 0.0, 0.0)


def _has_pictures(page: Page) -> bool:
    return any(
        True
        for _ in page.get_objects(
            filter=[load_pdf_library().raw.FPDF_PAGEOBJ_IMAGE, load_pdf_library().raw.FPDF_PAGEOBJ_PATH], max_depth=3
        )
    )


def _heading_levels(pages: Sequence[_Page | None]) -> dict[float, int]:
    """Sizes of letters that are headings', with their levels: larger than those of most of the text."""
    letters: Counter[float] = Counter()
    for page in pages:
        for line, size in page.lines if page else ():
            letters[size] += len(line)
    del letters[0.0]
    if not letters:
        return {}
    body = letters.most_common(1)[0][0]
    larger = sorted((size for size in letters if size >= body * _LARGER), reverse=True)
    return {size: level for level, size in enumerate(larger[:_HEADING_SIZES], 1)}


def _running(pages: Sequence[_Page | None]) -> set[str]:
    """Lines that stand on many pages: no headings, whatever their size."""
    seen: Counter[str] = Counter()
    for page in pages:
        seen.update({line for line, _ in page.lines} if page else ())
    least = max(_RUNNING_PAGES, len(pages) // 3)
    return {line for line, count in seen.items() if count >= least}


def _add_page(
    draft: Draft,
    page: _Page,
    number: int,
    *,
    outline: Sequence[tuple[int, str]],
    levels: dict[float, int],
    not_: set[str],
) -> None:
    """Add a page's lines, those that are headings as such; entries of the outline that are not said on it, too."""
    named = {_bare(title): level for level, title in outline}
    said = {_bare(line) for line, _ in page.lines}
    for level, title in outline:
        if _bare(title) not in said:
            draft.under(title, level=level)
    kept: list[str] = []
    for place, (line, size) in enumerate(page.lines):
        if place in page.tables:
            draft.add("\n".join(kept), page=number)
            kept = []
            _add_tables(draft, page.tables[place], number)
        level = named.get(_bare(line)) or (0 if line in not_ or not _may_be_heading(line) else levels.get(size, 0))
        if level:
            draft.add("\n".join(kept), page=number)
            kept = []
            draft.heading(line, level=level, page=number)
        else:
            kept.append(line)
    draft.add("\n".join(kept), page=number)
    _add_tables(draft, page.tables.get(len(page.lines), ()), number)


def _add_tables(draft: Draft, tables: Rows, number: int) -> None:
    for rows in tables:
        draft.table(rows, page=number)


def _may_be_heading(line: str) -> bool:
    return (
        len(line) <= _HEADING_CHARACTERS
        and any(map(str.isalpha, line))
        and not line.endswith((".", ",", ";"))
        and not _LEADERS.search(line)
    )


def _bare(line: str) -> str:
    """A heading without its number, blanks and punctuation, which outlines write otherwise."""
    return "".join(filter(str.isalnum, _NUMBER.sub("", line))).casefold()


def _named(pages: Sequence[int]) -> str:
    """Pages in words: ``page 3``, ``pages 1, 2, 5 and 40 more``."""
    first = ", ".join(str(page) for page in pages[:_NAMED_PAGES])
    more = f" and {len(pages) - _NAMED_PAGES} more" if len(pages) > _NAMED_PAGES else ""
    return f"page{'s' if len(pages) > 1 else ''} {first}{more}"
