"""The vault's store and its peers, behind one small face: build a folder, then answer questions from it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

import numpy as np

from bench.vault.corpus import DIMENSIONS, PIECES_IN_DOCUMENT, Corpus, Question, Vectors
from freehold.domain.labels import Level
from freehold.domain.vault import ANYTHING, Chunk, Document, Reader, Readers
from freehold.vault import store_schema
from freehold.vault.store import SqliteVault, open_store

CANDIDATES = 100
"""Of each half of the search."""

_OVER_FETCH = 2_000
_KEY = bytes(range(32))


class Engine(Protocol):
    """One store. ``one`` below: whether all pieces are one tenant's, and all may be read."""

    def build(self, corpus: Corpus, folder: Path) -> None:
        """Write everything."""
        ...

    def start(self, folder: Path, corpus: Corpus, /) -> None:
        """Open what was built."""
        ...

    def answer(self, question: Question) -> Sequence[int]:
        """Search by words and vectors (as far as it has both); pieces by their vectors, best first."""
        ...


class Freehold:
    """Our own."""

    def __init__(self, *, one: bool, plain: bool) -> None:
        self._one = one
        self._loop = asyncio.new_event_loop()
        self._plain = plain
        self._store: SqliteVault
        self._pieces: dict[int, int] = {}

    def build(self, corpus: Corpus, folder: Path) -> None:
        """Write everything, as ingest would."""
        self._loop.run_until_complete(self._build(corpus, folder))

    def start(self, folder: Path, corpus: Corpus) -> None:
        """Open it, and learn which piece each id stands for."""
        self._store = self._loop.run_until_complete(self._opened(folder))
        counted: dict[int, int] = {}
        for piece in range(corpus.pieces):
            tenant = 0 if self._one else corpus.tenant(piece)
            self._pieces[(tenant + 1) << 32 | counted.get(tenant, 0)] = piece
            counted[tenant] = counted.get(tenant, 0) + 1

    def answer(self, question: Question) -> Sequence[int]:
        """Both halves at the same time."""
        tenant, level = (0, Level.RESTRICTED) if self._one else (question.tenant, Level(question.level))
        reader = Reader(tenant=f"tenant{tenant}", clearance=level)

        async def both() -> tuple[Any, Any]:
            return await asyncio.gather(
                self._store.search_words(question.words, reader=reader, filters=ANYTHING, limit=CANDIDATES),
                self._store.search_vectors(
                    question.vector.tobytes(), reader=reader, filters=ANYTHING, limit=CANDIDATES
                ),
            )

        _, hits = self._loop.run_until_complete(both())
        return [self._pieces[hit.chunk_id] for hit in hits]

    async def _opened(self, folder: Path) -> SqliteVault:
        with contextlib.ExitStack() as stack:
            if self._plain:
                # The product has no plain vaults: this is for the bar that has none either.
                stack.enter_context(mock.patch.object(store_schema, "unlocking", lambda _: ()))
            return await open_store(folder / "vault.db", key=_KEY, model="made", dimensions=DIMENSIONS)

    async def _build(self, corpus: Corpus, folder: Path) -> None:
        store = await self._opened(folder)
        vectors, texts = corpus.vectors(), corpus.texts()
        for first in range(0, corpus.pieces, PIECES_IN_DOCUMENT):
            mine = list(itertools.islice(texts, PIECES_IN_DOCUMENT))
            starts = np.cumsum([0, *(len(text) + 1 for text in mine)]).tolist()
            chunks = [
                Chunk(start=start, end=start + len(text), indexed=text)
                for text, start in zip(mine, starts, strict=False)
            ]
            tenant = 0 if self._one else corpus.tenant(first)
            document = Document(
                id=f"document{first:07}",
                tenant=f"tenant{tenant}",
                source=f"upload:{first}",
                sha256=f"{first:064x}",
                size_bytes=starts[-1],
                media_type="text/plain",
                title=f"Document {first}",
                label=Level(corpus.level(first)).word,
                readers=Readers(level=Level(corpus.level(first))),
                added_unix_ms=0,
            )
            made = [vector.tobytes() for vector in vectors[first : first + len(chunks)]]
            await store.add(document, text=" ".join(mine), chunks=chunks, vectors=made)
        await store.close()


