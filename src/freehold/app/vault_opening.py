"""Opening a vault: its key, its file, the models that fit it, and what is made of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from freehold.app.kept_key import kept_key
from freehold.app.vault_book import VaultBook
from freehold.app.vault_parts import Closes, Models, Parts, Searching
from freehold.config.compile_vault import VaultPlan
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.vault import VaultError, VaultKeyMissing, VaultKeyWrong, VaultUnwritable
from freehold.domain.ports import Clock
from freehold.domain.vault import SearchSettings
from freehold.domain.zones import ZoneTree
from freehold.gateway.vault_labels import VaultLabels
from freehold.gateway.vault_memory import VaultMemory
from freehold.storage.folder import private_file
from freehold.storage.keys import SqliteKeys
from freehold.vault.ingest import Ingest, Limits
from freehold.vault.ingest_ports import HeldStore
from freehold.vault.making import derived_key
from freehold.vault.settings_file import load_settings, settings_path
from freehold.vault.store_model import NO_DIMENSIONS, NO_MODEL

VAULTS_FOLDER = "vaults"
VAULT_KEYS_FOLDER = "vault-keys"
_COMMIT_KEY = "commitments"
_SUFFIX = ".db"
_MOST = 0.9
"""Share of documents in one language, from which on a vault counts as being in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What vaults need of the process that they are in.

    Attributes:
        folder: The data folder.
        plans: The vaults there are, by name.
        labels: Says how sensitive documents are.
        memory: Remembers restricted texts.
        events: Where events wait for the audit log.
        tree: The site's zones.
        clock: Time.
        parts: Makes what a vault is made of.
    """

    folder: Path
    plans: Mapping[str, VaultPlan]
    labels: VaultLabels
    memory: VaultMemory
    events: SqliteKeys
    tree: Callable[[], ZoneTree]
    clock: Clock
    parts: Callable[[], Parts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A vault that is in use.

    Attributes:
        plan: Its settings.
        store: Its file.
        models: What it searches with.
        ingest: Takes files in.
        searching: Searches it.
        settings: How.
        had: Model and dimensions of the vectors that it has; ``None`` for one that was made now.
        language: That most of its documents are in; empty where there is none.
        closes: What ends with it.
    """

    plan: VaultPlan
    store: HeldStore
    models: Models
    ingest: Ingest
    searching: Searching
    settings: SearchSettings
    had: tuple[str, int] | None
    language: str
    closes: tuple[Closes, ...]

    async def close(self) -> None:
        """Close it."""
        with contextlib.suppress(VaultError):
            await self.store.close()
        await asyncio.gather(*(each.close() for each in self.closes))


def vault_path(folder: Path, vault: str) -> Path:
    """The file of a vault of a data folder."""
    return folder / VAULTS_FOLDER / f"{vault}{_SUFFIX}"


def has_content(path: Path) -> bool:
    """Whether there is anything in a vault's file. Blocks."""
    return path.exists() and path.stat().st_size > 0


def check_key(folder: Path, plan: VaultPlan) -> None:
    """See that what opens a vault's file is there, if there is anything in that. Blocks.

    Raises:
        VaultKeyMissing: It is gone.
    """
    path, kept = vault_path(folder, plan.name), _key_path(folder, plan)
    # The file first: another process that makes both just now makes the key before there is anything in the file.
    if not plan.key and has_content(path) and not kept.exists():
        raise VaultKeyMissing(vault=plan.name, file=str(path), path=str(kept))


def _key_path(folder: Path, plan: VaultPlan) -> Path:
    return folder / VAULT_KEYS_FOLDER / plan.name


