"""Documents in the vault's file: their rows, their texts, and which of them are meant."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from freehold.domain.vault import Chunk, Document, Filters, Passage, Readers
from freehold.vault.places import is_sent
from freehold.vault.store_access import Reach
from freehold.vault.store_database import Database
from freehold.vault.store_schema import ORDINAL_BITS
from freehold.vault.store_seal import (
    NONCE_BYTES,
    fingerprint,
    forget_secret,
    new_secret,
    opened_text,
    opened_values,
    pieces,
    sealed,
    sealed_text,
    sealed_values,
)

PIECE = 16_384
"""A text is kept in pieces of so many code points: to show a passage, one or two of them are read."""

_ORIGINAL_PIECE_BYTES = 1 << 20
_PLACES_MAX = 50_000
_PIECE_BITS = 20
_LANGUAGES_OF = 1_000
_LAST_PIECE = (1 << _PIECE_BITS) - 1
_SELECT = (
    "SELECT row, access, first, chunks, key, id, size_bytes, media_type, written, added_unix_ms, state, about"
    " FROM document JOIN secret ON document.row = secret.document WHERE "
)


class Row:
    """A document's row: where its pieces are, and itself."""

    __slots__ = ("_about", "_plain", "access", "chunks", "first", "row", "sealed", "secret")

    def __init__(self, values: Sequence[Any]) -> None:
        self.row, self.access, self.first, self.chunks, self.secret = values[:5]
        self._plain = values[5:11]
        self.sealed: bytes = values[11]
        self._about: list[Any] = []

    @property
    def about(self) -> list[Any]:
        """What is kept sealed, opened when it is first asked for."""
        if not self._about:
            self._about = opened_values(self.secret, self.sealed)
        return self._about

    @property
    def source(self) -> str:
        """Where it came from."""
        return self.about[0]

    @property
    def language(self) -> str:
        """ISO 639-1 code, or empty."""
        return self.about[4]

    def document(self, tenant: str, readers: Readers) -> Document:
        """Itself."""
        number, size_bytes, media_type, written, added_unix_ms, state = self._plain
        source, title, author, sha256, language, pages, parser, label, reason, by_hand = self.about
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
            by_hand=None if by_hand is None else frozenset(by_hand),
            added_unix_ms=added_unix_ms,
            chunks=self.chunks,
            state=state,
            reason=reason,
        )

    def moved(self, *, source: str, title: str) -> bytes:
        """What is said about it, at another place."""
        return sealed_values(self.secret, [source, title, *self.about[2:]])

    def relabelled(self, *, label: str, by_hand: frozenset[str] | None) -> bytes:
        """What is said about it, under another label."""
        return sealed_values(self.secret, [*self.about[:7], label, self.about[8], _names(by_hand)])


def rows(connection: Database, where: str, values: Sequence[Any]) -> list[Row]:
    """Rows for which ``where``, which is text of ours, holds."""
    # All at once: a statement that isn't read to its end keeps its transaction open, and the file's log from shrinking.
    return [Row(found) for found in connection.execute(_SELECT + where, tuple(values)).fetchall()]


def sent_bytes(connection: Database, tenant: int) -> int:
    """How many bytes the documents of a tenant have that clients sent, whoever may read them."""
    query = "SELECT coalesce(sum(size_bytes), 0) FROM document WHERE tenant = ? AND sent = 1"
    ((used,),) = connection.execute(query, (tenant,)).fetchall()
    return used


def tenant_number(connection: Database, name: str) -> int:
    """The number of a tenant; 0, which is nobody's, where it has no documents."""
    found = connection.execute("SELECT id FROM tenant WHERE name = ?", (name,)).fetchall()
    return found[0][0] if found else 0


def rows_of(connection: Database, tenant: str, document_ids: Sequence[str]) -> list[tuple[int, Row]]:
    """Rows of some documents, each with the number of its tenant."""
    number = tenant_number(connection, tenant)
    where = "tenant = ? AND id IN (SELECT value FROM json_each(?))"
    found = rows(connection, where, (number, json.dumps(list(document_ids))))
    return [(number, row) for row in found]


