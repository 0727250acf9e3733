"""Vaults of one data folder: opened when they are first used, by the gateway and by commands beside it alike."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from freehold.app.kept_key import kept_key
from freehold.app.vault_book import VaultBook
from freehold.app.vault_parts import Closes, Models, Parts, Searching
from freehold.config.compile_vault import VaultPlan
from freehold.domain.errors.vault import VaultError, VaultUnknown, VaultUnwritable
from freehold.domain.ports import Clock
from freehold.domain.vault import ANYTHING, Document, Filters, Found, Reader, Readers, SearchSettings, VaultQuery
from freehold.domain.zones import ZoneTree
from freehold.gateway.vault_labels import VaultLabels
from freehold.gateway.vault_memory import VaultMemory
from freehold.policy.text import parse_label
from freehold.storage.folder import private_file
from freehold.storage.keys import SqliteKeys
from freehold.vault.filling import fill
from freehold.vault.ingest import Ingest, Limits
from freehold.vault.ingest_ports import FileDone, HeldStore, Place, Terms
from freehold.vault.making import derived_key, following
from freehold.vault.places import INSIDE, is_inside
from freehold.vault.settings_file import load_settings, settings_path
from freehold.vault.store_model import NO_DIMENSIONS, NO_MODEL
from freehold.vault.turn import turn

log = logging.getLogger("freehold.app")

VAULTS_FOLDER = "vaults"
VAULT_KEYS_FOLDER = "vault-keys"
_COMMIT_KEY = "commitments"
_SUFFIX, _TURN_SUFFIX = ".db", ".turn"
_PAGE = 1_000
_MOST = 0.9
"""Share of documents in one language, from which on a vault counts as being in it."""

_NOTHING: Mapping[str, int] = dict.fromkeys(("documents", "chunks", "pending", "bytes"), 0)


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
    """

    plan: VaultPlan
    store: HeldStore
    models: Models
    ingest: Ingest
    searching: Searching
    settings: SearchSettings


