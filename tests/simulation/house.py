"""The unchanged gateway on a simulated machine: server protocol, API, pipeline, engines, upstream client, admission.

Only what touches the world is replaced: the loop, the module ``socket`` where connections are dialled, the clock, the
ids, and the stores behind their ports.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import tempfile
from collections.abc import Callable, Generator
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast
from unittest import mock

from freehold.api.http1 import protocol
from freehold.api.http1_limits import ServerLimits
from freehold.app import house as app_house
from freehold.app import server as app_server
from freehold.app.house import House
from freehold.app.known import Known
from freehold.app.listener import Listener
from freehold.app.scanning import Detection
from freehold.app.snapshot import tenants_of
from freehold.app.stores import Stores
from freehold.audit.journal import Journal
from freehold.audit.subjects import SubjectKeys
from freehold.config.compile import Compiled, compile_config
from freehold.config.load import LoadedConfig, load
from freehold.domain.detect_ports import Looked
from freehold.domain.errors.detect import DetectorFailed
from freehold.domain.hardware import HardwareProfile
from freehold.domain.request import InferenceRequest
from freehold.engines.openai_compatible import _fingerprint
from freehold.gateway.scan_cache import ScanCache
from freehold.gateway.scanner import Scanner
from freehold.identity.keys import KeyRing
from freehold.ledger.book import OwnPriceBook
from freehold.net import connection, dial
from freehold.net.broker import Broker
from freehold.policy.lattice import bottom
from freehold.policy.look import look
from freehold.policy.text import parse_label
from freehold.routing.calibration import Calibration, Feature
from freehold.routing.prefix import scope_of
from freehold.serving.registry import ModelRegistry
from freehold.storage.approvals import SqliteApprovals
from tests.simulation.loop import SimLoop
from tests.simulation.pipe import SOCKET_MODULE, Pipe, arrivals
from tests.simulation.stores import (
    MemoryDatabase,
    NoBatches,
    NoLimits,
    NoPrices,
    NoUsage,
    SimAudit,
    SimClock,
    SimIds,
    SimKeys,
    SimReceipts,
    secret_of,
)
from tests.support.routing import calibration

TENANTS = ("ann", "bob", "eve")
HOST = b"sim"
SYSTEM_FINGERPRINT = "fp_sim"
"""What the upstreams say of themselves."""
HOME = ("127.0.0.1", 7001)
"""The deployment on this device."""
BIG = ("192.168.7.7", 7002)
"""The deployment on the local network: what goes there needs a permit."""

CONFIG = """
[server]
drain_s = {drain_s}
[deadlines]
total_s = {total_s}
queue_s = 20
[labels]
memory_days = 0
{tenants}
[deployments.home]
engine = "openai"
model = "sim-home"
zone = "device"
base_url = "http://127.0.0.1:7001/v1"
slots = {slots}
{big}
[routes.plain]
deployments = ["home"]
signals = false
[routes.away]
deployments = [{away}]
[routes.ladder]
deployments = [{both}]
uncalibrated = "escalate"
[routes.commit]
deployments = [{both}]
stream = "commit"
[routes.spill]
deployments = [{both}]
when_busy = ["overflow-farther", "queue"]
when_down = ["overflow-farther"]
[routes.near]
deployments = [{back}]
when_busy = ["overflow"]
when_down = ["smaller", "overflow"]
[routes.prefix]
deployments = [{both}]
stream = "prefix"
prefix_tokens = {prefix_tokens}
workload = "sim"
uncalibrated = "escalate"
[routes.doubt]
deployments = [{both}]
workload = "sim"
uncalibrated = "escalate"
samples = 2
grey_zone = 0.3
{opinion}
"""
_BIG = """
[deployments.big]
engine = "openai"
model = "sim-big"
zone = "lan"
base_url = "http://192.168.7.7:7002/v1"
clearance = "confidential"
slots = {slots}
"""
_OPINION = """
second_opinion = "big"
ask_beyond_device = true
"""
_PAUSES, _PAUSE_S, _FAILS_EACH = 7, 0.003, 13
_KNOWN_BYTES = 8 * 1024

ROUTES = ("plain", "away", "ladder", "commit", "spill", "near")
DOUBTING = ("prefix", "doubt")
"""Routes whose answers at home are calibrated."""
PREFIX_TOKENS = 3


@functools.lru_cache(maxsize=32)
def compiled(*, slots: int, drain_s: int, total_s: int, has_big: bool = True) -> tuple[LoadedConfig, Compiled]:
    """One configuration, read as it is read from a file; without the second deployment, the first takes its place."""
    big = _BIG.format(slots=slots) if has_big else ""
    away, both, back = ('"big"', '"home", "big"', '"big", "home"') if has_big else ('"home"',) * 3
    tenants = "\n".join(f'[tenants.{name}]\nlabel = "internal"' for name in TENANTS)
    text = CONFIG.format(
        total_s=total_s,
        tenants=tenants,
        slots=slots,
        drain_s=drain_s,
        big=big,
        away=away,
        both=both,
        back=back,
        prefix_tokens=PREFIX_TOKENS,
        opinion=_OPINION if has_big else "",
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "freehold.toml"
        path.write_text(text)
        loaded = load(path)
    return loaded, compile_config(loaded, environment={})


def calibrations() -> tuple[Calibration, ...]:
    """Of what the deployment at home answers on the routes that doubt it: whole, with an opinion, and by its prefix."""
    known = _fingerprint(f"http://{HOME[0]}:{HOME[1]}/v1", "sim-home", "", SYSTEM_FINGERPRINT)
    whole = calibration(
        workload="sim",
        model_digest=known.stands_for_model,
        engine=known.engine,
        engine_version=known.version,
        template_digest=known.template_sha256,
    )
    agreeing = Feature(name="agreement", mean=0.5, scale=0.25, weight=1.0)
    return (
        whole,
        replace(whole, id="with-opinion", features=(*whole.features, agreeing)),
        replace(whole, id="prefix", scope=scope_of(PREFIX_TOKENS), tokens_max=PREFIX_TOKENS),
    )


class SimHouse:
    """A gateway that runs in ``loop``.

    Attributes:
        requests: Requests that reached the pipeline, in order.
    """

    def __init__(self, loop: SimLoop, *, slots: int, drain_s: int, total_s: int) -> None:
        self.loop = loop
        chance = loop.network.chance
        self.clock = SimClock(loop)
        self.ids = SimIds(self.clock, chance("ids"))
        self.audit = SimAudit(loop, chance("audit"))
        self.receipts = SimReceipts(loop)
        self.requests: list[InferenceRequest] = []
        self.drain_s, self.total_s = drain_s, total_s
        self.loaded, self.compiled = compiled(slots=slots, drain_s=drain_s, total_s=total_s)
        tree, tenants = self.compiled.tree, tenants_of(self.compiled)
        self.keys = KeyRing(
            SimKeys(),
            tenants,
            parse_label=lambda text: parse_label(text, tree),
            bottom=bottom(tree),
            clock=self.clock,
            ids=self.ids,
        )
        self.key_ids = {
            name: self.keys.register(secret_of(name), name=name, tenant=name, scopes=["infer"]).id for name in TENANTS
        }
        permit_key = b"permits"
        self.broker = Broker(clock=self.clock, permit_key=permit_key)
        stores = self._stores(permit_key)
        machine = HardwareProfile(
            cpu_name="sim", cores=1, cpu_flags=frozenset(), memory_bytes=1 << 30, memory_free_bytes=1 << 30
        )
        self.house = House(
            stores=stores, compiled=self.compiled, known=Known(calibrations=calibrations()), machine=machine
        )
        self._watch_pipeline()
        api = self.house.api(hosts=frozenset({HOST.decode()}), body_limit_bytes=64 * 1024)
        server = self.loaded.config.server
        http = protocol(ServerLimits(idle_s=app_server._KEEP_ALIVE_S), self.ids.new_id)
        config = app_server._uvicorn_config(api, server, http)
        config.load()
        self.server = Listener(
            config, protocol=http, door=self.house.door, drain_s=server.drain_s, listening=lambda _: None
        )
        self.is_open = False

    def _stores(self, permit_key: bytes) -> Stores:
        """The stores; those that no request touches are not there."""
        database = cast("Any", MemoryDatabase())
        given: dict[str, Any] = {
            "clock": self.clock,
            "ids": self.ids,
            "database": database,
            "approvals": SqliteApprovals(database, new_id=self.ids.new_id),
            "subjects": SubjectKeys(Path("/dev/null/keys"), self.clock),
            "receipts": self.receipts,
            "keys": self.keys,
            "limits": NoLimits(),
            "usage": NoUsage(),
            "audit": self.audit,
            "journal": Journal(self.audit, self.clock, self.ids, permit_key),
            "broker": self.broker,
            "prices": OwnPriceBook(NoPrices()),
            "files": NoBatches(),
            "batches": NoBatches(),
            "batches_folder": Path("/nowhere"),
            "models": ModelRegistry(Path("/nowhere/models")),
            "cache_key": b"a key that no scope is told by",
        }
        return Stores(**dict.fromkeys((each.name for each in fields(Stores)), None) | given)

    def _watch_pipeline(self) -> None:
        """Note each request that enters; the pipeline itself is as it is."""
        pipeline = self.house._pipeline
        answer: Callable[..., Any] = pipeline.answer

        def watched(request: InferenceRequest, *rest: Any, **more: Any) -> Any:
            self.requests.append(request)
            return answer(request, *rest, **more)

        pipeline.answer = watched  # type: ignore[method-assign]

    async def start(self) -> None:
        """As ``uvicorn.Server.startup``, without a listener."""
        self.server.lifespan = self.server.config.lifespan_class(self.server.config)
        await self.server.lifespan.startup()
        self.server.servers = [cast("Any", SimpleNamespace(close=self._stop_listening, wait_closed=_nothing))]
        self.server.started = True
        self.is_open = True

    async def stop(self) -> None:
        """What a SIGTERM leads to."""
        self.server.handle_exit(signal.SIGTERM, None)
        await asyncio.sleep(0.05)
        await self.server.shutdown()

    def forget(self) -> None:
        """Keep nothing of what was asked until now."""
        self.requests.clear()

    async def reload(self, *, slots: int, has_big: bool) -> None:
        """Put another configuration in force."""
        _, changed = compiled(slots=slots, drain_s=self.drain_s, total_s=self.total_s, has_big=has_big)
        await self.house.replace(changed)

    def hurry(self) -> None:
        """A second SIGTERM."""
        self.server.handle_exit(signal.SIGTERM, None)

    def connect(self, client: asyncio.Protocol, name: str) -> Pipe | None:
        """A client's connection to the gateway; ``None`` where it does not listen any more."""
        if not self.is_open:
            return None
        protocol_class: Any = self.server.config.http_protocol_class
        protocol = protocol_class(
            config=self.server.config,
            server_state=self.server.server_state,
            app_state=self.server.lifespan.state,
            _loop=self.loop,
        )
        near, _ = self.loop.network.pair(client, protocol, name)
        return near

    @property
    def clients(self) -> list[Any]:
        """The upstream clients of all engines, also of those that a reload has retired."""
        return list(self.broker._clients)

    def _stop_listening(self) -> None:
        self.is_open = False


