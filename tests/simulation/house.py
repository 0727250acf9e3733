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
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast
from unittest import mock

from freehold.api.http1 import protocol
from freehold.api.http1_limits import ServerLimits
from freehold.app import house as app_house
from freehold.app import server as app_server
from freehold.app.house import House
from freehold.app.listener import Listener
from freehold.app.snapshot import tenants_of
from freehold.app.stores import Stores
from freehold.audit.journal import Journal
from freehold.config.compile import Compiled, compile_config
from freehold.config.load import LoadedConfig, load
from freehold.domain.hardware import HardwareProfile
from freehold.domain.request import InferenceRequest
from freehold.identity.keys import KeyRing
from freehold.net import dial
from freehold.net.broker import Broker
from freehold.policy.lattice import bottom
from freehold.policy.text import parse_label
from tests.simulation.loop import SimLoop
from tests.simulation.pipe import SOCKET_MODULE, Pipe
from tests.simulation.stores import NoDatabase, NoPrices, SimAudit, SimClock, SimIds, SimKeys, SimReceipts, secret_of

TENANTS = ("ann", "bob", "eve")
TOTAL_S = 90
HOST = b"sim"
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
{tenants}
[deployments.home]
engine = "openai"
model = "sim-home"
zone = "device"
base_url = "http://127.0.0.1:7001/v1"
slots = {slots}
[deployments.big]
engine = "openai"
model = "sim-big"
zone = "lan"
base_url = "http://192.168.7.7:7002/v1"
clearance = "confidential"
slots = {slots}
[routes.plain]
deployments = ["home"]
signals = false
[routes.away]
deployments = ["big"]
[routes.ladder]
deployments = ["home", "big"]
uncalibrated = "escalate"
[routes.commit]
deployments = ["home", "big"]
stream = "commit"
"""
ROUTES = ("plain", "away", "ladder", "commit")


@functools.lru_cache(maxsize=32)
def compiled(*, slots: int, drain_s: int) -> tuple[LoadedConfig, Compiled]:
    """One configuration, read as it is read from a file."""
    tenants = "\n".join(f'[tenants.{name}]\nlabel = "internal"' for name in TENANTS)
    text = CONFIG.format(total_s=TOTAL_S, tenants=tenants, slots=slots, drain_s=drain_s)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "freehold.toml"
        path.write_text(text)
        loaded = load(path)
    return loaded, compile_config(loaded, environment={})


class SimHouse:
    """A gateway that runs in ``loop``.

    Attributes:
        requests: Requests that reached the pipeline, in order.
        served: The server's end of each client's connection.
    """

    def __init__(self, loop: SimLoop, *, slots: int, drain_s: int = 5) -> None:
        self.loop = loop
        chance = loop.network.chance
        self.clock = SimClock(loop)
        self.ids = SimIds(self.clock, chance("ids"))
        self.audit = SimAudit(loop, chance("audit"))
        self.receipts = SimReceipts(loop)
        self.requests: list[InferenceRequest] = []
        self.slots, self.drain_s = slots, drain_s
        self.loaded, self.compiled = compiled(slots=slots, drain_s=drain_s)
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
        stores = Stores(
            clock=cast("Any", self.clock),
            ids=cast("Any", self.ids),
            database=cast("Any", NoDatabase()),
            receipts=cast("Any", self.receipts),
            keys=self.keys,
            first_key=None,
            audit=cast("Any", self.audit),
            journal=Journal(self.audit, self.clock, self.ids, permit_key),
            broker=Broker(clock=self.clock, permit_key=permit_key),
            prices=cast("Any", NoPrices()),
            models=cast("Any", None),
        )
        machine = HardwareProfile(
            cpu_name="sim", cores=1, cpu_flags=frozenset(), memory_bytes=1 << 30, memory_free_bytes=1 << 30
        )
        self.house = House(stores=stores, compiled=self.compiled, calibrations=(), machine=machine)
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
        """The upstream clients of all engines."""
        return [engine._client for engine in self.house.engines.values()]  # type: ignore[attr-defined]

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


@contextlib.contextmanager
def no_machine() -> Generator[None]:
    """Inside, dialling goes through ``SimSocket``, and the memory is ``Memory``."""
    Memory.taken = 0.1
    with mock.patch.object(dial, "socket", SOCKET_MODULE), mock.patch.object(app_house, "MemoryMeter", Memory):
        yield
