"""Texts as pieces that are found and quoted as one: cut where a reader would, never without need. Pure.

A piece is a slice of its document's text, so its offsets hold. What only helps to find it (the document's title, the
headings above it, the head of the table that it continues) is in ``Chunk.indexed`` alone and can't be quoted.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from freehold.domain.vault import Block, BlockKind, Chunk, Parsed

CHARACTERS_MAX = 1600
"""Longest piece of running text; decision 41 has what other lengths found."""
TABLE_CHARACTERS_MAX = 2400
"""Longest table that stays whole: half a table is seldom an answer."""
_PREFIX_CHARACTERS_MAX = 240
_HEAD_CHARACTERS_MAX = 400
_SECTION_CHARACTERS_MIN = CHARACTERS_MAX // 4
"""A section that is shorter stands in one piece with the next."""

_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_LINE = re.compile(r"\n\s*")
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+|(?<=[。！？｡])[”’」』）]*|(?<=[।॥؟۔።])\s*")
_BLANK = re.compile(r"\s+")
_CODE_PART = re.compile(r"\n[^\S\n]*\n(?=\S)")
_ENDS = (_PARAGRAPH, _LINE, _SENTENCE, _BLANK)
_ENDS_OF_CODE = (_CODE_PART, _PARAGRAPH, _LINE, _BLANK)
_ENDS_OF_TABLE = (_LINE, _BLANK)
_RULE_ROW = re.compile(r"[\s|:+=-]+")

_Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring blocks that are cut as one text."""

    start: int
    end: int
    kind: BlockKind
    heading: tuple[str, ...]


def chunks_of(parsed: Parsed, *, title: str = "", characters_max: int = CHARACTERS_MAX) -> tuple[Chunk, ...]:
    """The pieces of a document, in its order; together they hold all of its text but blanks, and each part once.

    Args:
        parsed: The document.
        title: What it is called; else its own title.
        characters_max: Longest piece of running text or code.
    """
    title = title or parsed.title
    blocks = _whole(parsed)
    chunks: list[Chunk] = []
    for run in _runs(parsed.text, blocks):
        for (start, end), extra in _pieces(parsed.text, run, characters_max):
            heading = run.heading
            body = parsed.text[start:end]
            chunks.append(
                Chunk(
                    start=start,
                    end=end,
                    page=_page_at(blocks, start),
                    heading=heading,
                    indexed="\n".join(filter(None, (_prefix(title, heading), extra, body))),
                    kind=run.kind,
                )
            )
    return tuple(chunks)


def pieces_of(text: str, characters_max: int) -> list[_Range]:
    """Where the pieces of a running text are: cut as ``chunks_of`` cuts."""
    return _cut(text, (0, len(text)), _ENDS, characters_max)


def sentences_of(text: str, start: int = 0, end: int | None = None) -> list[_Range]:
    """Where the sentences and lines of a text are, without the blanks between them."""
    end = len(text) if end is None else end
    lines = _split(text, (start, end), _LINE)
    return [each for line in lines for each in _split(text, line, _SENTENCE)]


def _whole(parsed: Parsed) -> list[Block]:
    """The blocks, and what is between them as blocks too."""
    found: list[Block] = []
    at, before = 0, Block(start=0, end=0)
    for block in sorted(parsed.blocks, key=lambda each: each.start):
        start, end = max(block.start, at), min(block.end, len(parsed.text))
        if start >= end:
            continue
        if parsed.text[at:start].strip():
            found.append(Block(start=at, end=start, page=before.page or block.page, heading=before.heading))
        before = Block(start=start, end=end, kind=block.kind, page=block.page, heading=block.heading)
        found.append(before)
        at = end
    if parsed.text[at:].strip():
        found.append(Block(start=at, end=len(parsed.text), page=before.page, heading=before.heading))
    return found


