"""Vault stores for tests: made documents, and what a search must find, by looking at every piece that may be read."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar
from unittest import mock

from freehold.domain.labels import Level
from freehold.domain.vault import ANYTHING, Chunk, Document, Filters, Reader, Readers, vector_bytes
from freehold.domain.vault_ports import VaultStore
from freehold.vault import store_vectors
from freehold.vault.store import open_store
from freehold.vault.words import asked_terms, kept_terms

KEY = bytes(range(32))
MODEL = "made"
DIMENSIONS = 8
EVERYBODY = Readers(level=Level.PUBLIC)
T = TypeVar("T")


def with_store(path: Path, use: Callable[[VaultStore], Awaitable[T]], *, dimensions: int = DIMENSIONS) -> T:
    """Open a store, use it, close it."""

    async def within() -> T:
        store = await open_store(path, key=KEY, model=MODEL, dimensions=dimensions)
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(within())


def with_store_by_codes(path: Path, use: Callable[[VaultStore], Awaitable[T]], *, dimensions: int = DIMENSIONS) -> T:
    """As ``with_store``, and every tenant counts as large."""
    with mock.patch.object(store_vectors, "CODES_FROM", 0):
        return with_store(path, use, dimensions=dimensions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A document with all that is kept of it."""

    document: Document
    text: str
    chunks: tuple[Chunk, ...]
    vectors: tuple[tuple[float, ...], ...]

    async def into(self, store: VaultStore, *, vectors: bool = True, sent_bytes_max: int | None = None) -> None:
        """Add it."""
        kept = [vector_bytes(vector) for vector in self.vectors] if vectors else None
        document = self.document if vectors else replace(self.document, state="pending")
        blob = self.text.encode("utf-8", "surrogatepass")
        await store.add(
            document, text=self.text, chunks=self.chunks, vectors=kept, blob=blob, sent_bytes_max=sent_bytes_max
        )


def made(
    name: str,
    *texts: str,
    tenant: str = "home",
    readers: Readers = EVERYBODY,
    vectors: Sequence[Sequence[float]] | None = None,
    **said: str,
) -> Made:
    """A document whose pieces are ``texts``; without ``vectors``, each piece's points where its words say."""
    text, chunks = "", list[Chunk]()
    for number, piece in enumerate(texts):
        start = len(text)
        text += piece
        chunks.append(Chunk(start=start, end=len(text), page=number + 1, heading=(name,), indexed=piece))
        text += "\n"
    document = Document(
        id=name,
        tenant=tenant,
        source=said.pop("source", f"upload:{name}"),
        sha256=said.pop("sha256", f"sha-of-{name}"),
        size_bytes=len(text.encode("utf-8", "surrogatepass")),
        media_type=said.pop("media_type", "text/plain"),
        title=said.pop("title", name),
        label=readers.level.word,
        readers=readers,
        added_unix_ms=1_795_000_000_000,
        chunks=len(chunks),
        **said,
    )
    given = vectors or [pointing(piece) for piece in texts]
    return Made(document=document, text=text, chunks=tuple(chunks), vectors=tuple(tuple(vector) for vector in given))


def pointing(text: str) -> tuple[float, ...]:
    """A unit vector that texts with the same words share."""
    sums = [0.1] * DIMENSIONS
    for word in text.lower().split():
        sums[sum(map(ord, word)) % DIMENSIONS] += 1.0
    length = math.sqrt(sum(value * value for value in sums))
    return tuple(value / length for value in sums)


Found = list[tuple[str, int, float]]
"""Hits: of which document, which of its pieces, and the score."""