def held(
    connection: Database, tenant: int, *, ids: Sequence[str] | None, under: str, after: str, limit: int
) -> Iterator[Row]:
    """Rows of a tenant by their ids, behind one of them; only some, and only those of sources that begin so."""
    some, values = "", [tenant, after]
    if ids is not None:
        some, values = " AND id IN (SELECT value FROM json_each(?))", [*values, json.dumps(list(ids))]
    if not under:
        return iter(rows(connection, f"tenant = ? AND id > ?{some} ORDER BY id LIMIT ?", [*values, limit]))
    found = rows(connection, f"tenant = ? AND id > ?{some} ORDER BY id", values)
    return islice((row for row in found if row.source.startswith(under)), limit)


def languages(connection: Database) -> dict[str, int]:
    """How many documents there are in each language, of the newest ``_LANGUAGES_OF``."""
    counts: dict[str, int] = {}
    for row in rows(connection, "state != 'failed' ORDER BY row DESC LIMIT ?", [_LANGUAGES_OF]):
        counts[row.language] = counts.get(row.language, 0) + 1
    return counts


def insert(
    connection: Database, document: Document, *, pepper: bytes, tenant: int, access: int, first: int, chunks: int
) -> tuple[int, bytes]:
    """Write a document's row; its number and its key."""
    connection.execute(
        "INSERT INTO document (tenant, id, access, first, chunks, place, content, size_bytes, media_type, written,"
        " added_unix_ms, state, sent, about) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, x'')",
        (
            tenant,
            document.id,
            access,
            first,
            chunks,
            place_number(pepper, tenant, document.source),
            content_number(pepper, tenant, document.sha256),
            document.size_bytes,
            document.media_type,
            document.written,
            document.added_unix_ms,
            document.state,
            int(is_sent(document.source)),
        ),
    )
    row = connection.last_insert_rowid()
    secret = new_secret(connection, row)
    about = (
        document.source,
        document.title,
        document.author,
        document.sha256,
        document.language,
        document.pages,
        document.parser,
        document.label,
        document.reason,
        _names(document.by_hand),
    )
    connection.execute("UPDATE document SET about = ? WHERE row = ?", (sealed_values(secret, about), row))
    return row, secret


def _names(names: frozenset[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)


def place_number(pepper: bytes, tenant: int, source: str) -> int:
    """The same for a file and for all that was inside it (``source#…``)."""
    return fingerprint(pepper, "place", str(tenant), source.partition("#")[0])


def content_number(pepper: bytes, tenant: int, sha256: str) -> int:
    """Stands for a file's bytes."""
    return fingerprint(pepper, "content", str(tenant), sha256)


def insert_chunks(
    connection: Database, row: int, secret: bytes, chunks: Sequence[Chunk], *, low: int, embedded: bool
) -> None:
    """Write a document's pieces, the first of which has the id ``low``."""
    connection.executemany(
        "INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                low + at,
                row,
                chunk.start,
                chunk.end,
                chunk.page,
                int(embedded),
                sealed_values(secret, chunk.heading),
                sealed_text(secret, chunk.indexed),
            )
            for at, chunk in enumerate(chunks)
        ),
    )


def insert_text(connection: Database, row: int, secret: bytes, text: str, original: bytes | None) -> None:
    """Write a document's text, and its bytes."""
    low = row << _PIECE_BITS
    cut = (text[start : start + PIECE] for start in range(0, len(text), PIECE))
    connection.executemany(
        "INSERT INTO piece VALUES (?, ?)",
        ((low | number, sealed_text(secret, part)) for number, part in enumerate(cut)),
    )
    connection.executemany(
        "INSERT INTO original VALUES (?, ?)",
        (
            (low | number, sealed(secret, part))
            for number, part in enumerate(pieces(original or b"", _ORIGINAL_PIECE_BYTES))
        ),
    )


def text_of(connection: Database, row: int, secret: bytes, start: int = 0, end: int | None = None) -> str:
    """A document's text from ``start`` to ``end``."""
    first = start // PIECE
    last = _LAST_PIECE if end is None else max(end - 1, start) // PIECE
    low = row << _PIECE_BITS
    found = connection.execute("SELECT body FROM piece WHERE id BETWEEN ? AND ? ORDER BY id", (low | first, low | last))
    text = "".join(opened_text(secret, body) for (body,) in found)
    return text[start - first * PIECE : None if end is None else end - first * PIECE]