class Opening:
    """Opens vaults.

    Args:
        around: What they need of the process that they are in.
    """

    def __init__(self, around: Around) -> None:
        self._around = around
        self._parts: Parts | None = None

    def path_of(self, vault: str) -> Path:
        """The file of a vault."""
        return vault_path(self._around.folder, vault)

    async def open(self, plan: VaultPlan) -> Opened:
        """Open one, whose file is made where there is none.

        Raises:
            VaultError: It cannot be opened.
        """
        parts, path = self._made(), self.path_of(plan.name)
        key = await asyncio.to_thread(self._key, plan)
        await asyncio.to_thread(_made_private, path)
        try:
            had = await asyncio.to_thread(parts.model_of, path, key=key)
        except VaultKeyWrong as error:
            raise VaultKeyWrong(
                path=path.name, key=plan.key_named or str(_key_path(self._around.folder, plan))
            ) from error
        store = None if had is None else await parts.store(path, key=key, model=had[0], dimensions=had[1])
        try:
            language = "" if store is None else _language(await store.languages())
            models = self._models(plan, had, language)
            model, dimensions = _size(models, had)
            if store is not None and had != (model, dimensions):
                await store.close()
                store = None
            store = store or await parts.store(path, key=key, model=model, dimensions=dimensions, is_renewed=True)
            assembled = await asyncio.to_thread(self._assembled, plan, parts, store, models, key)
            return replace(assembled, had=had, language=language)
        except BaseException:
            if store is not None:
                await store.close()
            raise

    def is_outdated(self, opened: Opened) -> bool:
        """Whether an open vault would search otherwise if it were opened now: with a model that it lacks, or as was chosen since.

        Blocks.
        """
        plan, models = opened.plan, opened.models
        try:
            if _settings(self.path_of(plan.name), models) != opened.settings:
                return True
            if models.embedder is not None and models.ranker is not None:
                return False
            now = self._models(plan, opened.had, opened.language)
        except FreeholdError:  # what cannot be used is no reason to stop using what can
            return False
        return _is_new(models.embedder, now.embedder) or _is_new(models.ranker, now.ranker)

    def _models(self, plan: VaultPlan, had: tuple[str, int] | None, language: str) -> Models:
        """What a vault searches with: the model that made its vectors as long as that is here and nobody wants another."""
        parts, kept = self._made(), "" if had is None else had[0]
        if plan.embedder != "auto" or not kept:
            return parts.models(embedder=plan.embedder, reranker=plan.reranker, language=language)
        try:
            return parts.models(embedder=kept, reranker=plan.reranker, language=language)
        except VaultError as error:
            notice = f"What made its vectors cannot be used, so that it is searched by words alone: {error.message}"
            return replace(parts.models(embedder="none", reranker=plan.reranker, language=language), notice=notice)

    def _made(self) -> Parts:
        if self._parts is None:
            self._parts = self._around.parts()
        return self._parts

    def _key(self, plan: VaultPlan) -> bytes:
        """The key of a vault's file. Blocks.

        Raises:
            VaultKeyMissing: It is gone, and the file that it opens is not.
        """
        if plan.key:
            return derived_key(plan.key.encode(), "file")
        check_key(self._around.folder, plan)
        return kept_key(_key_path(self._around.folder, plan))

    def _assembled(self, plan: VaultPlan, parts: Parts, store: HeldStore, models: Models, key: bytes) -> Opened:
        around = self._around
        book = VaultBook(
            plan.name,
            events=around.events,
            memory=around.memory,
            labels=around.labels,
            key=kept_key(around.folder / VAULT_KEYS_FOLDER / _COMMIT_KEY),
            clock=around.clock,
        )
        parser = parts.parser(ocr=plan.ocr, bytes_max=plan.file_bytes_max)
        ingest = Ingest(
            store=store,
            parser=parser,
            cut=parts.cut,
            labelling=around.labels,
            book=book,
            clock=around.clock,
            key=derived_key(key, "ids"),
            limits=Limits(
                file_bytes_max=plan.file_bytes_max,
                keep_files=plan.keep_files,
                with_vectors=models.embedder is not None,
            ),
        )
        closes = tuple(each for each in (parser, models.embedder, models.ranker) if isinstance(each, Closes))
        settings = _settings(self.path_of(plan.name), models)
        used = models if settings.reranker else replace(models, ranker=None)
        searching = parts.search(store, used, settings)
        return Opened(
            plan=plan,
            store=store,
            models=models,
            ingest=ingest,
            searching=searching,
            settings=settings,
            had=None,
            language="",
            closes=closes,
        )


def _is_new(had: object | None, now: object | None) -> bool:
    return had is None and now is not None


def _settings(vault_file: Path, models: Models) -> SearchSettings:
    """How a vault searches: as was chosen for its vectors, else as is best on others' questions. Blocks."""
    plain = SearchSettings(
        embedder="" if models.embedder is None else models.embedder.model,
        reranker="" if models.ranker is None else models.ranker.model,
    )
    kept = load_settings(settings_path(vault_file))
    if kept is None or kept.embedder != plain.embedder:
        return plain
    return replace(kept, reranker=plain.reranker if kept.reranker else "")


def _size(models: Models, had: tuple[str, int] | None) -> tuple[str, int]:
    """Model and dimensions of a vault's vectors; without a model those that it has, so that they are kept."""
    if models.embedder is not None:
        return models.embedder.model, models.embedder.dimensions
    return (NO_MODEL, NO_DIMENSIONS) if had is None else had


def _language(counts: Mapping[str, int]) -> str:
    """The language that ``_MOST`` of the documents with one are in; empty where there is none."""
    known = {language: count for language, count in counts.items() if language}
    most = max(known, key=lambda language: known[language], default="")
    return most if most and known[most] >= _MOST * sum(known.values()) else ""


def _made_private(path: Path) -> None:
    """Make a file that nobody else may read, where it is missing.

    Raises:
        VaultUnwritable: It cannot be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_file(path)
    except OSError as error:
        raise VaultUnwritable(path=path, reason=error.strerror or type(error).__name__) from error