class Vaults:
    """Everything that may be done to vaults. Implements ``domain.vault_ports.VaultDesk``.

    A vault that was never added to has no file: it is searched like an empty one, and nothing is opened for it.

    Args:
        around: What they need of the process that they are in.
    """

    def __init__(self, around: Around) -> None:
        self._around = around
        self._opened: dict[str, Opened] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._parts: Parts | None = None
        self._closes: list[Closes] = []

    # --- who may use which -----------------------------------------------------------------------------

    def names(self, tenant: str) -> Sequence[str]:
        """Vaults that a tenant may use."""
        return tuple(name for name, plan in self._around.plans.items() if plan.serves(tenant))

    def existing(self) -> Sequence[str]:
        """Vaults that have a file."""
        return tuple(name for name in self._around.plans if self.path_of(name).exists())

    def path_of(self, vault: str) -> Path:
        """The file of a vault."""
        return self._around.folder / VAULTS_FOLDER / f"{vault}{_SUFFIX}"

    # --- reading ---------------------------------------------------------------------------------------

    async def search(self, query: VaultQuery) -> Found:
        """See ``Vault.search``."""
        opened = await self._there(query.vault, query.reader.tenant)
        return Found(passages=()) if opened is None else await opened.searching.search(query)

    async def documents(
        self, vault: str, *, reader: Reader, filters: Filters = ANYTHING, after: str = "", limit: int = 100
    ) -> Sequence[Document]:
        """See ``VaultStore.documents``."""
        opened = await self._there(vault, reader.tenant)
        if opened is None:
            return ()
        return await opened.store.documents(reader=reader, filters=filters, after=after, limit=limit)

    async def document(self, vault: str, document_id: str, *, reader: Reader) -> Document | None:
        """See ``VaultStore.document``."""
        opened = await self._there(vault, reader.tenant)
        return None if opened is None else await opened.store.document(document_id, reader=reader)

    async def text(self, vault: str, document_id: str, *, reader: Reader) -> str | None:
        """See ``VaultStore.text``."""
        opened = await self._there(vault, reader.tenant)
        return None if opened is None else await opened.store.text(document_id, reader=reader)

    async def counts(self, vault: str, *, reader: Reader) -> Mapping[str, int]:
        """See ``VaultStore.counts``. Where nothing makes vectors, no piece waits for one."""
        opened = await self._there(vault, reader.tenant)
        if opened is None:
            return _NOTHING
        counts = await opened.store.counts(reader=reader)
        return counts if opened.models.embedder is not None else {**counts, "pending": 0}

    # --- changing --------------------------------------------------------------------------------------

    async def add(
        self, vault: str, *, path: str, source: str, name: str, tenant: str, label: str, readers: Readers, by: str
    ) -> Sequence[Document]:
        """See ``VaultDesk.add``. A file that cannot be read is a document too, whose state is ``failed``."""
        place = Place(path=Path(path), source=source, name=name)
        terms = Terms(tenant=tenant, label=label, readers=readers.names, owner=readers.owner, by=by)
        return (await self.take(vault, place, terms)).documents

    async def take(self, vault: str, place: Place, terms: Terms) -> FileDone:
        """As ``add``, with what became of the file.

        Raises:
            LabelUnreadable: The label that is said cannot be read.
            VaultError: There is no such vault for this tenant, or it takes nothing now.
        """
        opened = await self.open(vault, terms.tenant, label=terms.label)
        return await opened.ingest.take(place, terms)

    async def remove(self, vault: str, document_ids: Sequence[str], *, tenant: str, by: str) -> int:
        """See ``VaultDesk.remove``. With a file goes what was inside it."""
        opened = await self._there(vault, tenant)
        if opened is None or not document_ids:
            return 0
        found = await opened.store.held(tenant=tenant, ids=list(document_ids), limit=len(document_ids))
        wanted = {each.id: each for each in found}
        for each in found:
            wanted |= {inner.id: inner for inner in await _inside(opened.store, each)}
        return await opened.ingest.erase(list(wanted.values()), by=by)

    async def relabel(
        self, vault: str, document_id: str, *, tenant: str, label: str, readers: Readers, by: str
    ) -> Document | None:
        """See ``VaultDesk.relabel``. What was inside a file is closed with it: its messages are no less private than it."""
        opened = await self._there(vault, tenant)
        found = () if opened is None else await opened.store.held(tenant=tenant, ids=[document_id], limit=1)
        if opened is None or not found:
            return None
        if label:
            parse_label(label, self._around.tree(), param="label")
        terms = Terms(tenant=tenant, label=label, readers=readers.names, owner=readers.owner, by=by)
        for inner in await _inside(opened.store, found[0]):
            names = following(inner.readers.names, before=found[0].readers.names, now=readers.names)
            await opened.ingest.relabel(inner, replace(terms, readers=names, owner=inner.readers.owner))
        return await opened.ingest.relabel(found[0], terms)

    # --- for who keeps them ----------------------------------------------------------------------------

    async def open(self, vault: str, tenant: str, *, label: str = "") -> Opened:
        """A vault, whose file is made where there is none.

        Args:
            vault: Its name.
            tenant: Who uses it.
            label: That is to be given to documents.

        Raises:
            LabelUnreadable: ``label`` cannot be read.
            VaultError: There is no such vault for this tenant, or it cannot be opened.
        """
        plan = self._plan(vault, tenant)
        if label:
            parse_label(label, self._around.tree(), param="label")
        return await self._open(plan)

    def joined(self, *labels: str, tenant: str) -> str:
        """The label that all of some labels of a tenant's documents demand; empty ones say nothing."""
        return self._around.labels.label(tenant=tenant, said=labels, names=(), text=None)

    async def key_holder(self, vault: str, tenant: str) -> Reader:
        """Somebody who may read whatever anybody of a tenant may: for commands of who holds the data folder.

        Raises:
            VaultError: There is no such vault for this tenant, or it cannot be opened.
        """
        opened = await self._there(vault, tenant)
        return Reader(tenant=tenant) if opened is None else await opened.store.key_holder(tenant)

    async def held(
        self, vault: str, *, tenant: str, ids: Sequence[str] | None = None, under: str = ""
    ) -> list[Document]:
        """All documents of a tenant whoever may read them, by id; only some, only those of sources that begin so.

        Raises:
            VaultError: There is no such vault for this tenant, or it cannot be opened.
        """
        opened, found, after = await self._there(vault, tenant), list[Document](), ""
        while opened is not None:
            page = await opened.store.held(tenant=tenant, ids=ids, under=under, after=after, limit=_PAGE)
            found += page
            if len(page) < _PAGE:
                break
            after = page[-1].id
        return found

    async def fill(self, vault: str, *, alone: bool = True) -> AsyncIterator[int]:
        """Make the vectors that are missing; yields how many were made, after each batch.

        Args:
            vault: Its name; nothing is done for one without a file, and where no model makes vectors.
            alone: Whether to leave it to another process that does so already.

        Raises:
            VaultError: The model gives no vectors now, or the store takes nothing.
        """
        plan = self._around.plans[vault]
        if not self.path_of(vault).exists():
            return
        opened = await self._open(plan)
        if opened.models.embedder is None:
            return
        with turn(self.path_of(vault).with_suffix(_TURN_SUFFIX)) as is_ours:
            if is_ours or not alone:
                async for done in fill(opened.store, opened.models.embedder):
                    yield done

    async def close(self) -> None:
        """Close everything. Idempotent."""
        opened, self._opened = list(self._opened.values()), {}
        for each in opened:
            with contextlib.suppress(VaultError):
                await each.store.close()
        closes, self._closes = self._closes, []
        await asyncio.gather(*(each.close() for each in closes))

    def _plan(self, vault: str, tenant: str) -> VaultPlan:
        plan = self._around.plans.get(vault)
        if plan is None or not plan.serves(tenant):
            known = ", ".join(self.names(tenant)) or "none"
            raise VaultUnknown(vault=vault, tenant=tenant, known=known)
        return plan

    async def _there(self, vault: str, tenant: str) -> Opened | None:
        """A vault that has a file; ``None`` for one that was never added to."""
        plan = self._plan(vault, tenant)
        opened = self._opened.get(vault)
        if opened is not None:
            return opened
        return await self._open(plan) if await asyncio.to_thread(self.path_of(vault).exists) else None

    async def _open(self, plan: VaultPlan) -> Opened:
        async with self._opening.setdefault(plan.name, asyncio.Lock()):
            opened = self._opened.get(plan.name)
            if opened is None:
                opened = self._opened[plan.name] = await self._opened_anew(plan)
            return opened

    async def _opened_anew(self, plan: VaultPlan) -> Opened:
        parts, path = self._made(), self.path_of(plan.name)
        key = await asyncio.to_thread(self._key, plan)
        await asyncio.to_thread(_made_private, path)
        had = await asyncio.to_thread(parts.model_of, path, key=key)
        store = None if had is None else await parts.store(path, key=key, model=had[0], dimensions=had[1])
        try:
            models = self._models(plan, had, "" if store is None else _language(await store.languages()))
            model, dimensions = _size(models, had)
            if store is not None and had != (model, dimensions):
                await store.close()
                store = None
            store = store or await parts.store(path, key=key, model=model, dimensions=dimensions, is_renewed=True)
            return await asyncio.to_thread(self._assembled, plan, parts, store, models, key)
        except BaseException:
            if store is not None:
                await store.close()
            raise

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
        """The key of a vault's file. Blocks."""
        if plan.key:
            return derived_key(plan.key.encode(), "file")
        return kept_key(self._around.folder / VAULT_KEYS_FOLDER / plan.name)

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
        self._closes += [each for each in (parser, models.embedder, models.ranker) if isinstance(each, Closes)]
        settings = _settings(self.path_of(plan.name), models)
        used = models if settings.reranker else replace(models, ranker=None)
        searching = parts.search(store, used, settings)
        return Opened(plan=plan, store=store, models=models, ingest=ingest, searching=searching, settings=settings)


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


async def _inside(store: HeldStore, document: Document) -> list[Document]:
    """What was inside a document's file, at any depth."""
    below = document.source + ("." if is_inside(document.source) else INSIDE)
    around = await store.by_source(document.source.partition(INSIDE)[0], tenant=document.tenant)
    return [each for each in around if each.source.startswith(below)]


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