@dataclass(slots=True)
class Shelf:
    """The documents of a store, in the order in which they were added: what searches must find is computed here."""

    held: dict[tuple[str, str], Made] = field(default_factory=dict)

    def add(self, it: Made) -> None:
        """Instead of any of its tenant's with its id, at the end."""
        self.held.pop((it.document.tenant, it.document.id), None)
        self.held[it.document.tenant, it.document.id] = it

    def relabel(self, tenant: str, name: str, readers: Readers) -> None:
        """Change who reads."""
        it = self.held[tenant, name]
        document = replace(it.document, readers=readers, label=readers.level.word)
        self.held[tenant, name] = replace(it, document=document)

    def readable(self, reader: Reader) -> list[Made]:
        """What the reader may read."""
        return [it for it in self.held.values() if reader.may_read(it.document.tenant, it.document.readers)]

    def by_words(self, asked: str, reader: Reader, *, limit: int, among: frozenset[str] | None = None) -> Found:
        """BM25 over what may be read, and over nothing else; of these, the documents in ``among``."""
        pieces = [
            (it.document.id, number, Counter(kept_terms(chunk.indexed).split()))
            for it in self.readable(reader)
            for number, chunk in enumerate(it.chunks)
        ]
        mean = max(sum(terms.total() for _, _, terms in pieces) / max(len(pieces), 1), 1.0)
        scores = [0.0] * len(pieces)
        for term in asked_terms(asked):
            having = sum(term in terms for _, _, terms in pieces)
            idf = math.log(1 + (len(pieces) - having + 0.5) / (having + 0.5))
            for at, (_, _, terms) in enumerate(pieces):
                often = terms[term]
                length = 1.2 * (1 - 0.75 + 0.75 * terms.total() / mean)
                scores[at] += idf * 2.2 * often / (often + length)
        return _best(((name, at, score) for (name, at, _), score in zip(pieces, scores, strict=True)), limit, among)

    def by_vectors(
        self, asked: Sequence[float], reader: Reader, *, limit: int, among: frozenset[str] | None = None
    ) -> Found:
        """The cosine with each piece that may be read."""
        found = [
            (it.document.id, number, 2.0 + sum(a * b for a, b in zip(asked, vector, strict=True)))
            for it in self.readable(reader)
            for number, vector in enumerate(it.vectors)
        ]
        return [(name, at, score - 2.0) for name, at, score in _best(found, limit, among)]


def _best(found: Iterable[tuple[str, int, float]], limit: int, among: frozenset[str] | None) -> Found:
    hits = [hit for hit in found if hit[2] > 0 and (among is None or hit[0] in among)]
    return sorted(hits, key=lambda hit: -hit[2])[:limit]


async def words_found(
    store: VaultStore, asked: str, reader: Reader, *, filters: Filters = ANYTHING, limit: int = 10
) -> Found:
    """What the store finds by words."""
    hits = await store.search_words(asked, reader=reader, filters=filters, limit=limit)
    return await _named(store, {hit.chunk_id: hit.score for hit in hits}, reader)


async def vectors_found(
    store: VaultStore, asked: Sequence[float], reader: Reader, *, filters: Filters = ANYTHING, limit: int = 10
) -> Found:
    """What the store finds by vectors."""
    hits = await store.search_vectors(vector_bytes(asked), reader=reader, filters=filters, limit=limit)
    return await _named(store, {hit.chunk_id: hit.score for hit in hits}, reader)


async def _named(store: VaultStore, scores: Mapping[int, float], reader: Reader) -> Found:
    passages = await store.passages(list(scores), reader=reader)
    assert len(passages) == len(scores), "a search found what may not be shown"
    return [(it.document.id, it.page - 1, scores[it.chunk_id]) for it in passages]


def same(ours: Found, theirs: Found, within: float = 1e-5) -> bool:
    """Whether hits are the same; where scores differ less than ``within``, their order may differ, and who comes last."""
    if len(ours) != len(theirs):
        return False
    close = all(abs(a[2] - b[2]) <= within for a, b in zip(ours, theirs, strict=True))
    least = min((hit[2] for hit in theirs), default=0.0) + within
    return close and all(
        {hit[:2] for hit in found if hit[2] > least} <= {hit[:2] for hit in others}
        for found, others in ((ours, theirs), (theirs, ours))
    )
