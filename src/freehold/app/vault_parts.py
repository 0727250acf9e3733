"""What a vault is made of: store, parser, models, search. Imported when a vault is opened, and not before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from freehold.app.vault_models import local_embedder, local_ranker
from freehold.domain.errors.vault import VaultNeedsExtra
from freehold.domain.ports import Clock
from freehold.domain.vault import Chunk, Found, Parsed, SearchSettings, VaultQuery
from freehold.domain.vault_ports import Embedder, FileParser, PassageRanker
from freehold.engines.onnx.packages import missing_packages
from freehold.engines.parser.engine import ParserEngine
from freehold.serving.registry import ModelRegistry
from freehold.vault.choice import NONE, choose_models
from freehold.vault.chunking import chunks_of
from freehold.vault.ingest_ports import HeldStore
from freehold.vault.parsing.limits import ParseLimits
from freehold.vault.search import VaultSearch
from freehold.vault.store import open_store
from freehold.vault.store_model import model_of

_PARSE_WORKER = "freehold.gateway.parse_worker"


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

    async def store(
        self, path: Path, *, key: bytes, model: str, dimensions: int, is_renewed: bool = False
    ) -> HeldStore:
        """Open a file, which is made where there is none; with ``is_renewed`` vectors of another model are forgotten."""
        ...

    def model_of(self, path: Path, *, key: bytes) -> tuple[str, int] | None:
        """Of which model a file's vectors are, and their dimensions; ``None`` where there is no file. Blocks."""
        ...

    def models(self, *, embedder: str, reranker: str, language: str) -> Models:
        """What to search with. Nothing is started."""
        ...

    def parser(self, *, ocr: bool, bytes_max: int) -> FileParser:
        """What reads files, none larger than ``bytes_max``."""
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
        models: The models of this machine, as far as they are trusted now.
        clock: Time.
        threads: Computing threads of a model.
    """

    def __init__(self, models: Callable[[], ModelRegistry], clock: Clock, *, threads: int = 1) -> None:
        self._threads = threads
        self._models = models
        self._clock = clock

    async def store(
        self, path: Path, *, key: bytes, model: str, dimensions: int, is_renewed: bool = False
    ) -> HeldStore:
        """See ``Parts``."""
        return await open_store(path, key=key, model=model, dimensions=dimensions, is_renewed=is_renewed)

    def model_of(self, path: Path, *, key: bytes) -> tuple[str, int] | None:
        """See ``Parts``."""
        return model_of(path, key)

    def models(self, *, embedder: str, reranker: str, language: str) -> Models:
        """See ``Parts``."""
        registry = self._models()
        missing = missing_packages()

        def has(name: str) -> bool:
            return not missing and registry.find(name) is not None

        choice = choose_models(
            has, folder=str(registry.folder), embedder=embedder, reranker=reranker, language=language
        )
        notice = choice.notice
        if missing and embedder != NONE:
            notice = VaultNeedsExtra(missing=", ".join(missing), extra="vault").message
        return Models(
            embedder=local_embedder(registry, choice.embedder, threads=self._threads) if choice.embedder else None,
            ranker=local_ranker(registry, choice.reranker, threads=self._threads) if choice.reranker else None,
            notice=notice,
        )

    def parser(self, *, ocr: bool, bytes_max: int) -> FileParser:
        """See ``Parts``. Its child is started with the first file."""
        limits = ParseLimits(bytes_max=bytes_max)
        if not ocr:
            limits = replace(limits, ocr_pages_max=0)
        return ParserEngine(module=_PARSE_WORKER, limits=asdict(limits), clock=self._clock)

    def cut(self, parsed: Parsed) -> Sequence[Chunk]:
        """See ``Parts``."""
        return chunks_of(parsed, title=parsed.title)

    def search(self, store: HeldStore, models: Models, settings: SearchSettings) -> Searching:
        """See ``Parts``."""
        return VaultSearch(store, embedder=models.embedder, ranker=models.ranker, settings=settings)
