"""Vaults of one data folder: opened when they are first used, by the gateway and by commands beside it alike."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from freehold.app.vault_opening import Around, Opened, Opening
from freehold.app.vault_shelf import Shelf
from freehold.config.compile_vault import VaultPlan
from freehold.domain.errors.vault import VaultOfAnotherModel, VaultUnknown
from freehold.domain.vault import ANYTHING, Document, Filters, Found, Reader, Readers, VaultCounts, VaultQuery
from freehold.policy.text import parse_label
from freehold.vault.filling import fill
from freehold.vault.ingest_ports import FileDone, HeldStore, Place, Terms
from freehold.vault.making import following
from freehold.vault.places import FILE, INSIDE, is_inside
from freehold.vault.turn import turn

_TURN_SUFFIX = ".turn"
_PAGE = 1_000


class Vaults:
    """Everything that may be done to vaults. Implements ``domain.vault_ports.VaultDesk``.

    A vault that was never added to has no file: it is searched like an empty one, and nothing is opened for it.

    Args:
        around: What they need of the process that they are in.
    """

    def __init__(self, around: Around) -> None:
        self._around = around
        self._plans = dict(around.plans)
        self._opening = Opening(around)
        self._shelf = Shelf(self._opening.open)

    # --- who may use which -----------------------------------------------------------------------------

    def names(self, tenant: str) -> Sequence[str]:
        """Vaults that a tenant may use."""
        return tuple(name for name, plan in self._plans.items() if plan.serves(tenant))

    def existing(self) -> Sequence[str]:
        """Vaults that have a file."""
        return tuple(name for name in self._plans if self.path_of(name).exists())

    def path_of(self, vault: str) -> Path:
        """The file of a vault."""
        return self._opening.path_of(vault)

    # --- reading ---------------------------------------------------------------------------------------

    async def search(self, query: VaultQuery) -> Found:
        """See ``Vault.search``."""
        times = self._shelf.times(query.vault)
        try:
            return await self._searched(query)
        except VaultOfAnotherModel:  # another process has its vectors made by another one: so does this, from now on
            if times == self._shelf.times(query.vault):
                self._shelf.put_away(query.vault)
            return await self._searched(query)

    async def documents(
        self, vault: str, *, reader: Reader, filters: Filters = ANYTHING, after: str = "", limit: int = 100
    ) -> Sequence[Document]:
        """See ``VaultStore.documents``."""
        async with self._using(vault, reader.tenant) as opened:
            if opened is None:
                return ()
            return await opened.store.documents(reader=reader, filters=filters, after=after, limit=limit)

    async def document(self, vault: str, document_id: str, *, reader: Reader) -> Document | None:
        """See ``VaultStore.document``."""
        async with self._using(vault, reader.tenant) as opened:
            return None if opened is None else await opened.store.document(document_id, reader=reader)

    async def text(self, vault: str, document_id: str, *, reader: Reader) -> str | None:
        """See ``VaultStore.text``."""
        async with self._using(vault, reader.tenant) as opened:
            return None if opened is None else await opened.store.text(document_id, reader=reader)

    async def counts(self, vault: str, *, reader: Reader) -> VaultCounts:
        """See ``VaultStore.counts``. Where nothing makes vectors, no piece waits for one."""
        async with self._using(vault, reader.tenant) as opened:
            if opened is None:
                return VaultCounts()
            counts = await opened.store.counts(reader=reader)
            return counts if opened.models.embedder is not None else replace(counts, filling=0, pending=0)

    # --- changing --------------------------------------------------------------------------------------

    async def add(
        self, vault: str, *, path: str, source: str, name: str, tenant: str, label: str, readers: Readers, by: str
    ) -> Sequence[Document]:
        """See ``VaultDesk.add``. A file that cannot be read is a document too, whose state is ``failed``."""
        place = Place(path=Path(path), source=source, name=name)
        terms = Terms(
            tenant=tenant,
            label=label,
            readers=readers.names,
            owner=readers.owner,
            by=by,
            sent_bytes_max=self._plan(vault, tenant).upload_bytes_max,
        )
        return (await self.take(vault, place, terms)).documents

    async def take(self, vault: str, place: Place, terms: Terms) -> FileDone:
        """As ``add``, with what became of the file.

        Raises:
            LabelUnreadable: The label that is said cannot be read.
            VaultError: There is no such vault for this tenant, or it takes nothing now.
        """
        plan = self._said(vault, terms.tenant, terms.label)
        async with self._shelf.using(plan) as opened:
            return await opened.ingest.take(place, terms)

    async def remove(
        self, vault: str, document_ids: Sequence[str], *, tenant: str, by: str, comes_back: bool = False
    ) -> int:
        """See ``VaultDesk.remove``. With a file goes what was inside it.

        Args:
            vault: Name of the vault.
            document_ids: Which.
            tenant: Whose.
            by: Who removes them.
            comes_back: Whether those of files come back with these, if they are found again: they are removed for
                they were not found, and not for somebody does not want them.
        """
        async with self._using(vault, tenant) as opened:
            if opened is None or not document_ids:
                return 0
            found = await opened.store.held(tenant=tenant, ids=list(document_ids), limit=len(document_ids))
            wanted = {each.id: each for each in found}
            for each in found:
                wanted |= {inner.id: inner for inner in await _inside(opened.store, each)}
            kept_away = () if comes_back else [each for each in found if each.source.startswith(FILE)]
            return await opened.ingest.erase(list(wanted.values()), by=by, kept_away=kept_away)

    async def relabel(
        self,
        vault: str,
        document_id: str,
        *,
        tenant: str,
        label: str,
        readers: Readers,
        by: str,
        by_hand: bool = True,
    ) -> Document | None:
        """See ``VaultDesk.relabel``. What was inside a file is closed with it: its messages are no less private than it."""
        async with self._using(vault, tenant) as opened:
            found = () if opened is None else await opened.store.held(tenant=tenant, ids=[document_id], limit=1)
            if opened is None or not found:
                return None
            if label:
                parse_label(label, self._around.tree(), param="label")
            terms = Terms(tenant=tenant, label=label, readers=readers.names, owner=readers.owner, by=by)
            for inner in await _inside(opened.store, found[0]):
                names = following(inner.readers.names, before=found[0].readers.names, now=readers.names)
                inside = replace(terms, readers=names, owner=inner.readers.owner)
                await opened.ingest.relabel(inner, inside, by_hand=by_hand)
            return await opened.ingest.relabel(found[0], terms, by_hand=by_hand)

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
        return await self._shelf.open(self._said(vault, tenant, label))

    @contextlib.asynccontextmanager
    async def holding(self, vault: str, tenant: str) -> AsyncGenerator[None]:
        """Have a vault open while the body runs, whatever is known of it meanwhile; errors as ``open``."""
        async with self._shelf.using(self._plan(vault, tenant)):
            yield

    def joined(self, *labels: str, tenant: str) -> str:
        """The label that all of some labels of a tenant's documents demand; empty ones say nothing."""
        return self._around.labels.label(tenant=tenant, said=labels, names=(), text=None)

    async def key_holder(self, vault: str, tenant: str) -> Reader:
        """Somebody who may read whatever anybody of a tenant may: for commands of who holds the data folder.

        Raises:
            VaultError: There is no such vault for this tenant, or it cannot be opened.
        """
        async with self._using(vault, tenant) as opened:
            return Reader(tenant=tenant) if opened is None else await opened.store.key_holder(tenant)

    async def held(
        self, vault: str, *, tenant: str, ids: Sequence[str] | None = None, under: str = ""
    ) -> list[Document]:
        """All documents of a tenant whoever may read them, by id; only some, only those of sources that begin so.

        Raises:
            VaultError: There is no such vault for this tenant, or it cannot be opened.
        """
        found, after = list[Document](), ""
        async with self._using(vault, tenant) as opened:
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
        plan = self._plans.get(vault)
        if plan is None or not self.path_of(vault).exists():
            return
        async with self._shelf.using(plan) as opened:
            if opened.models.embedder is None:
                return
            times = self._shelf.times(vault)
            with turn(self.path_of(vault).with_suffix(_TURN_SUFFIX)) as is_ours:
                if is_ours or not alone:
                    async for done in fill(opened.store, opened.models.embedder):
                        yield done
                        if self._shelf.times(vault) != times:  # it makes other vectors now
                            return

    async def close(self) -> None:
        """Close everything. Idempotent."""
        await self._shelf.close()

    # --- what holds now --------------------------------------------------------------------------------

    def know(self, plans: Mapping[str, VaultPlan]) -> None:
        """Go by other plans from now on: what is not among them is closed once nobody uses it, what has changed opened anew."""
        for name, plan in self._plans.items():  # also one that is just being opened: it is of the plan before
            if name not in plans or _kept(plans[name]) != _kept(plan):
                self._shelf.put_away(name)
        self._plans = dict(plans)

    def times(self, vault: str) -> int:
        """How often a vault was put away: what was made of it before is not to be used any more."""
        return self._shelf.times(vault)

    async def renew(self) -> Sequence[str]:
        """Have those open vaults opened anew which could search with a model that has come since, or by other settings; which."""
        renewed: list[str] = []
        for name in self._shelf.names:
            opened = self._shelf.get(name)
            if opened is not None and await asyncio.to_thread(self._opening.is_outdated, opened):
                self._shelf.put_away(name)
                renewed.append(name)
        return renewed

    def _said(self, vault: str, tenant: str, label: str) -> VaultPlan:
        """The plan of a vault that is given a label; errors as ``open``."""
        plan = self._plan(vault, tenant)
        if label:
            parse_label(label, self._around.tree(), param="label")
        return plan

    async def _searched(self, query: VaultQuery) -> Found:
        async with self._using(query.vault, query.reader.tenant) as opened:
            return Found(passages=()) if opened is None else await opened.searching.search(query)

    def _plan(self, vault: str, tenant: str) -> VaultPlan:
        plan = self._plans.get(vault)
        if plan is None or not plan.serves(tenant):
            known = ", ".join(self.names(tenant)) or "none"
            raise VaultUnknown(vault=vault, tenant=tenant, known=known)
        return plan

    @contextlib.asynccontextmanager
    async def _using(self, vault: str, tenant: str) -> AsyncGenerator[Opened | None]:
        """A vault that has a file; ``None`` for one that was never added to."""
        plan = self._plan(vault, tenant)
        if self._shelf.get(vault) is None and not await asyncio.to_thread(self.path_of(vault).exists):
            yield None
            return
        async with self._shelf.using(plan) as opened:
            yield opened


def _kept(plan: VaultPlan) -> VaultPlan:
    """What of a plan an open vault is made of."""
    return replace(plan, folders=(), tenants=frozenset(), upload_bytes_max=0)


async def _inside(store: HeldStore, document: Document) -> list[Document]:
    """What was inside a document's file, at any depth."""
    below = document.source + ("." if is_inside(document.source) else INSIDE)
    around = await store.by_source(document.source.partition(INSIDE)[0], tenant=document.tenant)
    return [each for each in around if each.source.startswith(below)]