async def _nothing() -> None:
    return None


class Memory:
    """The machine's memory, for all gateways of this process: one runs at a time."""

    taken: ClassVar[float] = 0.1

    def share(self) -> float:
        return self.taken

    def close(self) -> None:
        pass


class Slow:
    """Looks through pieces after a pause, and at times not at all; both go by a piece's length alone (``PieceReader``)."""

    async def look(self, piece: str, *, names: bool, deadline_s: float) -> Looked:
        del names, deadline_s
        await asyncio.sleep(len(piece) % _PAUSES * _PAUSE_S)
        if len(piece) % _FAILS_EACH == 0:
            raise DetectorFailed(reason="its process ended")
        return look(piece)


class NoChild:
    """Stands for the process in which texts are looked through."""

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        pass


def detection_here(_: object, *, clock: SimClock, names: bool) -> Detection:
    """What ``app.scanning.detection`` makes, without a process."""
    del names
    scanner = Scanner(reader=Slow(), clock=clock, cache=ScanCache(bytes_max=_KNOWN_BYTES))
    return Detection(scanner=scanner, engine=cast("Any", NoChild()), no_names="there is none here")


@contextlib.contextmanager
def no_machine() -> Generator[None]:
    """Inside, dialling goes through ``SimSocket``, the memory is ``Memory``, and texts are looked through in this process."""
    Memory.taken = 0.1
    with (
        mock.patch.object(dial, "socket", SOCKET_MODULE),
        mock.patch.object(connection, "arrivals", arrivals),
        mock.patch.object(app_house, "MemoryMeter", Memory),
        mock.patch.object(app_house, "detection", detection_here),
    ):
        yield
