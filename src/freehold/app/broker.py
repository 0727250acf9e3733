"""The broker's process: the one that connects beyond this device, for a server that has no network."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pwd
import secrets
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from freehold.app.broker_desk import BrokerDesk
from freehold.app.broker_places import places_of
from freehold.app.reload import Reloader
from freehold.app.rules import rulebook_of
from freehold.app.stores import AUDIT_FOLDER
from freehold.audit.journal import Journal
from freehold.audit.log import TransparencyLog
from freehold.config.compile import Compiled, compile_config
from freehold.config.load import LoadedConfig, load
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.server import SocketUnusable
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.net.broker import Broker
from freehold.net.brokered.frames import State
from freehold.net.brokered.listen import listening
from freehold.net.brokered.serve import Counter, LineLimits
from freehold.net.brokered.way import Way
from freehold.net.limits import HttpLimits
from freehold.net.origin import Origin
from freehold.policy.text import parse_label
from freehold.storage.folder import DataFolder
from freehold.telemetry.logs import LogFormat, Logs

log = logging.getLogger("freehold.app")

_CHECKPOINT_EVERY_S = 1.0
_BODY_SLACK_BYTES = 1024 * 1024
"""By how much a body may be longer than what a client sent: an engine's own members."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAnnouncement:
    """What a started broker tells its owner.

    Attributes:
        place: Its socket, ``unix:///…``.
        log: Name of its log.
        vkey: Public key of that log, for auditors.
        destinations: Everything that it may connect to, by name.
    """

    place: str
    log: str
    vkey: str
    destinations: tuple[str, ...]


def serve_broker(
    loaded: LoadedConfig, *, data_folder: Path, announce: Callable[[BrokerAnnouncement], None] | None = None
) -> int:
    """Run the broker until it is told to stop.

    Args:
        loaded: Its own copy of the configuration, which the server cannot write.
        data_folder: Where its log is kept; not the server's.
        announce: Called once it listens.

    Returns:
        Exit code: 0 after an orderly stop.

    Raises:
        FreeholdError: It cannot be started.
    """
    place = loaded.config.egress.broker
    if not place:
        raise SocketUnusable(path="", reason="[egress] broker names none")
    compiled = compile_config(loaded, environment=os.environ, as_broker=True)
    rulebook_of(compiled)
    users = user_ids(loaded.config.egress.users)
    server = loaded.config.server
    logs = Logs.start(stream=sys.stderr, log_format=LogFormat(server.log_format), level=server.log_level.upper())
    clock = SystemClock()
    try:
        with DataFolder.open(data_folder):
            audit = TransparencyLog.open(
                data_folder / AUDIT_FOLDER, origin=f"{loaded.config.audit.origin}/broker", clock=clock
            )
            try:
                limits = LineLimits(users=users, body_bytes=server.body_limit_bytes + _BODY_SLACK_BYTES)
                life = _life(loaded, compiled, audit, clock, limits, announce)
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(life)
            finally:
                audit.close()
    finally:
        logs.close()
    return 0


async def broker_state(place: str) -> State:
    """How the broker at a socket stands.

    Raises:
        EgressBrokerAway: It is not there.
        EgressDenied: It does not talk to this user.
    """
    way = Way(place, clock=SystemClock(), limits=HttpLimits())
    try:
        return await way.look()
    finally:
        await way.close()


def user_ids(users: Sequence[str]) -> frozenset[int]:
    """Ids of users, and of the one that this process runs as.

    Raises:
        SocketUnusable: There is no such user.
    """
    found = {os.getuid()}
    for user in users:
        try:
            found.add(int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid)
        except KeyError as error:
            raise SocketUnusable(
                path="[egress] broker", reason=f"[egress] users has {user!r}, who is no user"
            ) from error
    return frozenset(found)


async def _life(
    loaded: LoadedConfig,
    compiled: Compiled,
    audit: TransparencyLog,
    clock: SystemClock,
    limits: LineLimits,
    announce: Callable[[BrokerAnnouncement], None] | None,
) -> None:
    permit_key, counter, stopping = secrets.token_bytes(32), Counter(), asyncio.Event()
    broker = Broker(clock=clock, permit_key=permit_key)
    desk = BrokerDesk(
        log=audit,
        journal=Journal(audit, clock, SystemIds(clock), permit_key),
        broker=broker,
        clock=clock,
        running=lambda: counter.running,
    )
    current = [loaded]

    def reread() -> Compiled:
        current[0] = load(loaded.path, flags=loaded.flags, check_label=parse_label)
        return compile_config(current[0], environment=os.environ, as_broker=True)

    async def know(found: Compiled) -> None:
        rules = await asyncio.to_thread(rulebook_of, found)
        desk.know(places_of(current[0], found, os.environ), rules, digest=found.digest)
        log.info("configuration %s is in force at the egress broker", found.digest[:19])

    await know(compiled)
    reloader = Reloader(loaded.path, rules=compiled.rules_path, seen=loaded.seen, read=reread, replace=know)
    hurried = asyncio.Event()
    _stopped_by_signals(stopping, hurried)
    path = Origin.parse(loaded.config.egress.broker).socket_path
    try:
        async with (
            listening(path, desk, limits, counter, drain_s=loaded.config.server.drain_s, hurried=hurried),
            reloader.watching(),
            _checkpoints(audit),
        ):
            if announce is not None:
                announce(_announcement(loaded, audit, desk))
            await stopping.wait()
    finally:
        await broker.close()
        with contextlib.suppress(FreeholdError):
            await audit.checkpoint()


def _stopped_by_signals(stopping: asyncio.Event, hurried: asyncio.Event) -> None:
    """Have a signal set ``stopping``, and a second one ``hurried``."""

    def tell() -> None:
        (hurried if stopping.is_set() else stopping).set()

    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, tell)


def _announcement(loaded: LoadedConfig, audit: TransparencyLog, desk: BrokerDesk) -> BrokerAnnouncement:
    return BrokerAnnouncement(
        place=loaded.config.egress.broker,
        log=audit.origin,
        vkey=audit.vkey,
        destinations=tuple(each.name for each in desk.state().destinations),
    )


@contextlib.asynccontextmanager
async def _checkpoints(audit: TransparencyLog) -> AsyncGenerator[None]:
    """Sign the tree every second while the body runs."""

    async def keep() -> None:
        while True:
            await asyncio.sleep(_CHECKPOINT_EVERY_S)
            with contextlib.suppress(FreeholdError):
                await audit.checkpoint()

    task = asyncio.ensure_future(keep())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
