"""One encrypted file, a vault: texts, pieces, postings, vectors, labels and readers, changed together or not at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from freehold.domain.errors.vault import VaultClosed, VaultVectorsUnfit
from freehold.domain.vault import ANYTHING, Chunk, Document, Filters, Hit, Passage, Reader, Readers
from freehold.vault import store_documents, store_vectors, store_words
from freehold.vault.store_access import AccessBook, Reach, forget_unused, interned
from freehold.vault.store_schema import ORDINAL_BITS, Database, connected, fits, prepare, told

T = TypeVar("T")
_READERS = 3
_LAST_CHARACTER = "\U0010ffff"


async def open_store(path: Path, *, key: bytes, model: str, dimensions: int) -> SqliteVault:
    """Open a vault's file, which is made where there is none.

    Args:
        path: The file.
        key: 32 random bytes; without them the file can't be read.
        model: What makes its vectors.
        dimensions: Numbers in a vector.

    Raises:
        VaultKeyWrong: It has another key, or is no vault.
        VaultOfNewerVersion: A newer version wrote it.
        VaultOfAnotherModel: Its vectors are of another model.
        VaultNeedsExtra: What it is built on isn't installed.
        VaultUnwritable: It can't be opened.
    """
    store = SqliteVault(path, key=key, dimensions=dimensions)
    try:
        await store.start(model)
    except BaseException:
        await store.close()
        raise
    return store


class SqliteVault:
    """``VaultStore`` on SQLite. One thread writes, a few read; other processes may do so at the same time."""

    def __init__(self, path: Path, *, key: bytes, dimensions: int) -> None:
        self._path = path
        self._key = key
        self._dimensions = dimensions
        self._book = AccessBook()
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="vault-writer")
        self._reading = ThreadPoolExecutor(_READERS, thread_name_prefix="vault-reader")
        self._writer: Database | None = None
        self._idle: SimpleQueue[Database] = SimpleQueue()
        self._closed = False

    async def start(self, model: str) -> None:
        """Connect. Called once, by ``open_store``."""

        def work() -> None:
            self._writer = connected(self._path, self._key)
            with told(self._path):
                prepare(self._writer, self._path, model=model, dimensions=self._dimensions)
            for _ in range(_READERS):
                self._idle.put(connected(self._path, self._key))

        await self._on(self._writing, work)

    async def add(
        self,
        document: Document,
        *,
        text: str,
        chunks: Sequence[Chunk],
        vectors: Sequence[bytes] | None,
        blob: bytes | None = None,
    ) -> None:
        """See ``VaultStore.add``.

        Raises:
            VaultVectorsUnfit: There isn't one of the right size for each piece.
        """
        if vectors is not None:
            if len(vectors) != len(chunks):
                raise VaultVectorsUnfit(what=f"{len(vectors)} vectors", reason=f"there are {len(chunks)} pieces")
            for vector in vectors:
                fits(vector, self._dimensions, "a piece's vector")

        def work(connection: Database) -> None:
            connection.execute("INSERT INTO tenant (name) VALUES (?) ON CONFLICT DO NOTHING", (document.tenant,))
            query = "SELECT id, ordinals FROM tenant WHERE name = ?"
            ((tenant, first),) = connection.execute(query, (document.tenant,)).fetchall()
            for old in store_documents.rows(connection, "tenant = ? AND id = ?", (tenant, document.id)):
                _remove(connection, tenant, old)
            connection.execute("UPDATE tenant SET ordinals = ? WHERE id = ?", (first + len(chunks), tenant))
            access = interned(connection, tenant, document.readers)
            row = store_documents.insert(
                connection, document, tenant=tenant, access=access, first=first, chunks=len(chunks)
            )
            low = tenant << ORDINAL_BITS | first
            store_documents.insert_text(connection, row, text)
            store_documents.insert_chunks(connection, row, chunks, low=low, embedded=vectors is not None)
            indexed = [chunk.indexed for chunk in chunks]
            terms = store_words.index(connection, tenant=tenant, first=first, access=access, texts=indexed)
            connection.execute("UPDATE document SET terms = ? WHERE row = ?", (terms, row))
            if blob is not None:
                connection.execute("INSERT INTO original VALUES (?, ?)", (row, blob))
            if vectors is not None:
                store_vectors.put(connection, enumerate(vectors, start=low), tenant=tenant, access=access)

        await self._write(work)

    async def put_vectors(self, vectors: Mapping[int, bytes]) -> None:
        """See ``VaultStore.put_vectors``."""
        for vector in vectors.values():
            fits(vector, self._dimensions, "a piece's vector")

        def work(connection: Database) -> None:
            touched: set[int] = set()
            for chunk_id, vector in vectors.items():
                found = connection.execute(
                    "SELECT row, access FROM chunk JOIN document ON row = document WHERE chunk.id = ? AND embedded = 0",
                    (chunk_id,),
                ).fetchall()
                for row, access in found:
                    store_vectors.put(connection, [(chunk_id, vector)], tenant=chunk_id >> ORDINAL_BITS, access=access)
                    connection.execute("UPDATE chunk SET embedded = 1 WHERE id = ?", (chunk_id,))
                    touched.add(row)
            for row in touched:
                connection.execute(
                    "UPDATE document SET state = 'ready' WHERE row = ? AND state = 'pending'"
                    " AND NOT EXISTS (SELECT 1 FROM chunk WHERE document = row AND embedded = 0)",
                    (row,),
                )

        await self._write(work)

    async def without_vectors(self, limit: int) -> Sequence[tuple[int, str]]:
        """See ``VaultStore.without_vectors``."""

        def work(connection: Database) -> list[tuple[int, str]]:
            query = "SELECT id, indexed FROM chunk WHERE embedded = 0 ORDER BY document, id LIMIT ?"
            return [(number, store_documents.text_from(body)) for number, body in connection.execute(query, (limit,))]

        return await self._read(work)

    async def search_words(self, text: str, *, reader: Reader, filters: Filters, limit: int) -> Sequence[Hit]:
        """See ``VaultStore.search_words``."""

        def work(connection: Database) -> list[Hit]:
            reach = self._book.reach(connection, reader)
            if reach is None or limit < 1:
                return []
            ranges = _ranges(connection, reach, filters)
            if ranges is not None and not ranges:
                return []
            return store_words.search(connection, text, reach=reach, ranges=ranges, limit=limit)

        return await self._read(work)

    async def search_vectors(self, vector: bytes, *, reader: Reader, filters: Filters, limit: int) -> Sequence[Hit]:
        """See ``VaultStore.search_vectors``.

        Raises:
            VaultVectorsUnfit: The vector isn't of the index's size.
        """
        fits(vector, self._dimensions, "the question's vector")

        def work(connection: Database) -> list[Hit]:
            reach = self._book.reach(connection, reader)
            if reach is None or limit < 1:
                return []
            ranges = _ranges(connection, reach, filters)
            if ranges is not None and not ranges:
                return []
            return store_vectors.search(connection, vector, reach=reach, ranges=ranges, limit=limit)

        return await self._read(work)

    async def passages(self, chunk_ids: Sequence[int], *, reader: Reader) -> Sequence[Passage]:
        """See ``VaultStore.passages``."""

        def work(connection: Database) -> list[Passage]:
            return self._passages(connection, chunk_ids, reader)

        return await self._read(work)

    async def neighbours(self, chunk_id: int, *, reader: Reader, before: int, after: int) -> Sequence[Passage]:
        """See ``VaultStore.neighbours``."""

        def work(connection: Database) -> list[Passage]:
            query = "SELECT first, chunks FROM chunk JOIN document ON row = document WHERE chunk.id = ?"
            for first, count in connection.execute(query, (chunk_id,)).fetchall():
                low = chunk_id >> ORDINAL_BITS << ORDINAL_BITS | first
                around = range(max(chunk_id - before, low), min(chunk_id + after + 1, low + count))
                return self._passages(connection, around, reader)
            return []

        return await self._read(work)

    async def documents(
        self, *, reader: Reader, filters: Filters = ANYTHING, after: str = "", limit: int = 100
    ) -> Sequence[Document]:
        """See ``VaultStore.documents``."""

        def work(connection: Database) -> list[Document]:
            reach = self._book.reach(connection, reader)
            if reach is None:
                return []
            condition, values = _readable(reach, filters)
            return self._documents(
                connection,
                reach.tenant,
                reader.tenant,
                f"id > ? AND {condition} ORDER BY id LIMIT ?",
                (after, *values, limit),
            )

        return await self._read(work)

    async def document(self, document_id: str, *, reader: Reader) -> Document | None:
        """See ``VaultStore.document``."""
        found = await self.documents(reader=reader, filters=Filters(documents=(document_id,)))
        return found[0] if found else None

    async def text(self, document_id: str, *, reader: Reader) -> str | None:
        """See ``VaultStore.text``."""

        def work(connection: Database) -> str | None:
            reach = self._book.reach(connection, reader)
            if reach is None:
                return None
            condition, values = _readable(reach, Filters(documents=(document_id,)))
            for row in store_documents.rows(connection, condition, values):
                return store_documents.text_of(connection, row.row)
            return None

        return await self._read(work)

    async def by_source(self, source: str, *, tenant: str) -> Sequence[Document]:
        """See ``VaultStore.by_source``."""
        inside = (f"{source}#", f"{source}$")  # "$" is the character behind "#".
        return await self._of_tenant(
            tenant, "(source = ? OR source >= ? AND source < ?) ORDER BY id", (source, *inside)
        )

    async def by_content(self, sha256: str, *, tenant: str) -> Sequence[Document]:
        """See ``VaultStore.by_content``."""
        return await self._of_tenant(tenant, "sha256 = ? ORDER BY id", (sha256,))

    async def held(
        self, *, tenant: str, ids: Sequence[str] | None = None, under: str = "", after: str = "", limit: int = 1_000
    ) -> Sequence[Document]:
        """See ``HeldStore.held``."""
        some = "" if ids is None else " AND id IN (SELECT value FROM json_each(?))"
        below = " AND source >= ? AND source < ?" if under else ""
        values = [after, *([] if ids is None else [json.dumps(list(ids))])]
        values += [under, under + _LAST_CHARACTER] if under else []
        return await self._of_tenant(tenant, f"id > ?{some}{below} ORDER BY id LIMIT ?", [*values, limit])

    async def move(self, document_id: str, *, tenant: str, source: str, title: str) -> None:
        """See ``VaultStore.move``."""

        def work(connection: Database) -> None:
            connection.execute(
                "UPDATE document SET source = ?, title = ?, place = ?"
                " WHERE id = ? AND tenant = (SELECT id FROM tenant WHERE name = ?)",
                (source, title, store_documents.place(source, title), document_id, tenant),
            )

        await self._write(work)

    async def relabel(self, document_id: str, *, tenant: str, label: str, readers: Readers) -> bool:
        """See ``VaultStore.relabel``."""

        def work(connection: Database) -> bool:
            for number, row in _rows_of(connection, tenant, [document_id]):
                access = interned(connection, number, readers)
                connection.execute("UPDATE document SET access = ?, label = ? WHERE row = ?", (access, label, row.row))
                store_words.set_access(connection, tenant=number, first=row.first, count=row.chunks, access=access)
                low = number << ORDINAL_BITS | row.first
                store_vectors.set_access(connection, low=low, count=row.chunks, access=access)
                return True
            return False

        return await self._write(work)

    async def erase(self, document_ids: Sequence[str], *, tenant: str) -> int:
        """See ``VaultStore.erase``.

        Raises:
            VaultBusy: They are gone for every search, but another process has read for so long that their bytes are
                still in the file's log; the next erasure or the next close removes them.
        """

        def work(connection: Database) -> int:
            found = _rows_of(connection, tenant, document_ids)
            for number, row in found:
                _remove(connection, number, row)
            for number in {number for number, _ in found}:
                forget_unused(connection, number)
            return len(found)

        count = await self._write(work)
        await self._on(self._writing, self._purge)
        return count

    async def generation(self) -> int:
        """See ``VaultStore.generation``."""

        def work(connection: Database) -> int:
            ((value,),) = connection.execute("SELECT value FROM meta WHERE name = 'generation'").fetchall()
            return value

        return await self._read(work)

    async def counts(self, *, reader: Reader) -> Mapping[str, int]:
        """See ``VaultStore.counts``."""

        def work(connection: Database) -> dict[str, int]:
            reach = self._book.reach(connection, reader)
            if reach is None:
                return dict.fromkeys(("documents", "chunks", "pending", "bytes"), 0)
            condition, values = _readable(reach, ANYTHING)
            totals = "SELECT count(*), coalesce(sum(chunks), 0), coalesce(sum(size_bytes), 0) FROM document WHERE "
            ((documents, chunks, size_bytes),) = connection.execute(totals + condition, values).fetchall()
            waiting = "SELECT count(*) FROM chunk JOIN document ON row = document WHERE embedded = 0 AND "
            ((pending,),) = connection.execute(waiting + condition, values).fetchall()
            return {"documents": documents, "chunks": chunks, "pending": pending, "bytes": size_bytes}

        return await self._read(work)

    async def close(self) -> None:
        """See ``VaultStore.close``."""
        if self._closed:
            return
        self._closed = True

        def work() -> None:
            self._reading.shutdown()
            while not self._idle.empty():
                self._idle.get().close()
            if self._writer is not None:
                self._writer.close()

        await asyncio.get_running_loop().run_in_executor(self._writing, work)
        self._writing.shutdown()

    def _passages(self, connection: Database, chunk_ids: Sequence[int], reader: Reader) -> list[Passage]:
        reach = self._book.reach(connection, reader)
        if reach is None:
            return []
        known = self._book.readers(connection, reach.tenant)
        readers = {number: known[number] for number in reach.allowed}
        return list(
            store_documents.passages_of(
                connection, chunk_ids, readers=readers, tenant=reach.tenant, named=reader.tenant
            )
        )

    async def _of_tenant(self, tenant: str, where: str, values: Sequence[object]) -> Sequence[Document]:
        def work(connection: Database) -> list[Document]:
            found = connection.execute("SELECT id FROM tenant WHERE name = ?", (tenant,)).fetchall()
            return [
                document
                for (number,) in found
                for document in self._documents(
                    connection, number, tenant, f"tenant = ? AND {where}", (number, *values)
                )
            ]

        return await self._read(work)

    def _documents(
        self, connection: Database, tenant: int, named: str, where: str, values: Sequence[object]
    ) -> list[Document]:
        readers = self._book.readers(connection, tenant)
        found = store_documents.rows(connection, where, values)
        return [row.document(named, readers[row.access]) for row in found]

    async def _read(self, work: Callable[[Database], T]) -> T:
        def run() -> T:
            connection = self._idle.get()
            try:
                with told(self._path):
                    # One transaction: everything that a search looks at is of one generation.
                    connection.execute("BEGIN")
                    try:
                        return work(connection)
                    finally:
                        connection.execute("ROLLBACK")
            finally:
                self._idle.put(connection)

        return await self._on(self._reading, run)

    async def _write(self, work: Callable[[Database], T]) -> T:
        def run() -> T:
            connection = self._writing_connection
            with told(self._path):
                connection.execute("BEGIN IMMEDIATE")
                try:
                    done = work(connection)
                    connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'generation'")
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
                return done

        return await self._on(self._writing, run)

    async def _on(self, executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._closed:
            raise VaultClosed(path=self._path)
        return await asyncio.get_running_loop().run_in_executor(executor, work)

    @property
    def _writing_connection(self) -> Database:
        if self._writer is None:
            raise VaultClosed(path=self._path)
        return self._writer

    def _purge(self) -> None:
        """Write the log into the file and empty it: what it held of erased documents is gone with that."""
        connection = self._writing_connection
        with told(self._path):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _rows_of(connection: Database, tenant: str, document_ids: Sequence[str]) -> list[tuple[int, store_documents.Row]]:
    found = connection.execute("SELECT id FROM tenant WHERE name = ?", (tenant,)).fetchall()
    where = "tenant = ? AND id IN (SELECT value FROM json_each(?))"
    return [
        (number, row)
        for (number,) in found
        for row in store_documents.rows(connection, where, (number, json.dumps(list(document_ids))))
    ]


def _remove(connection: Database, tenant: int, row: store_documents.Row) -> None:
    ((terms,),) = connection.execute("SELECT terms FROM document WHERE row = ?", (row.row,)).fetchall()
    store_words.unindex(connection, tenant=tenant, first=row.first, count=row.chunks, terms=terms)
    low = tenant << ORDINAL_BITS | row.first
    store_vectors.remove(connection, low=low, count=row.chunks)
    connection.execute("DELETE FROM chunk WHERE id BETWEEN ? AND ?", (low, low + row.chunks - 1))
    store_documents.remove_text(connection, row.row)
    connection.execute("DELETE FROM document WHERE row = ?", (row.row,))


def _readable(reach: Reach, filters: Filters) -> tuple[str, list[object]]:
    """Which documents may be read and are meant, as a condition on their rows, and its values."""
    condition, values = store_documents.narrowed(filters)
    may = "tenant = ? AND access IN (SELECT value FROM json_each(?))"
    return (f"{may} AND {condition}" if condition else may), [reach.tenant, reach.json, *values]


def _ranges(connection: Database, reach: Reach, filters: Filters) -> list[tuple[int, int]] | None:
    """Ordinals of the pieces that are meant; ``None`` where all are."""
    if filters == ANYTHING:
        return None
    condition, values = _readable(reach, filters)
    return [(row.first, row.chunks) for row in store_documents.rows(connection, condition, values)]