def remove(connection: Database, row: Row, *, low: int) -> None:
    """Remove a document's row, pieces, text and bytes, and forget its key."""
    forget_secret(connection, row.row)
    connection.execute("DELETE FROM chunk WHERE id BETWEEN ? AND ?", (low, low + row.chunks - 1))
    kept = (row.row << _PIECE_BITS, row.row << _PIECE_BITS | _LAST_PIECE)
    connection.execute("DELETE FROM piece WHERE id BETWEEN ? AND ?", kept)
    connection.execute("DELETE FROM original WHERE id BETWEEN ? AND ?", kept)
    connection.execute("DELETE FROM document WHERE row = ?", (row.row,))


def passages_of(
    connection: Database, chunk_ids: Sequence[int], *, readers: Mapping[int, Readers], tenant: int, named: str
) -> Iterator[Passage]:
    """Pieces with their texts, in the order of ``chunk_ids``, of documents whose access is in ``readers``."""
    known: dict[int, tuple[Row, Document] | None] = {}
    for chunk_id in chunk_ids:
        if chunk_id >> ORDINAL_BITS != tenant:
            continue
        query = 'SELECT document, start, "end", page, heading FROM chunk WHERE id = ?'
        for number, start, end, page, heading in connection.execute(query, (chunk_id,)).fetchall():
            if number not in known:
                (row,) = rows(connection, "row = ?", (number,))
                known[number] = (row, row.document(named, readers[row.access])) if row.access in readers else None
            held = known[number]
            if held is not None:
                yield Passage(
                    chunk_id=chunk_id,
                    document=held[1],
                    start=start,
                    end=end,
                    page=page,
                    heading=tuple(opened_values(held[0].secret, heading)),
                    text=text_of(connection, number, held[0].secret, start, end),
                )


def readable(reach: Reach, filters: Filters) -> tuple[str, list[Any]]:
    """Which documents may be read and are meant, as a condition on their rows, and its values."""
    condition, values = _narrowed(filters)
    may = "tenant = ? AND access IN (SELECT value FROM json_each(?))"
    return may + condition, [reach.tenant, reach.json, *values]


def _narrowed(filters: Filters) -> tuple[str, list[Any]]:
    """A condition on documents' rows, which begins with AND or is empty, and its values."""
    condition = ""
    values: list[Any] = []
    if filters.documents:
        condition += " AND id IN (SELECT value FROM json_each(?))"
        values.append(json.dumps(filters.documents))
    if filters.written_from:
        condition += " AND written >= ?"
        values.append(filters.written_from)
    if filters.written_to:
        condition += " AND written <> '' AND written <= ?"
        values.append(filters.written_to)
    if filters.media_types:
        condition += " AND (" + " OR ".join(["instr(media_type, ?) = 1"] * len(filters.media_types)) + ")"
        values.extend(filters.media_types)
    return condition, values


class Places:
    """What ``Filters.sources`` and ``Filters.authors`` look in, kept so that each document is opened for it once."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, str]] = {}

    def forget(self) -> None:
        """Keep nothing: a document was erased."""
        self._known = {}

    def meant(self, found: Iterable[Row], filters: Filters) -> Iterator[Row]:
        """Those rows whose source, title and author are meant."""
        sources = [text.casefold() for text in filters.sources]
        authors = [text.casefold() for text in filters.authors]
        for row in found:
            if sources or authors:
                place, author = self._of(row)
                if sources and not any(text in place for text in sources):
                    continue
                if authors and not any(text in author for text in authors):
                    continue
            yield row

    def _of(self, row: Row) -> tuple[str, str]:
        # What is sealed anew, for it changed, begins with another nonce.
        key = row.sealed[:NONCE_BYTES]
        known = self._known.get(key)
        if known is None:
            source, title, author = row.about[:3]
            known = (f"{source}\n{title}".casefold(), author.casefold())
            if len(self._known) >= _PLACES_MAX:
                self.forget()
            self._known[key] = known
        return known
