"""Texts: which characters their bytes are, and where their paragraphs, headings, tables and code begin and end."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator

from freehold.domain.vault import BlockKind
from freehold.vault.parsing.draft import Draft, normal

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE_BYTES = 65_536
_SINGLE_BYTE = "cp1252"
_ENCODINGS = (
    _SINGLE_BYTE, "cp1255", "cp1256", "cp1253", "cp1251", "koi8_r", "cp1250", "iso8859_2", "cp1254", "cp1257",
    "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr",
)  # fmt: skip
"""That texts are written in, those of more files first; without this list, short German is taken for Macintosh."""

_ZEROS_OF_UTF16 = 0.3
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(?=\S)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_SETEXT_CHARACTERS_MAX = 200
_CSV_FIELD_CHARACTERS_MAX = 1 << 20
_ROWS_A_TABLE = 2_000
_COLUMNS_MAX = 16_384
"""As many as a spreadsheet has."""


def decoded(data: bytes) -> tuple[str, str]:
    """The text of ``data`` and the encoding that it was read as.

    A byte order mark decides, then valid UTF-8, then zeros at every second place (UTF-16), then what the statistics of
    its letters say, and Windows-1252 last, which reads anything.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace"), encoding
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        cut_short = error.end == len(data) and error.reason == "unexpected end of data"
        if cut_short and error.start > len(data) - 4 and error.start > 0:
            return data.decode("utf-8", "replace"), "utf-8"
    if encoding := _wide(data):
        return data.decode(encoding, "replace"), encoding
    encoding = _likeliest(data)
    return data.decode(encoding, "replace"), encoding


def _wide(data: bytes) -> str:
    """UTF-16 without its mark: letters of most scripts share one byte, and blanks are a zero beside another byte."""
    sample = data[: _SAMPLE_BYTES & ~1]
    if len(data) % 2 or not sample:
        return ""
    even, odd = sample[::2].count(0) / (len(sample) / 2), sample[1::2].count(0) / (len(sample) / 2)
    if odd > _ZEROS_OF_UTF16 and even < odd / 4:
        return "utf-16-le"
    if even > _ZEROS_OF_UTF16 and odd < even / 4:
        return "utf-16-be"
    return ""


def _likeliest(data: bytes) -> str:
    from charset_normalizer import from_bytes

    found = list(from_bytes(data[:_SAMPLE_BYTES], cp_isolation=list(_ENCODINGS)))
    if not found:
        return _SINGLE_BYTE
    best = found[0]
    # Of encodings between which it sees no difference, the one that more files are written in.
    alike = {each.encoding for each in found if each.chaos <= best.chaos and each.coherence >= best.coherence}
    alike.update(best.could_be_from_charset)
    return next((each for each in _ENCODINGS if each in alike), best.encoding)


def add_text(draft: Draft, text: str, *, kind: BlockKind = BlockKind.TEXT, page: int = 0) -> None:
    """Add a text whole, with a block for each paragraph."""
    text = normal(text).strip("\n")
    for piece in re.split(r"\n[ \t]*\n\s*", text):
        draft.add(piece.strip("\n"), kind=kind, page=page)


def add_markdown(draft: Draft, text: str) -> None:
    """Add Markdown as it is written, with its headings, tables and code as blocks."""
    text = normal(text)
    base = draft.raw(text)
    for start, end, kind, level, heading in _markdown(text):
        if level:
            draft.under("", level=level)
        draft.mark(base + start, base + end, kind=kind)
        if level:
            draft.under(heading, level=level)


Piece = tuple[int, int, BlockKind, int, str]
"""Start, end, kind, level and text of a heading."""


def _markdown(text: str) -> Iterator[Piece]:
    """Pieces of a Markdown text, in order."""
    lines = _Lines(text)
    while (line := lines.peek()) is not None:
        start = lines.at
        if not line.strip():
            lines.take()
        elif found := _HEADING.match(line):
            lines.take()
            said = line[found.end() :].rstrip().rstrip("#").rstrip()
            yield start, start + len(line), BlockKind.HEADING, len(found[1]), said
        elif fence := _FENCE.match(line):
            lines.take()
            yield start, lines.until_fence(fence[1]), BlockKind.CODE, 0, ""
        elif "|" in line and (after := lines.peek(1)) is not None and "|" in after and _RULE.match(after):
            yield start, lines.while_(lambda each: "|" in each), BlockKind.TABLE, 0, ""
        else:
            yield from _paragraph(lines)


def _paragraph(lines: _Lines) -> Iterator[Piece]:
    start, first = lines.at, lines.take()
    after = lines.peek()
    if after is not None and len(first) <= _SETEXT_CHARACTERS_MAX and (under := _UNDERLINE.match(after)):
        lines.take()
        yield start, start + len(first), BlockKind.HEADING, 1 if under[1][0] == "=" else 2, first.strip()
        return
    end = lines.while_(
        lambda each: bool(each.strip()) and not _HEADING.match(each) and not _FENCE.match(each),
        at_least=start + len(first),
    )
    yield start, end, BlockKind.TEXT, 0, ""


class _Lines:
    """Lines of a text, with the place of each."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._next = 0
        self.at = 0

    def peek(self, ahead: int = 0) -> str | None:
        """A line ahead, or ``None`` behind the last."""
        place = self._next + ahead
        return self._lines[place] if place < len(self._lines) else None

    def take(self) -> str:
        """The next line."""
        line = self._lines[self._next]
        self._next += 1
        self.at += len(line) + 1
        return line

    def while_(self, holds: Callable[[str], bool], *, at_least: int = 0) -> int:
        """Take lines while they are like that; the end of the last one."""
        end = at_least
        while (line := self.peek()) is not None and holds(line):
            end = self.at + len(line)
            self.take()
        return end

    def until_fence(self, fence: str) -> int:
        """Take lines up to one that closes ``fence``; the end of that."""
        end = self.at - 1
        while (line := self.peek()) is not None:
            end = self.at + len(line)
            self.take()
            bare = line.strip()
            if bare.startswith(fence) and not bare.strip(fence[0]):
                break
        return end


def add_rows(draft: Draft, text: str, *, delimiter: str) -> str:
    """Add comma- or tab-separated values as tables with the header in each; what of it could not be read, or empty."""
    csv.field_size_limit(_CSV_FIELD_CHARACTERS_MAX)
    rows = csv.reader(io.StringIO(normal(text), newline=""), delimiter=delimiter)
    header: list[str] = []
    kept: list[list[str]] = []
    try:
        for row in rows:
            _refuse_wide(row)
            if not any(cell.strip() for cell in row):
                continue
            if not header:
                header = row
                continue
            kept.append(row)
            if len(kept) == _ROWS_A_TABLE:
                draft.table([header, *kept])
                kept = []
    except csv.Error:
        draft.table([header, *kept])
        return f"lines from {rows.line_num:,} on are no separated values and were left out"
    if header and (kept or not draft.length):
        draft.table([header, *kept])
    return ""


def _refuse_wide(row: list[str]) -> None:
    if len(row) > _COLUMNS_MAX:
        raise csv.Error(f"more than {_COLUMNS_MAX} columns")
