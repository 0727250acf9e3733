"""A running gateway: stores, engines, the snapshot in force, and what keeps them going."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Collection, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from freehold.api.approval_views import ApprovalViews
from freehold.api.key_views import KeyViews
from freehold.api.limit_views import LimitViews
from freehold.api.memory_views import MemoryViews
from freehold.api.openapi import DocumentViews
from freehold.api.queue_views import QueueViews
from freehold.api.server import Api, Lifespan
from freehold.api.views import Views
from freehold.app.batches import batch_runner, batch_views
from freehold.app.brokered import GuardedAudit
from freehold.app.classifiers import classify_views
from freehold.app.collector import Collector
from freehold.app.energy import EnergyMeter
from freehold.app.engines import build_engine
from freehold.app.fellows import Fellows
from freehold.app.key_events import record_key_events
from freehold.app.known import Known
from freehold.app.learning import Learnt
from freehold.app.memory import pseudonym_keys, remembering
from freehold.app.model_trust import trust_of
from freehold.app.model_watch import ModelWatch, changes
from freehold.app.observation import Observation
from freehold.app.outliers import leave_outliers_alone
from freehold.app.placed_engine import PlacedEngine
from freehold.app.placement import Placement
from freehold.app.releases import Released
from freehold.app.rules import rulebook_of
from freehold.app.scanning import detection
from freehold.app.snapshot import snapshot, tenants_of
from freehold.app.stores import Stores
from freehold.app.vault_house import VaultHouse
from freehold.app.vault_views import vault_views
from freehold.config.compile import Compiled, DeploymentPlan
from freehold.domain.deployment import Deployment, TokenPrice
from freehold.domain.errors.base import FreeholdError
from freehold.domain.hardware import HardwareProfile
from freehold.domain.ports import Engine
from freehold.domain.response import Usage
from freehold.engines.ejection import WINDOW_S
from freehold.gateway.load import DeviceLoad
from freehold.gateway.pipeline import Pipeline
from freehold.gateway.pricing import list_price
from freehold.gateway.runtime import Runtime, Services
from freehold.hostinfo.energy import EnergyCounters
from freehold.hostinfo.heap import keep_heap_small
from freehold.hostinfo.memory import MemoryMeter
from freehold.identity.approval_book import ApprovalBook
from freehold.identity.limit_book import LimitBook
from freehold.identity.limit_table import LimitTable
from freehold.identity.quotas import Quotas
from freehold.routing.retries import RetryBudgets
from freehold.serving.admission import SlotAdmission, own_queue
from freehold.serving.overload import Door, watch
from freehold.telemetry.logs import Logs

log = logging.getLogger("freehold.app")

_CHECKPOINT_EVERY_S = 1.0
_KEYS_EVERY_S = 2.0
_LIMITS_EVERY_S = 1.0
_RETIRE_EVERY_S = 0.25


class House:
    """Everything of one gateway process. ``run`` is its life; ``replace`` is a reload.

    Attributes:
        door: What new requests pass; told to ``stop`` it takes none.
    """

    def __init__(
        self,
        *,
        stores: Stores,
        compiled: Compiled,
        known: Known,
        machine: HardwareProfile,
        logs: Logs | None = None,
        collector: Collector | None = None,
        fellows: Fellows | None = None,
    ) -> None:
        """Build every engine; start none.

        Args:
            stores: What outlives a reload.
            compiled: The configuration.
            known: What judging knows from files.
            machine: What this machine is.
            logs: The process's logging, where it is ours.
            collector: Where spans are sent; ``None`` for nowhere.
            fellows: The way to fellow workers; ``None`` for a process on its own.

        Raises:
            ModelError: A model is not here, or its file is not what it should be.
        """
        self._stores = stores
        self._machine = machine
        self._known, self._settings = known, compiled
        stores.models.trust = trust_of(compiled.models)
        stores.prices.typed = compiled.prices
        self._plans = {plan.deployment.name: plan for plan in compiled.deployments}
        self._admission = SlotAdmission(clock=stores.clock, queue=own_queue if fellows is None else fellows.queue)
        self._placement = self._placement_of(compiled)
        built = {name: build_engine(plan, stores, machine) for name, plan in self._plans.items()}
        self._engines = self._placement.take(built, self._plans)
        self._placement.current(self._engines)
        self._watch = ModelWatch(stores.models, self._engines.values())
        self._detection = detection(stores.models, clock=stores.clock, names=compiled.detect.names != "off")
        detect = self._detection.rules(compiled.detect)
        self._runtime = snapshot(compiled, self._engines, known, self._price, detect=detect, cache_key=stores.cache_key)
        self._fellows = fellows
        self._load, pages = DeviceLoad(fellows and fellows.load), fellows and fellows.pages
        self._observation = Observation(stores, self._runtime, logs=logs, collector=collector, pages=pages)
        self._retries = RetryBudgets()
        self._quotas = Quotas(
            store=stores.limits,
            usage=stores.usage,
            table=LimitTable.private() if fellows is None else fellows.limits,
            clock=stores.clock,
            line_of=stores.keys.line_of,
        )
        self._limit_book = LimitBook(stores.limits, stores.keys, currency=compiled.ledger.currency, clock=stores.clock)
        self.door = Door()
        self._memory = remembering(stores, compiled, self._current)
        self._learnt = Learnt(
            stores,
            compiled,
            pipeline=lambda: self._pipeline,
            runtime=self._current,
            door=self.door,
            observation=self._observation,
            fellows=fellows,
            forget=self._memory.erase,
        )
        self._released = Released(stores, self._current, tidies=fellows is None or fellows.seat.worker == 0)
        self._vaults = VaultHouse(stores, compiled, self._current, keeps=fellows is None or fellows.seat.worker == 0)
        self._pipeline = Pipeline(services=self._services(), runtime=self._current, prerouting=self._learnt.prerouting)
        self._batches = batch_runner(stores, compiled, self._pipeline, self.door, self._current, fellows)
        self._api: Api | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def _placement_of(self, compiled: Compiled) -> Placement:
        return Placement(
            machine=self._machine,
            plan=compiled.memory,
            clock=self._stores.clock,
            queued=self._admission.waiting_at,
        )

    @property
    def engines(self) -> Mapping[str, Engine]:
        """The engines in force."""
        return self._engines

    def api(self, *, hosts: frozenset[str], body_limit_bytes: int, lifespan: Lifespan | None = None) -> Api:
        """The application that serves this house; ``lifespan`` is ``run`` unless more is to live with it."""
        self._api = Api(
            pipeline=self._pipeline,
            views=self._views(),
            ids=self._stores.ids,
            hosts=hosts,
            body_limit_bytes=body_limit_bytes,
            door=self.door,
            refused=self._observation.refused,
            lifespan=lifespan or self.run,
        )
        return self._api

    def _views(self) -> dict[str, object]:
        stores = self._stores
        house = Views(
            runtime=self._current,
            receipts=stores.receipts,
            audit=stores.audit,
            proofs=stores.proofs,
            metrics_text=self._metrics_text,
            started_unix_s=stores.clock.unix_ms() // 1000,
            door=self.door,
            away=None if stores.way is None else stores.way.told,
        )
        limits = LimitViews(
            book=self._limit_book,
            keys=stores.keys,
            usage=stores.usage,
            refresh=self._quotas.refresh,
            clock=stores.clock,
        )
        views: dict[str, object] = {
            "house": house,
            "keys": KeyViews(keys=stores.keys, audit=stores.audit, clock=stores.clock),
            "limits": limits,
            "approvals": ApprovalViews(
                ApprovalBook(stores.approvals, clock=stores.clock), receipts=stores.receipts, desk=self._vaults.desk
            ),
            "queue": QueueViews(runtime=self._current, seen=self._admission.waiting),
            "memory": MemoryViews(self._placement.placer, runtime=self._current, clock=stores.clock),
            "learning": self._learnt.views(),
            "classify": classify_views(stores, self._pipeline, self._current, self.door),
            **batch_views(stores, self._settings, self._current, self._batches, self._memory),
            **self._released.views(),
            **vault_views(stores, self._settings, self._current, self._vaults.desk),
        }
        return {**views, "document": DocumentViews(views)}

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """The life of the gateway: engines start in the background, everything is closed in the end."""
        self._placement.placer.open()
        self._start_all(self._engines)
        self._spawn(self._start_detector())
        self._spawn(self._keep_checkpoints())
        if self._stores.way is not None:
            self._spawn(self._stores.way.keep_looking())
        self._spawn(self._keep_keys())
        self._spawn(self._keep_limits())
        self._spawn(self._released.keep())
        self._spawn(self._keep_outliers_out())
        self._spawn(self._keep_watch())
        self._spawn(EnergyMeter(self._load, find=EnergyCounters.find, clock=self._stores.clock).run())
        self._spawn(keep_heap_small(served=lambda: self._stores.audit.size, active=self._pipeline.active))
        if self._fellows is not None:
            self._spawn(self._fellows.keep_filled(self._admission))
        for task in (
            *self._observation.tasks(self._own_metrics),
            *self._learnt.tasks(),
            *self._placement.tasks(),
            self._memory.run(),
            *self._vaults.tasks(),
        ):
            self._spawn(task)
        self._spawn(asyncio.to_thread(self._stores.prices.warm))
        try:
            await self._quotas.refresh()
            await self._learnt.begin()
            await self._memory.begin()
            if self._batches is not None:  # not before: what was left off goes on at once, and must fit into its limits
                self._spawn(self._batches.run())
            yield
        finally:
            self._admission.close()
            await self._placement.placer.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._learnt.close()
            self._memory.close()
            await self._vaults.close()
            await asyncio.gather(*(each.close() for each in (*self._engines.values(), self._detection.engine)))
            self._watch.close()
            await self._observation.close()
            await self._stores.broker.close()
            with contextlib.suppress(FreeholdError):
                await self._stores.audit.checkpoint()

    async def replace(self, compiled: Compiled) -> None:
        """Put a new configuration in force: build, start, swap, then close what is no longer used.

        Running requests keep the snapshot and the engines that they began with until they end.

        Raises:
            FreeholdError: The new one does not work; the old one stays in force.
        """
        await asyncio.to_thread(rulebook_of, compiled)  # before anything is built: what does not hold changes nothing
        plans = {plan.deployment.name: plan for plan in compiled.deployments}
        same = {name for name in self._engines if self._plans.get(name) == plans.get(name)}
        moved = same & await asyncio.to_thread(self._watch.moved, plans, self._engines)
        if plans == self._plans and compiled.digest == self._runtime.config_digest and not moved:
            return
        kept = {name: engine for name, engine in self._engines.items() if name in same - moved}
        trust, self._stores.models.trust = self._stores.models.trust, trust_of(compiled.models)
        new: dict[str, Engine] = {}
        try:
            tried = await self._build({name: plan for name, plan in plans.items() if name not in kept}, moved, new)
            await self._swap(compiled, plans, moved, {name: kept.get(name) or new[name] for name in plans})
        except BaseException:  # cancelled, too: what was built must not stay in memory, where nobody would use it
            if self._plans is not plans:
                self._stores.models.trust = trust
                self._watch.let_go(new.values())
                await asyncio.gather(*(engine.close() for engine in new.values()))
            raise
        self._start_all({name: engine for name, engine in new.items() if name not in tried})
        await asyncio.to_thread(self._watch.warn_unvouched, kept)
        log.info("configuration %s is in force", compiled.digest[:19])

    async def _build(
        self, plans: Mapping[str, DeploymentPlan], moved: Collection[str], new: dict[str, Engine]
    ) -> Collection[str]:
        """Build engines and have them hold their files; other versions of models are loaded. They are in ``new`` then.

        Returns:
            Names of those that run already.

        Raises:
            FreeholdError: One cannot be built, or does not run. In ``new`` is what has to be closed.
        """
        for name, plan in plans.items():
            new[name] = await asyncio.to_thread(build_engine, plan, self._stores, self._machine)
        new |= self._placement.take(dict(new), plans)
        self._watch.hold(new.values())
        return await self._try({name: new[name] for name in moved})

    async def _swap(
        self,
        compiled: Compiled,
        plans: dict[str, DeploymentPlan],
        moved: Collection[str],
        engines: dict[str, Engine],
    ) -> None:
        """Put engines in force with the configuration that they are of."""
        detect = self._detection.rules(compiled.detect)
        cache_key = self._stores.cache_key
        runtime = snapshot(compiled, engines, self._known, self._price, detect=detect, cache_key=cache_key)
        runtime = replace(runtime, epoch=self._runtime.epoch + 1)
        retired = [engine for name, engine in self._engines.items() if engines.get(name) is not engine]
        before, tenants = self._runtime, tenants_of(compiled)
        tenant = next(iter(tenants))
        for record in changes(before, runtime, moved, unix_ms=self._stores.clock.unix_ms(), tenant=tenant):
            self._stores.audit.append(record)
        await asyncio.to_thread(self._stores.keys.reload, tenants)
        self._plans, self._engines, self._runtime = plans, engines, runtime
        self._placement.current(engines)
        self._placement.know(compiled.memory)
        self._limit_book.currency = compiled.ledger.currency
        self._stores.prices.typed = compiled.prices
        self._admission.keep(engines)
        self._retries.keep(engines)
        self._observation.know(runtime)
        self._learnt.know(compiled)
        self._memory.keep_for(compiled.labels.memory_days)
        self._vaults.know(compiled)
        if retired:
            self._spawn(self._retire(retired, before.epoch))

    def _services(self) -> Services:
        own, way = self._stores.audit, self._stores.way
        return Services(
            clock=self._stores.clock,
            authenticator=self._stores.keys,
            admission=self._placement.admission(self._admission),
            audit=own if way is None else GuardedAudit(own, way),
            journal=self._stores.journal,
            receipts=self._stores.receipts,
            prices=self._stores.prices,
            observe=self._observation.observe,
            quotas=self._quotas,
            load=self._load,
            retries=self._retries,
            audit_log=self._stores.audit.origin,
            learn=self._learnt.learner,
            memory=self._memory,
            files=self._stores.files,
            standings=self._learnt.standings,
            releases=self._released.live,
            approvals=self._stores.approvals,
            detector=self._detection.scanner,
            vault=self._vaults.desk,
            pseudonym_key=pseudonym_keys(self._stores),
        )

    def _current(self) -> Runtime:
        return self._runtime

    def _price(self, deployment: Deployment, usage: Usage) -> TokenPrice | None:
        return list_price(self._stores.prices, deployment, usage=usage, unix_ms=self._stores.clock.unix_ms())

    def _start_all(self, engines: Mapping[str, Engine]) -> None:
        """Start those that are not loaded in turn."""
        for name, engine in engines.items():
            if not isinstance(engine, PlacedEngine):
                self._spawn(self._start(name, engine))

    async def _start(self, name: str, engine: Engine) -> None:
        try:
            await engine.start()
        except FreeholdError as error:
            log.error("%s: %s", error.code, error.message)  # noqa: TRY400 - the message is all there is to say
        else:
            log.info("%s is ready: %s", name, engine.state().detail)

    async def _start_detector(self) -> None:
        """Have it ready before the first text needs it, where any may leave."""
        detect = self._runtime.detect
        if detect is None or all(each.deployment.zone in detect.inside for each in self._engines.values()):
            return
        if not detect.names and self._settings.detect.names == "auto":
            log.warning("names are not looked for in texts that leave this device: %s; freehold doctor tells more",
                        self._detection.no_names)  # fmt: skip
        try:
            await self._detection.engine.start()
        except FreeholdError as error:
            log.error("no text can be looked through, so that none leaves: %s", error.message)  # noqa: TRY400 - the message is all there is

    async def _try(self, moved: Mapping[str, Engine]) -> Collection[str]:
        """Load other versions of models before they take over, where memory holds both; one that fails never does.

        Raises:
            FreeholdError: One does not run.
        """
        if not self._watch.has_room(moved.values()):
            return ()
        for engine in moved.values():
            if not isinstance(engine, PlacedEngine):
                await engine.start()
        await self._placement.load(moved.values())
        return moved.keys()

    async def _retire(self, engines: list[Engine], epoch: int) -> None:
        """Close engines of an old snapshot once the requests that began under it, or before, have ended."""
        while self._pipeline.active(epoch):  # noqa: ASYNC110 - a reload is rare, a request is not
            await asyncio.sleep(_RETIRE_EVERY_S)
        await asyncio.gather(*(engine.close() for engine in engines))
        self._watch.let_go(engines)

    async def _keep_checkpoints(self) -> None:
        while True:
            await asyncio.sleep(_CHECKPOINT_EVERY_S)
            with contextlib.suppress(FreeholdError):
                await self._stores.audit.checkpoint()

    async def _keep_keys(self) -> None:
        """Keys that another process made or revoked hold here within seconds, for what runs too."""
        while True:
            await asyncio.sleep(_KEYS_EVERY_S)
            try:
                await asyncio.to_thread(self._stores.keys.reload)
                self._stores.subjects.forget_erased()
                if self._fellows is None or self._fellows.seat.worker == 0:
                    await record_key_events(self._stores.keys, self._stores.audit)
            except FreeholdError as error:
                log.warning("keys could not be reloaded, or what happened to them not be recorded: %s", error.message)
            if self._api is not None:
                self._api.end_revoked(self._stores.keys.good_ids)
            if self._batches is not None:
                self._batches.end_revoked(self._stores.keys.good_ids)

    async def _keep_limits(self) -> None:
        """Limits that another process changed hold here within seconds."""
        while True:
            await asyncio.sleep(_LIMITS_EVERY_S)
            try:
                await self._quotas.refresh()
            except (FreeholdError, LookupError) as error:  # the latter: the table that workers share is full
                log.warning("limits could not be reloaded: %s", error)

    async def _keep_outliers_out(self) -> None:
        while True:
            await asyncio.sleep(WINDOW_S)
            leave_outliers_alone(self._runtime)

    async def _keep_watch(self) -> None:
        meter = MemoryMeter()
        try:
            await watch(self.door, clock=self._stores.clock, memory_share=meter.share)
        finally:
            meter.close()

    def _metrics_text(self) -> str:
        return self._observation.whole(self._own_metrics())

    def _own_metrics(self) -> str:
        return self._observation.page(
            engines=self._engines,
            admission=self._admission,
            door=self.door,
            active=self._pipeline.active,
            learnt=(self._learnt.dropped, self._learnt.alarms),
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
