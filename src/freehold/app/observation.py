"""What is told of the requests and of the process: metrics, log lines and, where the operator wants them, spans."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from freehold.app.collector import Collector, providers_of
from freehold.app.placed_engine import PlacedEngine
from freehold.app.stores import Stores
from freehold.domain.ports import Engine
from freehold.domain.priority import Priority
from freehold.domain.receipt import Receipt
from freehold.gateway.runtime import Runtime
from freehold.serving.admission import SlotAdmission
from freehold.serving.overload import Door
from freehold.telemetry import metric_table as table
from freehold.telemetry.export import SpanExporter
from freehold.telemetry.logs import Logs, log_receipt
from freehold.telemetry.metrics import Metrics
from freehold.telemetry.observe import ReceiptMetrics
from freehold.telemetry.process import set_process, watch_loop
from freehold.telemetry.workers import PUBLISH_EVERY_S, WorkerPages

_LAST_SPANS_S = 2.0


class Observation:
    """Everything that looks at finished requests, and the page that shows it.

    Args:
        stores: Whose state the page shows.
        runtime: The configuration in force.
        logs: Whose lost lines are counted; ``None`` where somebody else does the logging.
        collector: Where spans are sent; ``None`` for nowhere.
        pages: Where this process and its fellow workers leave their pages; ``None`` for a process on its own.
    """

    def __init__(
        self,
        stores: Stores,
        runtime: Runtime,
        *,
        logs: Logs | None = None,
        collector: Collector | None = None,
        pages: WorkerPages | None = None,
    ) -> None:
        self._stores = stores
        self._logs = logs
        self._pages = pages
        self._started_unix_s = stores.clock.unix_ms() // 1000
        self._metrics = Metrics(_known(runtime))
        self._counted = ReceiptMetrics(self._metrics)
        self._exporter: SpanExporter | None = None
        if collector is not None:
            self._exporter = SpanExporter(
                collector.send,
                metrics=self._metrics,
                service_name=collector.section.service_name,
                instance_id=stores.ids.new_id(),
                share=collector.section.sample_share,
            )
            self._exporter.know(providers_of(runtime.engines))

    def know(self, runtime: Runtime) -> None:
        """Take over a new configuration."""
        self._metrics.know(_known(runtime))
        if self._exporter is not None:
            self._exporter.know(providers_of(runtime.engines))

    def observe(self, receipt: Receipt) -> None:
        """Tell of one finished request: some microseconds. Never waits, never fails."""
        self._counted.observe(receipt)
        log_receipt(receipt)
        if self._exporter is not None:
            self._exporter.offer(receipt)

    def refused(self, code: str) -> None:
        """Count a request that was turned away before it had a receipt."""
        self._metrics.add(table.REFUSALS, code)
        self._metrics.add(table.ERRORS, code)

    def shadow(self, deployment: str, what: str) -> None:
        """Count what became of a shadow."""
        self._metrics.add(table.SHADOWS, deployment, what)

    def tasks(self, page: Callable[[], str]) -> list[Coroutine[Any, Any, None]]:
        """What is to run as long as the gateway does; ``page`` makes this process's page."""
        tasks: list[Coroutine[Any, Any, None]] = [watch_loop(self._metrics, self._stores.clock)]
        if self._exporter is not None:
            tasks.append(self._exporter.run())
        if self._pages is not None:
            tasks.append(_keep_published(self._pages, page))
        return tasks

    def whole(self, page: str) -> str:
        """This process's page together with those of its fellow workers."""
        return page if self._pages is None else self._pages.whole(page)

    async def close(self) -> None:
        """Send the last spans, for two seconds at most. After ``tasks`` have ended."""
        if self._exporter is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._exporter.close(), _LAST_SPANS_S)

    def page(
        self,
        *,
        engines: Mapping[str, Engine],
        admission: SlotAdmission,
        door: Door,
        active: Callable[[], int],
        learnt: tuple[int, Mapping[tuple[str, str, str], str]],
    ) -> str:
        """Everything about this process as Prometheus text."""
        metrics, stores = self._metrics, self._stores
        for name, engine in engines.items():
            state = engine.state()
            metrics.set(table.ENGINE_READY, name, value=int(state.ready))
            metrics.set(table.ENGINE_RESTARTS, name, value=state.restarts)
            if isinstance(engine, PlacedEngine) and (entry := engine.entry()) is not None:
                metrics.set(table.MODEL_LOADS, name, value=entry.loads)
                metrics.set(table.MODEL_LOAD_SECONDS, name, value=entry.load_seconds)
                metrics.set(table.MODEL_EVICTIONS, name, value=entry.evictions)
                metrics.set(table.MODEL_RESERVED_BYTES, name, value=sum(entry.held.values()))
        for name, line in admission.states().items():
            for priority in Priority:
                metrics.set(table.QUEUE_DEPTH, name, priority.name.lower(), value=line.waiting_by[priority])
        metrics.clear(table.UPSTREAM_CONNECTIONS)
        for name, (total, idle) in stores.broker.connections().items():
            if name in engines:
                metrics.set(table.UPSTREAM_CONNECTIONS, name, "idle", value=idle)
                metrics.set(table.UPSTREAM_CONNECTIONS, name, "busy", value=total - idle)
        dropped, alarms = learnt
        metrics.set(table.OUTCOMES_DROPPED, value=dropped)
        at_alarm = Counter(deployment for _, _, deployment in alarms)
        for name in engines:
            metrics.set(table.CERTIFICATE_ALARMS, name, value=at_alarm[name])
        metrics.set(table.REQUESTS_IN_FLIGHT, value=active())
        metrics.set(table.OVERLOAD_LEVEL, value=int(door.level))
        metrics.set(table.AUDIT_HEALTHY, value=int(stores.audit.healthy))
        if stores.way is not None:
            metrics.set(table.EGRESS_BROKER_HEALTHY, value=int(not stores.way.told()))
        metrics.set(table.AUDIT_ENTRIES, value=stores.audit.size)
        metrics.set(table.AUDIT_UNSYNCED, value=stores.audit.unsynced)
        metrics.set(table.STORAGE_HEALTHY, value=int(not (stores.database.failure or stores.receipts.failure)))
        metrics.set(table.STORAGE_QUEUE_DEPTH, value=stores.database.waiting)
        metrics.set(table.RECEIPTS_UNINDEXED, value=stores.receipts.waiting)
        metrics.set(table.LOG_LINES_DROPPED, value=0 if self._logs is None else self._logs.dropped)
        set_process(metrics, started_unix_s=self._started_unix_s)
        return metrics.render()


async def _keep_published(pages: WorkerPages, page: Callable[[], str]) -> None:
    while True:
        pages.publish(page())
        await asyncio.sleep(PUBLISH_EVERY_S)


def _known(runtime: Runtime) -> dict[str, tuple[str, ...]]:
    """Label values that metrics may carry: names of the configuration, never what a client sends."""
    return {
        "route": (*runtime.routes, *runtime.engines),
        "deployment": tuple(runtime.engines),
        "zone": tuple(runtime.tree.zones),
    }
