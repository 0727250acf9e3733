"""Vaults in a running gateway, and in a command beside it: what they are given, what runs behind, and how they end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from freehold.app.memory import KEYS_FOLDER, key_of
from freehold.app.model_trust import TrustNow
from freehold.app.snapshot import flow_rules
from freehold.app.stores import MODELS_FOLDER, Stores
from freehold.app.tenants import tenants_of
from freehold.app.vault_folders import terms_at
from freehold.app.vault_opening import Around
from freehold.app.vault_parts import Parts, RealParts
from freehold.app.vaults import Vaults
from freehold.config.compile import Compiled
from freehold.config.compile_vault import FolderPlan, VaultPlan
from freehold.domain.errors.base import FreeholdError
from freehold.domain.labels import Label
from freehold.domain.ports import Clock
from freehold.domain.zones import ZoneTree
from freehold.gateway.remembering import PRINTS_MAX
from freehold.gateway.runtime import Runtime
from freehold.gateway.vault_labels import VaultLabels
from freehold.gateway.vault_memory import VaultMemory
from freehold.policy.flow import FlowRules
from freehold.serving.registry import ModelRegistry
from freehold.storage.database import Database
from freehold.storage.keys import SqliteKeys
from freehold.storage.memory import SqliteMemory
from freehold.vault.folder_events import SystemEvents
from freehold.vault.ingest_ports import FileDone, Outcome, Terms
from freehold.vault.walk import Take
from freehold.vault.watching import FolderEvents, Watched, Watcher

log = logging.getLogger("freehold.app")

WATCHES = "the gateway, watching"
"""Who took a file in that a watched folder had, for the audit log."""

_PRINT_BYTES = 8
_FILL_EVERY_S = 5.0
_AGAIN_AFTER_S = 60.0


class Known:
    """What holds now of tenants, rules and signatures on models: replaced where the configuration is.

    Args:
        compiled: The configuration.
        runtime: What is in force in a gateway; ``None`` for a command, for which the configuration is.
    """

    def __init__(self, compiled: Compiled, runtime: Callable[[], Runtime] | None = None) -> None:
        self._runtime = runtime
        self.know(compiled)

    def know(self, compiled: Compiled) -> None:
        """Go by another configuration from now on."""
        self._tenants = {name: tenant.label for name, tenant in tenants_of(compiled).items()}
        self._rules, self._tree = flow_rules(compiled), compiled.tree
        self.signatures = compiled.models
        self.memory_days = compiled.labels.memory_days

    def rules(self) -> FlowRules:
        """What texts and names say."""
        return (None if self._runtime is None else self._runtime().flow) or self._rules

    def tree(self) -> ZoneTree:
        """The site's zones."""
        return self._tree if self._runtime is None else self._runtime().tree

    def tenant_label(self, tenant: str) -> Label | None:
        """The label that all of a tenant's texts have."""
        return self._tenants.get(tenant)


def vaults_in(
    folder: Path,
    compiled: Compiled,
    known: Known,
    *,
    database: Database,
    clock: Clock,
    parts: Callable[[], Parts] | None = None,
) -> Vaults:
    """The vaults of a data folder. Nothing is opened.

    Args:
        folder: The data folder.
        compiled: The configuration.
        known: What holds of it now.
        database: Of the data folder.
        clock: Time.
        parts: What a vault is made of; this installation's if not given.
    """
    memory = VaultMemory(
        store=SqliteMemory(database, bytes_max=PRINTS_MAX * _PRINT_BYTES),
        key_of=lambda tenant: key_of(folder / KEYS_FOLDER, tenant),
        clock=clock,
        keep_days=lambda: known.memory_days,
    )

    def models() -> ModelRegistry:
        registry = ModelRegistry(folder / MODELS_FOLDER)
        registry.trust = TrustNow(lambda: known.signatures)
        return registry

    return Vaults(
        Around(
            folder=folder,
            plans=compiled.vaults,
            labels=VaultLabels(rules=known.rules, tenant_label=known.tenant_label, tree=known.tree),
            memory=memory,
            events=SqliteKeys(database),
            tree=known.tree,
            clock=clock,
            parts=parts or (lambda: RealParts(models, clock)),
        )
    )


