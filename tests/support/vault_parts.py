"""Vaults of tests: the real store, with a parser, a model and a search that need nothing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

from freehold.app.vault_house import Known, vaults_in
from freehold.app.vault_parts import Models, Searching
from freehold.app.vaults import Vaults
from freehold.config.compile import Compiled, compile_config
from freehold.config.load import load
from freehold.domain.errors.vault import FileUnread, VaultError
from freehold.domain.ports import Clock
from freehold.domain.vault import Chunk, Found, Parsed, SearchSettings, VaultQuery, vector_bytes
from freehold.policy.text import parse_label
from freehold.storage.database import Database
from freehold.vault.ingest_ports import HeldStore
from freehold.vault.store import open_store
from freehold.vault.store_model import model_of

DIMENSIONS = 8
MEMBER = "=== "
"""Begins a line of a text file that stands for an archive: the name of what is inside, and below it its text."""


class LinesParser:
    """Reads text files. One that begins with ``broken`` cannot be read; ``MEMBER`` lines make it an archive.

    Attributes:
        read: Names of what was read, in order.
    """

    def __init__(self) -> None:
        self.read: list[str] = []

    async def parse(self, path: str, *, name: str) -> Parsed:
        self.read.append(name)
        text = await asyncio.to_thread(lambda: Path(path).read_text(encoding="utf-8", errors="replace"))
        if text.startswith("broken"):
            raise FileUnread(name=name, reason="it is broken")
        whole, *members = text.split(MEMBER)
        inner = [each.partition("\n") for each in members]
        return Parsed(
            text=whole,
            media_type="text/plain",
            parser="lines 1",
            members=tuple(
                (title, Parsed(text=body, media_type="text/plain", parser="lines 1")) for title, _, body in inner
            ),
        )


class HashEmbedder:
    """Makes vectors of what a text's words hash to."""

    model = "hash"
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        self.made = 0
        self.fails = False

    async def passages(self, texts: Sequence[str]) -> Sequence[bytes]:
        if self.fails:
            raise VaultError
        self.made += len(texts)
        return [_vector(text) for text in texts]

    async def query(self, text: str) -> bytes:
        return _vector(text)


class WordsSearch:
    """Searches by words alone."""

    def __init__(self, store: HeldStore) -> None:
        self._store = store

    async def search(self, query: VaultQuery) -> Found:
        hits = await self._store.search_words(query.text, reader=query.reader, filters=query.filters, limit=query.limit)
        passages = await self._store.passages([hit.chunk_id for hit in hits], reader=query.reader)
        return Found(passages=tuple(passages), generation=await self._store.generation())


class FakeParts:
    """The parts of a vault of tests; the store is the real one."""

    def __init__(self, *, embeds: bool = True) -> None:
        self.lines = LinesParser()
        self.embedder = HashEmbedder() if embeds else None

    async def store(
        self, path: Path, *, key: bytes, model: str, dimensions: int, is_renewed: bool = False
    ) -> HeldStore:
        return await open_store(path, key=key, model=model, dimensions=dimensions, is_renewed=is_renewed)

    def model_of(self, path: Path, *, key: bytes) -> tuple[str, int] | None:
        return model_of(path, key)

    def models(self, *, embedder: str, reranker: str, language: str) -> Models:
        del reranker, language
        return Models(embedder=None if embedder == "none" else self.embedder)

    def parser(self, *, ocr: bool, bytes_max: int) -> LinesParser:
        del ocr, bytes_max
        return self.lines

    def cut(self, parsed: Parsed) -> Sequence[Chunk]:
        chunks, start = list[Chunk](), 0
        for piece in parsed.text.split("\n\n"):
            end = start + len(piece)
            if piece.strip():
                chunks.append(Chunk(start=start, end=end, indexed=f"{parsed.title}\n{piece}"))
            start = end + 2
        return chunks

    def search(self, store: HeldStore, models: Models, settings: SearchSettings) -> Searching:
        del models, settings
        return WordsSearch(store)


class FixedClock:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def unix_ms(self) -> int:
        return 1_800_000_000_000 + round(self.now_s * 1000)

    def monotonic_s(self) -> float:
        return self.now_s


def compiled_of(folder: Path, text: str = "") -> Compiled:
    """A configuration from its text."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "freehold.toml"
    path.write_text(text, encoding="utf-8")
    return compile_config(load(path, environment={}, check_label=parse_label), environment={})


def vaults_of(
    folder: Path, database: Database, parts: FakeParts, *, text: str = "", clock: Clock | None = None
) -> Vaults:
    """Vaults of a data folder, of tests' parts."""
    compiled = compiled_of(folder, text)
    return vaults_in(
        folder, compiled, Known(compiled), database=database, clock=clock or FixedClock(), parts=lambda: parts
    )


def _vector(text: str) -> bytes:
    values = [0.01] * DIMENSIONS
    for word in text.lower().split():
        values[hashlib.sha256(word.encode()).digest()[0] % DIMENSIONS] += 1.0
    length = sum(value * value for value in values) ** 0.5
    return vector_bytes([value / length for value in values])