def _runs(text: str, blocks: Sequence[Block]) -> Iterator[_Run]:
    """Tables and code each for itself; text with the headings above it, a short section with the next."""
    open_run: _Run | None = None
    headed = False
    for block in blocks:
        is_text = block.kind not in {BlockKind.TABLE, BlockKind.CODE}
        is_heading = block.kind is BlockKind.HEADING
        if open_run is not None:
            is_short = open_run.end - open_run.start < _SECTION_CHARACTERS_MIN
            goes_on = is_text and (headed or is_short or (not is_heading and block.heading == open_run.heading))
            if goes_on:
                heading = block.heading if headed and not is_heading else open_run.heading
                open_run = _Run(open_run.start, block.end, BlockKind.TEXT, heading)
                headed = headed and is_heading
                continue
            yield open_run
            open_run, headed = None, False
        if is_text:
            kind = BlockKind.ATTACHMENT if block.kind is BlockKind.ATTACHMENT else BlockKind.TEXT
            open_run, headed = _Run(block.start, block.end, kind, block.heading), is_heading
        elif text[block.start : block.end].strip():
            yield _Run(block.start, block.end, block.kind, block.heading)
    if open_run is not None:
        yield open_run


def _pieces(text: str, run: _Run, characters_max: int) -> Iterator[tuple[_Range, str]]:
    """The pieces of a run, each with what is searched before its own text."""
    whole = (run.start, run.end)
    if run.kind is BlockKind.TABLE:
        yield from _table_pieces(text, whole, max(TABLE_CHARACTERS_MAX, characters_max))
        return
    ends = _ENDS_OF_CODE if run.kind is BlockKind.CODE else _ENDS
    for piece in _cut(text, whole, ends, characters_max):
        yield piece, ""


def _table_pieces(text: str, whole: _Range, characters_max: int) -> Iterator[tuple[_Range, str]]:
    """A table whole, or cut between rows; its head is searched with every part."""
    head = ""
    for place, piece in enumerate(_cut(text, whole, _ENDS_OF_TABLE, characters_max)):
        if not place:
            head = _table_head(text[piece[0] : piece[1]])
        yield piece, head if place else ""


def _table_head(table: str) -> str:
    """Its first row, without a rule such as ``|---|---|``."""
    rows = (row.strip() for row in table.splitlines())
    return next((row[:_HEAD_CHARACTERS_MAX] for row in rows if row and not _RULE_ROW.fullmatch(row)), "")


def _cut(text: str, whole: _Range, ends: Sequence[re.Pattern[str]], characters_max: int) -> list[_Range]:
    """Ranges of at most so many characters, cut at the first of ``ends`` that helps, joined again while they fit."""
    whole = _trimmed(text, whole)
    if whole[0] == whole[1]:
        return []
    if whole[1] - whole[0] <= characters_max:
        return [whole]
    if not ends:
        return [
            each
            for start in range(whole[0], whole[1], characters_max)
            if (each := _trimmed(text, (start, min(start + characters_max, whole[1]))))[0] < each[1]
        ]
    parts = (piece for part in _split(text, whole, ends[0]) for piece in _cut(text, part, ends[1:], characters_max))
    return _joined(parts, characters_max)


def _joined(parts: Iterable[_Range], characters_max: int) -> list[_Range]:
    joined: list[_Range] = []
    for start, end in parts:
        if joined and end - joined[-1][0] <= characters_max:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _split(text: str, whole: _Range, end: re.Pattern[str]) -> list[_Range]:
    parts: list[_Range] = []
    at = whole[0]
    for match in end.finditer(text, *whole):
        parts.append((at, match.end()))
        at = match.end()
    parts.append((at, whole[1]))
    return [each for part in parts if (each := _trimmed(text, part))[0] < each[1]]


def _trimmed(text: str, whole: _Range) -> _Range:
    start, end = whole
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _page_at(blocks: Sequence[Block], start: int) -> int:
    at = bisect.bisect_right(blocks, start, key=lambda block: block.start) - 1
    return blocks[at].page if at >= 0 else 0


def _prefix(title: str, heading: Sequence[str]) -> str:
    path = [each for each in (title.strip(), *heading) if each]
    return " › ".join(dict.fromkeys(path))[:_PREFIX_CHARACTERS_MAX]
