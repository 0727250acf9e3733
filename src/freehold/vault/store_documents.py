"""Documents in the vault's file: their rows, their texts, and which of them are meant."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from freehold.domain.vault import Chunk, Document, Filters, Passage, Readers
from freehold.vault.store_schema import ORDINAL_BITS, Database

PIECE = 16_384
"""A text is kept in pieces of so many code points: to show a passage, one or two of them are read."""

_PIECE_BITS = 20
_COLUMNS = (
    "row, id, access, first, chunks, source, sha256, size_bytes, media_type, title, author, written, language, pages, "
    "parser, label, added_unix_ms, state, reason"
)


class Row:
    """A document's row: where its pieces are, and itself."""

    __slots__ = ("_values", "access", "chunks", "first", "row")

    def __init__(self, values: Sequence[Any]) -> None:
        self.row, _, self.access, self.first, self.chunks = values[:5]
        self._values = values

    def document(self, tenant: str, readers: Readers) -> Document:
        """Itself."""
        (_, number, _, _, chunks, source, sha256, size_bytes, media_type, title, author, written, language, pages) = (
            self._values[:14]
        )
        parser, label, added_unix_ms, state, reason = self._values[14:]
        return Document(
            id=number,
            tenant=tenant,
            source=source,
            sha256=sha256,
            size_bytes=size_bytes,
            media_type=media_type,
            title=title,
            author=author,
            written=written,
            language=language,
            pages=pages,
            parser=parser,
            label=label,
            readers=readers,
            added_unix_ms=added_unix_ms,
            chunks=chunks,
            state=state,
            reason=reason,
        )


def rows(connection: Database, where: str, values: Sequence[Any]) -> list[Row]:
    """Rows for which ``where``, which is text of ours, holds."""
    return [Row(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM document WHERE {where}", tuple(values))]  # noqa: S608


def insert(connection: Database, document: Document, *, tenant: int, access: int, first: int, chunks: int) -> int:
    """Write a document's row; its number."""
    connection.execute(
        "INSERT INTO document (tenant, id, access, first, chunks, source, sha256, size_bytes, media_type, title, author,"
        " written, language, pages, parser, label, added_unix_ms, state, reason, place, writer, terms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, x'')",
        (
            tenant,
            document.id,
            access,
            first,
            chunks,
            document.source,
            document.sha256,
            document.size_bytes,
            document.media_type,
            document.title,
            document.author,
            document.written,
            document.language,
            document.pages,
            document.parser,
            document.label,
            document.added_unix_ms,
            document.state,
            document.reason,
            place(document.source, document.title),
            document.author.casefold(),
        ),
    )
    return connection.last_insert_rowid()


def place(source: str, title: str) -> str:
    """What ``Filters.sources`` looks in."""
    return f"{source}\n{title}".casefold()


def insert_chunks(connection: Database, row: int, chunks: Sequence[Chunk], *, low: int, embedded: bool) -> None:
    """Write a document's pieces, the first of which has the id ``low``."""
    connection.executemany(
        "INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                low + at,
                row,
                chunk.start,
                chunk.end,
                chunk.page,
                json.dumps(chunk.heading) if chunk.heading else "",
                chunk.kind.value,
                int(embedded),
                _bytes(chunk.indexed),
            )
            for at, chunk in enumerate(chunks)
        ),
    )


def insert_text(connection: Database, row: int, text: str) -> None:
    """Write a document's text."""
    connection.executemany(
        "INSERT INTO piece VALUES (?, ?)",
        (
            (row << _PIECE_BITS | number, _bytes(text[start : start + PIECE]))
            for number, start in enumerate(range(0, len(text), PIECE))
        ),
    )


def text_of(connection: Database, row: int, start: int = 0, end: int | None = None) -> str:
    """A document's text from ``start`` to ``end``."""
    first = start // PIECE
    last = (1 << _PIECE_BITS) - 1 if end is None else max(end - 1, start) // PIECE
    found = connection.execute(
        "SELECT body FROM piece WHERE id BETWEEN ? AND ? ORDER BY id",
        (row << _PIECE_BITS | first, row << _PIECE_BITS | last),
    )
    text = "".join(text_from(body) for (body,) in found)
    return text[start - first * PIECE : None if end is None else end - first * PIECE]


def remove_text(connection: Database, row: int) -> None:
    """Remove a document's text and bytes."""
    low = row << _PIECE_BITS
    connection.execute("DELETE FROM piece WHERE id BETWEEN ? AND ?", (low, low | (1 << _PIECE_BITS) - 1))
    connection.execute("DELETE FROM original WHERE document = ?", (row,))


def passages_of(
    connection: Database, chunk_ids: Sequence[int], *, readers: Mapping[int, Readers], tenant: int, named: str
) -> Iterator[Passage]:
    """Pieces with their texts, in the order of ``chunk_ids``, of documents whose access is in ``readers``."""
    known: dict[int, tuple[Row, Document] | None] = {}
    for chunk_id in chunk_ids:
        if chunk_id >> ORDINAL_BITS != tenant:
            continue
        found = connection.execute(
            'SELECT document, start, "end", page, heading FROM chunk WHERE id = ?', (chunk_id,)
        ).fetchall()
        if not found:
            continue
        row, start, end, page, heading = found[0]
        if row not in known:
            (it,) = rows(connection, "row = ?", (row,))
            known[row] = (it, it.document(named, readers[it.access])) if it.access in readers else None
        held = known[row]
        if held is not None:
            yield Passage(
                chunk_id=chunk_id,
                document=held[1],
                start=start,
                end=end,
                page=page,
                heading=tuple(json.loads(heading)) if heading else (),
                text=text_of(connection, row, start, end),
            )


def narrowed(filters: Filters) -> tuple[str, list[Any]]:
    """A condition on documents' rows, empty for none, and its values."""
    said: list[str] = []
    values: list[Any] = []

    def any_of(condition: str, wanted: Iterable[str]) -> None:
        texts = tuple(wanted)
        if texts:
            said.append("(" + " OR ".join([condition] * len(texts)) + ")")
            values.extend(texts)

    if filters.documents:
        said.append("id IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(filters.documents))
    any_of("instr(place, ?) > 0", (text.casefold() for text in filters.sources))
    any_of("instr(writer, ?) > 0", (text.casefold() for text in filters.authors))
    any_of("written >= ?", [filters.written_from] if filters.written_from else [])
    any_of("(written <> '' AND written <= ?)", [filters.written_to] if filters.written_to else [])
    any_of("instr(media_type, ?) = 1", filters.media_types)
    return " AND ".join(said), values


def text_from(body: bytes) -> str:
    """What ``_bytes`` kept."""
    return body.decode("utf-8", "surrogatepass")


def _bytes(text: str) -> bytes:
    # A broken file's text may hold half of a surrogate pair; offsets count it, so it is kept.
    return text.encode("utf-8", "surrogatepass")
