"""Serving: one event loop with uvicorn in front, in this process or in several workers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import logging
import os
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from freehold.api.http1 import FreeholdProtocol, protocol
from freehold.api.http1_limits import ServerLimits
from freehold.api.server import Lifespan
from freehold.app.collector import Collector
from freehold.app.house import House
from freehold.app.known import known_from
from freehold.app.listener import LAST_WORDS_S, Listener
from freehold.app.reload import Reloader, own_files
from freehold.app.rules import rulebook_of
from freehold.app.snapshot import tenants_of
from freehold.app.stores import Stores, open_stores, prepare
from freehold.app.witnesses import witnessing
from freehold.app.workers import Workers
from freehold.config.compile import Compiled, compile_config
from freehold.config.load import LoadedConfig, load
from freehold.config.schema import Server
from freehold.domain.errors.server import BindRefused, PortInUse
from freehold.hostinfo.heap import share_one_heap
from freehold.hostinfo.probe import probe
from freehold.identity.first_key import FirstKey
from freehold.net.listen import Reservation, handed_sockets
from freehold.policy.text import parse_label
from freehold.telemetry.logs import LogFormat, Logs

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
WORKERS_MAX = 64
_KEEP_ALIVE_S = 75
_COLLECT_AFTER_OBJECTS = 50_000
_BACKLOG = 4096
_CONNECTIONS_MAX = 10_000
_OWN_DESCRIPTORS = 512
_READ_AT_START = ("server", "audit", "egress", "calibration", "telemetry", "files", "batches", "learning")

log = logging.getLogger("freehold.app")


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What a started server tells its owner.

    Attributes:
        url: Where it listens.
        key_path: File of the first key; ``None`` where its owner keeps it elsewhere.
        is_new_key: Whether this start made it.
        routes: Names that clients may ask for.
    """

    url: str
    key_path: Path | None
    is_new_key: bool
    routes: tuple[str, ...]


def serve(
    loaded: LoadedConfig,
    *,
    data_folder: Path,
    announce: Callable[[Announcement], None] | None = None,
    insecure_bind: bool = False,
) -> int:
    """Run the gateway until it is told to stop.

    Args:
        loaded: The configuration.
        data_folder: Where everything is kept; made with mode 0700.
        announce: Called once the server listens.
        insecure_bind: Allow a non-loopback address without TLS, for something in front that does it.

    Returns:
        Exit code: 0 after an orderly stop.

    Raises:
        FreeholdError: It cannot be started; nothing is left running.
    """
    share_one_heap()
    server = loaded.config.server
    check_bind(server, insecure_bind=insecure_bind)
    compiled = compile_config(loaded, environment=os.environ)
    rulebook_of(compiled)  # before anything is opened: without rules that hold nothing is decided
    handed = handed_sockets(os.environ, pid=os.getpid())
    for each in handed:
        check_bind(server.model_copy(update={"host": each.getsockname()[0]}), insecure_bind=insecure_bind)
    workers = server.workers or min(probe().cores, WORKERS_MAX)
    logs = Logs.start(stream=sys.stderr, log_format=LogFormat(server.log_format), level=server.log_level.upper())
    try:
        if workers > 1:
            return _run_workers(loaded, compiled, data_folder, workers, announce, handed)
        with open_stores(
            data_folder,
            origin=loaded.config.audit.origin,
            tree=compiled.tree,
            tenants=tenants_of(compiled),
            seal_bodies=loaded.config.audit.bodies == "sealed",
            broker=compiled.broker,
        ) as stores:
            house = House(
                stores=stores,
                compiled=compiled,
                known=known_from(loaded, data_folder),
                machine=probe(),
                logs=logs,
                collector=collector_of(loaded, compiled, stores),
            )
            return _run(house, loaded, compiled, stores, announce, handed)
    finally:
        logs.close()


def check_bind(server: Server, *, insecure_bind: bool) -> None:
    """Refuse to open keys and texts to a network in clear.

    Raises:
        BindRefused: Not loopback, no TLS, and nobody said that this is meant.
    """
    if not (is_loopback(server.host) or server.tls_certificate or insecure_bind):
        raise BindRefused(host=server.host)


def is_loopback(host: str) -> bool:
    """Whether an address or name can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def collector_of(loaded: LoadedConfig, compiled: Compiled, stores: Stores) -> Collector | None:
    """The way to the operator's collector of spans, where there is one."""
    section = loaded.config.telemetry
    if not section.otlp_endpoint:
        return None
    return Collector(
        section,
        stores,
        tenant=next(iter(tenants_of(compiled))),
        environment=os.environ,
        is_brokered=bool(compiled.broker),
    )


def _run(
    house: House,
    loaded: LoadedConfig,
    compiled: Compiled,
    stores: Stores,
    announce: Callable[[Announcement], None] | None,
    handed: Sequence[Any],
) -> int:
    server = loaded.config.server

    @contextlib.asynccontextmanager
    async def life() -> AsyncGenerator[None]:
        reloader = Reloader(
            loaded.path,
            rules=compiled.rules_path,
            models=own_files(compiled),
            also=(stores.models.names.folder,),
            seen=loaded.seen,
            read=lambda: _reread(loaded),
            replace=house.replace,
        )
        async with house.run(), reloader.watching(), witnessing(loaded, stores):
            calm_collector()
            yield

    def listening(port: int) -> None:
        if announce is not None:
            announce(_announcement(server, port, stores.first_key, compiled))

    running = listener_of(house, server, stores, life=life, listening=listening)
    return run_listener(running, server, list(handed) or None)