class VaultHouse:
    """The vaults of a gateway process.

    Args:
        stores: What outlives a reload.
        compiled: The configuration.
        runtime: What is in force.
        keeps: Whether this is the one process that watches folders and makes vectors.
        parts: What a vault is made of; this installation's if not given.

    Attributes:
        desk: What may be done to them.
    """

    def __init__(
        self,
        stores: Stores,
        compiled: Compiled,
        runtime: Callable[[], Runtime],
        *,
        keeps: bool,
        parts: Callable[[], Parts] | None = None,
    ) -> None:
        self._known = Known(compiled, runtime)
        self._clock = stores.clock
        self._keeps = keeps
        self._plans = compiled.vaults
        self._changed = asyncio.Event()
        self._said: set[str] = set()
        folder = stores.database.path.parent
        self.desk = vaults_in(folder, compiled, self._known, database=stores.database, clock=stores.clock, parts=parts)

    def know(self, compiled: Compiled) -> None:
        """Go by another configuration from now on: its vaults and folders, and what each of them says."""
        self._known.know(compiled)
        self.desk.know(compiled.vaults)
        self._plans = compiled.vaults
        self._said.clear()
        self._changed.set()

    def tasks(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What runs behind until it is cancelled."""
        if not self._keeps:
            return (self._keep_renewed(),)
        return (self._keep_renewed(), self._keep_filled(), self._keep_watched())

    async def close(self) -> None:
        """Close all of them. Idempotent."""
        await self.desk.close()

    async def _keep_filled(self) -> None:
        """Vectors that are missing are made; a vault that is made while the gateway runs is found."""
        while True:
            for name in await asyncio.to_thread(self.desk.existing):
                try:
                    async for _ in self.desk.fill(name):
                        self._said.discard(name)
                except FreeholdError as error:
                    self._say_once(name, error)
            await asyncio.sleep(_FILL_EVERY_S)

    async def _keep_renewed(self) -> None:
        """A model that comes while the gateway runs is used, and so is what "freehold vault tune" chose."""
        while True:
            await asyncio.sleep(_FILL_EVERY_S)
            for name in await self.desk.renew():
                log.info("vault %s: it searches with other models or settings from now on", name)
                self._changed.set()

    async def _keep_watched(self) -> None:
        """Watch the folders that there are now, each vault's by what is open of it now."""
        running: dict[str, tuple[tuple[VaultPlan, int], asyncio.Task[None]]] = {}
        try:
            while True:
                self._changed.clear()
                watched = [plan for plan in self._plans.values() if any(each.watch for each in plan.folders)]
                wanted = {plan.name: (plan, self.desk.times(plan.name)) for plan in watched}
                for name in [name for name, (by, _) in running.items() if wanted.get(name) != by]:
                    await _ended(running.pop(name)[1])
                for name, by in wanted.items():
                    if name not in running:
                        running[name] = (by, asyncio.create_task(self._keep_watching(by[0])))
                await self._changed.wait()
        finally:
            await _ended(*(task for _, task in running.values()))

    async def _keep_watching(self, plan: VaultPlan) -> None:
        while True:
            try:
                async with self.desk.holding(plan.name, plan.folders[0].tenant):
                    watcher = await watcher_of(self.desk, plan, clock=self._clock, told=_tell)
                    await watcher.run()
            except FreeholdError as error:
                self._say_once(f"{plan.name}, watching", error)
            await asyncio.sleep(_AGAIN_AFTER_S)

    def _say_once(self, name: str, error: FreeholdError) -> None:
        if name not in self._said:
            self._said.add(name)
            log.warning("vault %s: %s", name, error.message)


async def _ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def watcher_of(
    vaults: Vaults,
    plan: VaultPlan,
    *,
    clock: Clock,
    told: Callable[[FileDone], None],
    events: FolderEvents | None = None,
    by: str = WATCHES,
    watched_only: bool = True,
) -> Watcher:
    """What keeps the documents of a vault's folders like their files.

    Args:
        vaults: The vaults.
        plan: Which of them; it has folders.
        clock: Time.
        told: Called with what became of each file that is not as it was.
        events: What tells what happens in them; the system if not given.
        by: Who takes files in, for the audit log.
        watched_only: Whether to leave folders out that are not to be watched.

    Raises:
        VaultError: The vault cannot be opened.
    """
    said = Terms(tenant="", by=by, tries_again=False)

    def watched(each: FolderPlan) -> Watched:
        def terms(path: Path) -> Terms:
            return terms_at(path, plan.folders, replace(said, tenant=each.tenant), joined=vaults.joined)

        take = Take(ignore=each.ignore, kinds=each.kinds)
        return Watched(path=Path(each.path), tenant=each.tenant, take=take, terms=terms)

    folders = [watched(each) for each in plan.folders if each.watch or not watched_only]
    opened = await vaults.open(plan.name, folders[0].tenant)
    return Watcher(
        folders, store=opened.store, ingest=opened.ingest, events=events or SystemEvents(), clock=clock, told=told
    )


def _tell(done: FileDone) -> None:
    """One line for the log, without a name of a file: those are private too."""
    if done.outcome is Outcome.FAILED:
        log.warning("a file of a watched folder could not be read: %s", done.reason.partition(":")[0])
    else:
        log.info("a file of a watched folder was %s", done.outcome)
