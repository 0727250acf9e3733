"""What a vault is made of: store, parser, models, search. Imported when a vault is opened, and not before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from freehold.domain.vault import Chunk, Found, Parsed, SearchSettings, VaultQuery
from freehold.domain.vault_ports import Embedder, FileParser, PassageRanker
from freehold.vault.ingest_ports import HeldStore
from freehold.vault.store import open_store
from freehold.vault.store_model import change_model, language_of, model_of


class Searching(Protocol):
    """Searches one vault."""

    async def search(self, query: VaultQuery) -> Found:
        """Find passages."""
        ...


@runtime_checkable
class Closes(Protocol):
    """Something with an end."""

    async def close(self) -> None:
        """End it. Idempotent."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """What a vault searches with.

    Attributes:
        embedder: Makes vectors; ``None`` for words alone.
        ranker: Orders passages anew; ``None`` for none.
        notice: What its owner should know; empty where nothing is missing.
    """

    embedder: Embedder | None = None
    ranker: PassageRanker | None = None
    notice: str = ""


class Parts(Protocol):
    """Makes the parts of vaults."""

    async def store(self, path: Path, *, key: bytes, model: str, dimensions: int) -> HeldStore:
        """Open a file, which is made where there is none."""
        ...

    def model_of(self, path: Path, *, key: bytes) -> tuple[str, int] | None:
        """Of which model a file's vectors are, and their dimensions; ``None`` where there is no file. Blocks."""
        ...

    def language_of(self, path: Path, *, key: bytes) -> str:
        """Language of nearly all documents of a file; empty where there is none. Blocks."""
        ...

    def change_model(self, path: Path, *, key: bytes, model: str, dimensions: int) -> None:
        """Forget a file's vectors, so that they are made anew by another model. Blocks."""
        ...

    def models(self, *, embedder: str, reranker: str, language: str) -> Models:
        """What to search with. Nothing is started."""
        ...

    def parser(self, *, ocr: bool) -> FileParser:
        """What reads files."""
        ...

    def cut(self, parsed: Parsed) -> Sequence[Chunk]:
        """Cut what was read into pieces."""
        ...

    def search(self, store: HeldStore, models: Models, settings: SearchSettings) -> Searching:
        """What searches."""
        ...


class RealParts:
    """The parts of this installation.

    Args:
        models_folder: Where models are.
    """

    def __init__(self, models_folder: Path) -> None:
        self._models_folder = models_folder
        self._parsers: dict[bool, FileParser] = {}

    async def store(self, path: Path, *, key: bytes, model: str, dimensions: int) -> HeldStore:
        """See ``Parts``."""
        return await open_store(path, key=key, model=model, dimensions=dimensions)

    def model_of(self, path: Path, *, key: bytes) -> tuple[str, int] | None:
        """See ``Parts``."""
        return model_of(path, key)

    def language_of(self, path: Path, *, key: bytes) -> str:
        """See ``Parts``."""
        return language_of(path, key)

    def change_model(self, path: Path, *, key: bytes, model: str, dimensions: int) -> None:
        """See ``Parts``."""
        change_model(path, key, model=model, dimensions=dimensions)
