"""One encrypted file, a vault: texts, pieces, postings, vectors, labels and readers, changed together or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from freehold.domain.errors.vault import VaultUploadsFull, VaultVectorsUnfit
from freehold.domain.vault import ANYTHING, Chunk, Document, Filters, Hit, Passage, Reader, Readers, VaultCounts
from freehold.vault import store_documents, store_removed, store_vectors, store_words
from freehold.vault.store_access import AccessBook, Reach, forget_unused, interned
from freehold.vault.store_database import Database
from freehold.vault.store_renew import check_model, prepare
from freehold.vault.store_schema import ORDINAL_BITS, fits
from freehold.vault.store_seal import opened_text
from freehold.vault.store_threads import Connections


async def open_store(path: Path, *, key: bytes, model: str, dimensions: int, is_renewed: bool = False) -> SqliteVault:
    """Open a vault's file, which is made where there is none.

    A file whose words were indexed by other rules than this version's is indexed anew first.

    Args:
        path: The file.
        key: 32 random bytes; without them the file can't be read.
        model: What makes its vectors.
        dimensions: Numbers in a vector.
        is_renewed: Whether vectors of another model are forgotten, and every piece waits for a new one.

    Raises:
        VaultKeyWrong: It has another key, or is no vault.
        VaultOfNewerVersion: A newer version wrote it.
        VaultOfAnotherModel: Its vectors are of another model.
        VaultNeedsExtra: What it is built on isn't installed.
        VaultUnwritable: It can't be opened.
    """
    store = SqliteVault(path, key=key, dimensions=dimensions)
    try:
        await store.start(model, is_renewed=is_renewed)
    except BaseException:
        await store.close()
        raise
    return store


class SqliteVault:
    """``VaultStore`` on SQLite. One thread writes, a few read; other processes may do so at the same time."""

    def __init__(self, path: Path, *, key: bytes, dimensions: int) -> None:
        self._at = Connections(path, key)
        self._dimensions = dimensions
        self._book = AccessBook()
        self._places = store_documents.Places()
        self._model, self._pepper = "", b""

    async def start(self, model: str, *, is_renewed: bool) -> None:
        """Connect. Called once, by ``open_store``."""
        path = self._at.path
        prepared = partial(prepare, path=path, model=model, dimensions=self._dimensions, is_renewed=is_renewed)
        self._model = model
        self._pepper = await self._at.start(prepared)

    async def add(
        self,
        document: Document,
        *,
        text: str,
        chunks: Sequence[Chunk],
        vectors: Sequence[bytes] | None,
        blob: bytes | None = None,
        sent_bytes_max: int | None = None,
    ) -> None:
        """See ``VaultStore.add``.

        Raises:
            VaultVectorsUnfit: There isn't one of the right size for each piece.
            VaultUploadsFull: It would be beyond ``sent_bytes_max``.
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
            for number, old in store_documents.rows_of(connection, document.tenant, [document.id]):
                _remove(connection, number, old)
            if sent_bytes_max is not None:
                used = store_documents.sent_bytes(connection, tenant)
                if used + document.size_bytes > sent_bytes_max:
                    raise VaultUploadsFull(
                        tenant=document.tenant,
                        limit=f"{sent_bytes_max:,}",
                        used=f"{used:,}",
                        needed=f"{document.size_bytes:,}",
                    )
            connection.execute("UPDATE tenant SET ordinals = ? WHERE id = ?", (first + len(chunks), tenant))
            access = interned(connection, tenant, document.readers)
            row, secret = store_documents.insert(
                connection,
                document,
                pepper=self._pepper,
                tenant=tenant,
                access=access,
                first=first,
                chunks=len(chunks),
            )
            low = tenant << ORDINAL_BITS | first
            store_documents.insert_text(connection, row, secret, text, blob)
            store_documents.insert_chunks(connection, row, secret, chunks, low=low, embedded=vectors is not None)
            terms = store_words.index(
                connection,
                pepper=self._pepper,
                tenant=tenant,
                first=first,
                access=access,
                texts=[chunk.indexed for chunk in chunks],
            )
            connection.execute("INSERT INTO had VALUES (?, ?)", (row, terms))
            if vectors is not None:
                store_vectors.put(connection, enumerate(vectors, start=low), tenant=tenant, access=access)

        await self._at.write(work)

    async def put_vectors(self, vectors: Mapping[int, bytes]) -> None:
        """See ``VaultStore.put_vectors``.

        Raises:
            VaultOfAnotherModel: The index is of another model by now.
        """
        for vector in vectors.values():
            fits(vector, self._dimensions, "a piece's vector")

        def work(connection: Database) -> None:
            self._check_model(connection)
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

        await self._at.write(work)

    async def without_vectors(self, limit: int) -> Sequence[tuple[int, str]]:
        """See ``VaultStore.without_vectors``."""

        def work(connection: Database) -> list[tuple[int, str]]:
            query = (
                "SELECT id, key, indexed FROM chunk JOIN secret ON secret.document = chunk.document"
                " WHERE embedded = 0 ORDER BY chunk.document, id LIMIT ?"
            )
            found = connection.execute(query, (limit,)).fetchall()
            return [(number, opened_text(secret, indexed)) for number, secret, indexed in found]

        return await self._at.read(work)

    async def search_words(self, text: str, *, reader: Reader, filters: Filters, limit: int) -> Sequence[Hit]:
        """See ``VaultStore.search_words``."""

        def work(connection: Database) -> list[Hit]:
            reach = self._book.reach(connection, reader)
            if reach is None or limit < 1:
                return []
            ranges = self._ranges(connection, reach, filters)
            if ranges is not None and not ranges:
                return []
            return store_words.search(connection, text, pepper=self._pepper, reach=reach, ranges=ranges, limit=limit)

        return await self._at.read(work)

    async def rarity(self, text: str, *, reader: Reader) -> Mapping[str, float]:
        """See ``VaultStore.rarity``."""
        return await self._at.read(
            lambda connection: store_words.rarity(
                connection, text, pepper=self._pepper, reach=self._book.reach(connection, reader)
            )
        )

    async def search_vectors(self, vector: bytes, *, reader: Reader, filters: Filters, limit: int) -> Sequence[Hit]:
        """See ``VaultStore.search_vectors``.

        Raises:
            VaultVectorsUnfit: The vector isn't of the index's size.
            VaultOfAnotherModel: The index is of another model by now.
        """
        fits(vector, self._dimensions, "the question's vector")

        def work(connection: Database) -> list[Hit]:
            reach = self._book.reach(connection, reader)
            if reach is None or limit < 1:
                return []
            ranges = self._ranges(connection, reach, filters)
            if ranges is not None and not ranges:
                return []
            self._check_model(connection)
            return store_vectors.search(connection, vector, reach=reach, ranges=ranges, limit=limit)

        return await self._at.read(work)

    async def passages(self, chunk_ids: Sequence[int], *, reader: Reader) -> Sequence[Passage]:
        """See ``VaultStore.passages``."""

        def work(connection: Database) -> list[Passage]:
            return self._passages(connection, chunk_ids, reader)

        return await self._at.read(work)

    async def neighbours(self, chunk_id: int, *, reader: Reader, before: int, after: int) -> Sequence[Passage]:
        """See ``VaultStore.neighbours``."""

        def work(connection: Database) -> list[Passage]:
            query = "SELECT first, chunks FROM chunk JOIN document ON row = document WHERE chunk.id = ?"
            for first, count in connection.execute(query, (chunk_id,)).fetchall():
                low = chunk_id >> ORDINAL_BITS << ORDINAL_BITS | first
                around = range(max(chunk_id - before, low), min(chunk_id + after + 1, low + count))
                return self._passages(connection, around, reader)
            return []

        return await self._at.read(work)

    async def documents(
        self, *, reader: Reader, filters: Filters = ANYTHING, after: str = "", limit: int = 100
    ) -> Sequence[Document]:
        """See ``VaultStore.documents``."""

        def work(connection: Database) -> list[Document]:
            reach = self._book.reach(connection, reader)
            if reach is None:
                return []
            condition, values = store_documents.readable(reach, filters)
            where = f"id > ? AND {condition} ORDER BY id"
            if not filters.sources and not filters.authors:
                where, values = f"{where} LIMIT ?", [*values, max(limit, 0)]
            found = self._places.meant(store_documents.rows(connection, where, (after, *values)), filters)
            return self._documents(connection, reach.tenant, reader.tenant, islice(found, max(limit, 0)))

        return await self._at.read(work)

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
            condition, values = store_documents.readable(reach, Filters(documents=(document_id,)))
            for row in store_documents.rows(connection, condition, values):
                return store_documents.text_of(connection, row.row, row.secret)
            return None

        return await self._at.read(work)

    async def by_source(self, source: str, *, tenant: str) -> Sequence[Document]:
        """See ``VaultStore.by_source``."""

        def work(connection: Database) -> list[Document]:
            number = store_documents.tenant_number(connection, tenant)
            place = store_documents.place_number(self._pepper, number, source)
            found = store_documents.rows(connection, "tenant = ? AND place = ? ORDER BY id", (number, place))
            # A number stands for a file and all that was inside it, of which some may be meant.
            same = (row for row in found if row.source == source or row.source.startswith(f"{source}#"))
            return self._documents(connection, number, tenant, same)

        return await self._at.read(work)

    async def by_content(self, sha256: str, *, tenant: str) -> Sequence[Document]:
        """See ``VaultStore.by_content``."""

        def work(connection: Database) -> list[Document]:
            number = store_documents.tenant_number(connection, tenant)
            content = store_documents.content_number(self._pepper, number, sha256)
            found = store_documents.rows(connection, "tenant = ? AND content = ? ORDER BY id", (number, content))
            return self._documents(connection, number, tenant, found)

        return await self._at.read(work)

    async def held(
        self, *, tenant: str, ids: Sequence[str] | None = None, under: str = "", after: str = "", limit: int = 1_000
    ) -> Sequence[Document]:
        """See ``HeldStore.held``."""

        def work(connection: Database) -> list[Document]:
            number = store_documents.tenant_number(connection, tenant)
            found = store_documents.held(connection, number, ids=ids, under=under, after=after, limit=limit)
            return self._documents(connection, number, tenant, found)

        return await self._at.read(work)

    async def key_holder(self, tenant: str) -> Reader:
        """See ``HeldStore.key_holder``."""
        return await self._at.read(
            lambda connection: self._book.everybody(
                connection, store_documents.tenant_number(connection, tenant), tenant
            )
        )

    async def languages(self) -> Mapping[str, int]:
        """See ``HeldStore.languages``."""
        return await self._at.read(store_documents.languages)

    async def sent_bytes(self, *, tenant: str) -> int:
        """See ``HeldStore.sent_bytes``."""

        def work(connection: Database) -> int:
            return store_documents.sent_bytes(connection, store_documents.tenant_number(connection, tenant))

        return await self._at.read(work)

    async def kept_away(self, source: str, *, tenant: str, digests: Sequence[str]) -> frozenset[str]:
        """See ``HeldStore.kept_away``."""

        def work(connection: Database) -> frozenset[str]:
            number = store_documents.tenant_number(connection, tenant)
            return store_removed.kept_away(connection, self._pepper, number, source, digests)

        return await self._at.read(work)

    async def bring_back(self, source: str, *, tenant: str) -> bool:
        """See ``HeldStore.bring_back``."""

        def work(connection: Database) -> bool:
            number = store_documents.tenant_number(connection, tenant)
            return store_removed.forget(connection, self._pepper, number, source)

        def is_any(connection: Database) -> bool:
            number = store_documents.tenant_number(connection, tenant)
            return store_removed.is_any(connection, self._pepper, number, source)

        return await self._at.read(is_any) and await self._at.write(work)

    async def move(self, document_id: str, *, tenant: str, source: str, title: str) -> None:
        """See ``VaultStore.move``."""

        def work(connection: Database) -> None:
            for number, row in store_documents.rows_of(connection, tenant, [document_id]):
                place = store_documents.place_number(self._pepper, number, source)
                about = row.moved(source=source, title=title)
                connection.execute("UPDATE document SET place = ?, about = ? WHERE row = ?", (place, about, row.row))

        await self._at.write(work)

    async def relabel(
        self,
        document_id: str,
        *,
        tenant: str,
        label: str,
        readers: Readers,
        by_hand: frozenset[str] | None = None,
    ) -> bool:
        """See ``VaultStore.relabel``."""

        def work(connection: Database) -> bool:
            for number, row in store_documents.rows_of(connection, tenant, [document_id]):
                access = interned(connection, number, readers)
                about = row.relabelled(label=label, by_hand=by_hand)
                connection.execute("UPDATE document SET access = ?, about = ? WHERE row = ?", (access, about, row.row))
                store_words.set_access(connection, tenant=number, first=row.first, count=row.chunks, access=access)
                low = number << ORDINAL_BITS | row.first
                store_vectors.set_access(connection, low=low, count=row.chunks, access=access)
                return True
            return False

        return await self._at.write(work)

    async def erase(self, document_ids: Sequence[str], *, tenant: str, kept_away: Sequence[Document] = ()) -> int:
        """See ``VaultStore.erase``.

        Raises:
            VaultBusy: They are gone for every search, but another process has read for so long that their bytes are
                still in the file's log; the next erasure, of nothing if need be, removes them.
        """

        def work(connection: Database) -> int:
            found = store_documents.rows_of(connection, tenant, document_ids)
            for number, row in found:
                _remove(connection, number, row)
            for number in {number for number, _ in found}:
                store_removed.remember(connection, self._pepper, number, kept_away)
                forget_unused(connection, number)
            return len(found)

        count = await self._at.write(work)
        self._places.forget()
        await self._at.purge()
        return count

    async def generation(self) -> int:
        """See ``VaultStore.generation``."""

        def work(connection: Database) -> int:
            ((value,),) = connection.execute("SELECT value FROM meta WHERE name = 'generation'").fetchall()
            return value

        return await self._at.read(work)

    async def counts(self, *, reader: Reader) -> VaultCounts:
        """See ``VaultStore.counts``."""

        def work(connection: Database) -> VaultCounts:
            reach = self._book.reach(connection, reader)
            if reach is None:
                return VaultCounts()
            condition, values = store_documents.readable(reach, ANYTHING)
            totals = (
                "SELECT count(*), coalesce(sum(state = 'failed'), 0), coalesce(sum(state = 'pending'), 0),"
                " coalesce(sum(chunks), 0), coalesce(sum(size_bytes), 0) FROM document WHERE "
            )
            (row,) = connection.execute(totals + condition, values).fetchall()
            documents, failed, filling, chunks, size_bytes = row
            waiting = "SELECT count(*) FROM chunk JOIN document ON row = document WHERE embedded = 0 AND "
            ((pending,),) = connection.execute(waiting + condition, values).fetchall()
            return VaultCounts(
                documents=documents,
                failed=failed,
                filling=filling,
                chunks=chunks,
                pending=pending,
                size_bytes=size_bytes,
            )

        return await self._at.read(work)

    async def close(self) -> None:
        """See ``VaultStore.close``."""
        await self._at.close()

    def _check_model(self, connection: Database) -> None:
        check_model(connection, self._at.path, model=self._model, dimensions=self._dimensions)

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

    def _documents(
        self, connection: Database, tenant: int, named: str, found: Iterable[store_documents.Row]
    ) -> list[Document]:
        readers = self._book.readers(connection, tenant)
        return [row.document(named, readers[row.access]) for row in found]

    def _ranges(self, connection: Database, reach: Reach, filters: Filters) -> list[tuple[int, int]] | None:
        """Ordinals of the pieces that are meant; ``None`` where all are."""
        if filters == ANYTHING:
            return None
        condition, values = store_documents.readable(reach, filters)
        found = self._places.meant(store_documents.rows(connection, condition, values), filters)
        return [(row.first, row.chunks) for row in found]


def _remove(connection: Database, tenant: int, row: store_documents.Row) -> None:
    ((terms,),) = connection.execute("SELECT terms FROM had WHERE document = ?", (row.row,)).fetchall()
    store_words.unindex(connection, tenant=tenant, first=row.first, count=row.chunks, terms=terms)
    connection.execute("DELETE FROM had WHERE document = ?", (row.row,))
    low = tenant << ORDINAL_BITS | row.first
    store_vectors.remove(connection, low=low, count=row.chunks)
    store_documents.remove(connection, row, low=low)