class Lance:
    """LanceDB: IVF_HNSW_SQ and its own full-text index, filtered before the search."""

    def __init__(self, *, one: bool) -> None:
        self._one = one
        self._table: Any = None

    def build(self, corpus: Corpus, folder: Path) -> None:
        """Write everything at once, then index."""
        import lancedb
        import pyarrow

        vectors = corpus.vectors()
        arrays = {
            "id": pyarrow.array(range(corpus.pieces)),
            "tenant": pyarrow.array([corpus.tenant(piece) for piece in range(corpus.pieces)]),
            "level": pyarrow.array([corpus.level(piece) for piece in range(corpus.pieces)]),
            "body": pyarrow.array(list(corpus.texts())),
            "vector": pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vectors.ravel()), DIMENSIONS),
        }
        table = lancedb.connect(str(folder)).create_table("pieces", pyarrow.table(arrays))
        table.create_index(metric="cosine", vector_column_name="vector", index_type="IVF_HNSW_SQ")
        table.create_fts_index("body", use_tantivy=False, with_position=False)
        table.create_scalar_index("tenant", index_type="BITMAP")
        table.create_scalar_index("level", index_type="BITMAP")

    def start(self, folder: Path, _: Corpus) -> None:
        """Open the table."""
        import lancedb

        self._table = lancedb.connect(str(folder)).open_table("pieces")

    def answer(self, question: Question) -> Sequence[int]:
        """One half after the other: its blocking interface has no other way."""
        words = self._table.search(question.words, query_type="fts").select(["id", "_score"])
        near = self._table.search(question.vector, vector_column_name="vector").metric("cosine").nprobes(20)
        near = near.refine_factor(2).select(["id", "_distance"])
        if not self._one:
            may = f"tenant = {question.tenant} AND level <= {question.level}"
            words, near = words.where(may, prefilter=True), near.where(may, prefilter=True)
        words.limit(CANDIDATES).to_arrow()
        return near.limit(CANDIDATES).to_arrow()["id"].to_pylist()


class Usearch:
    """usearch, float16: vectors alone, and no filter, so it over-fetches."""

    def __init__(self, *, one: bool) -> None:
        self._one = one
        self._index: Any = None
        self._corpus: Corpus

    def build(self, corpus: Corpus, folder: Path) -> None:
        """Write the index."""
        from usearch.index import Index

        index = Index(ndim=DIMENSIONS, metric="cos", dtype="f16")
        index.add(np.arange(corpus.pieces), corpus.vectors())
        index.save(str(folder / "usearch.index"))

    def start(self, folder: Path, corpus: Corpus) -> None:
        """Load the index."""
        from usearch.index import Index

        self._index = Index.restore(str(folder / "usearch.index"))
        self._corpus = corpus

    def answer(self, question: Question) -> Sequence[int]:
        """The nearest ones, then those that may be read."""
        found = self._index.search(question.vector, CANDIDATES if self._one else _OVER_FETCH).keys.tolist()
        return [piece for piece in found if self._one or may_read(self._corpus, piece, question)][:CANDIDATES]


def may_read(corpus: Corpus, piece: int, question: Question) -> bool:
    """Whether who asks may read a piece."""
    return corpus.tenant(piece) == question.tenant and corpus.level(piece) <= question.level


def exact(corpus: Corpus, vectors: Vectors, question: Question, *, one: bool, best: int) -> list[int]:
    """The nearest of those that may be read, by comparing with each."""
    pieces = np.arange(corpus.pieces)
    readable = pieces if one else np.array([piece for piece in pieces if may_read(corpus, int(piece), question)])
    return readable[np.argsort(-(vectors[readable] @ question.vector), kind="stable")[:best]].tolist()