def _run_workers(
    loaded: LoadedConfig,
    compiled: Compiled,
    data_folder: Path,
    workers: int,
    announce: Callable[[Announcement], None] | None,
    handed: Sequence[Any],
) -> int:
    server, folder = loaded.config.server, data_folder.expanduser().absolute()
    with (
        prepare(
            folder,
            origin=loaded.config.audit.origin,
            tree=compiled.tree,
            tenants=tenants_of(compiled),
            workers=workers,
        ) as prepared,
        contextlib.closing(
            Reservation.of(handed) if handed else Reservation.make(server.host, server.port)
        ) as reservation,
    ):

        def listening() -> None:
            if announce is not None:
                announce(_announcement(server, reservation.port, prepared.first_key, compiled))

        async def life() -> None:
            await Workers(
                loaded=loaded,
                folder=folder,
                lock=prepared.lock,
                workers=workers,
                port=reservation.port,
                handed=[each.fileno() for each in handed],
                reread=lambda: _loaded_again(loaded),
                listening=listening,
            ).run()

        asyncio.run(life())
    return 0


def _announcement(server: Server, port: int, key: FirstKey | None, compiled: Compiled) -> Announcement:
    scheme = "https" if server.tls_certificate else "http"
    shown = f"[{server.host}]" if ":" in server.host else server.host
    return Announcement(
        url=f"{scheme}://{shown}:{port}",
        key_path=None if key is None else key.path,
        is_new_key=key is not None and key.is_new,
        routes=(*compiled.routes, *(plan.deployment.name for plan in compiled.deployments)),
    )


def listener_of(
    house: House,
    server: Server,
    stores: Stores,
    *,
    life: Lifespan,
    listening: Callable[[int], None],
    is_worker: bool = False,
) -> Listener:
    """What listens for a house.

    Args:
        house: Whose.
        server: The listening side's settings.
        stores: Of the house.
        life: What lives as long as it listens.
        listening: Called with the port.
        is_worker: Whether a parent process says when to stop.
    """
    hosts = frozenset({server.host.lower(), *_LOOPBACK_NAMES, *(name.lower() for name in server.hosts)})
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    app = house.api(hosts=hosts, body_limit_bytes=server.body_limit_bytes, lifespan=life)
    limits = ServerLimits(idle_s=_KEEP_ALIVE_S, connections=_connections_max())
    http = protocol(limits, stores.ids.new_id)
    return Listener(
        _uvicorn_config(app, server, http),
        protocol=http,
        door=house.door,
        drain_s=server.drain_s,
        listening=listening,
        is_worker=is_worker,
    )


def run_listener(running: Listener, server: Server, sockets: list[Any] | None = None) -> int:
    """Listen until told to stop; the exit code.

    Args:
        running: Of ``listener_of``.
        server: Its settings, for messages.
        sockets: Bound ones to listen on; where it says itself if not given.

    Raises:
        PortInUse: The port is taken.
    """
    try:
        running.run(sockets)
    except SystemExit as stop:
        if not running.started:
            raise PortInUse(host=server.host, port=server.port) from stop
        return int(stop.code or 0)
    return 0


def calm_collector() -> None:
    """Let the cycle collector look at what is new only, and seldom.

    By default it walks everything that is alive each time some hundred objects more have been made than freed: a
    quarter of a request's time here. Requests leave no cycles behind; what errors leave is still collected.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_OBJECTS, 20, 100)


def _reread(loaded: LoadedConfig) -> Compiled:
    return compile_config(_loaded_again(loaded), environment=os.environ)


def _loaded_again(loaded: LoadedConfig) -> LoadedConfig:
    again = load(loaded.path, flags=loaded.flags, check_label=parse_label)
    for section in _READ_AT_START:
        if getattr(again.config, section) != getattr(loaded.config, section):
            log.warning("[%s] has changed; that takes effect at the next start", section)
    return again


def _is_news(record: logging.LogRecord) -> bool:
    """A stream that breaks is ended without its last piece on purpose, and its receipt has said so."""
    return "without completing response" not in str(record.msg)  # uvicorn also logs errors as they are


def _connections_max() -> int:
    """How many clients at once: each may need a descriptor to an upstream as well, and stores and engines some."""
    if sys.platform == "win32":
        return _CONNECTIONS_MAX
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _CONNECTIONS_MAX + _OWN_DESCRIPTORS
    if soft < wanted:  # what the hard limit allows is there to be used; shells start with 1,024
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(_CONNECTIONS_MAX, (soft - _OWN_DESCRIPTORS) // 2))


def _uvicorn_config(app: Any, server: Server, http: type[FreeholdProtocol]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=server.host,
        port=server.port,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=http,
        interface="asgi3",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=LAST_WORDS_S,
        ssl_certfile=server.tls_certificate or None,
        ssl_keyfile=server.tls_key or None,
    )
