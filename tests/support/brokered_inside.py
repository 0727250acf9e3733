"""Both ends of the way out in one process: a server's clients and journal, a broker with a desk and a log, a raw visitor."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from freehold.app.broker_desk import BrokerDesk
from freehold.app.broker_places import Place
from freehold.audit.journal import Journal
from freehold.audit.log import TransparencyLog
from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Terms
from freehold.domain.egress import EgressIntent, EgressPermit
from freehold.domain.errors.base import FreeholdError
from freehold.domain.labels import Level
from freehold.domain.zones import LAN, Zone
from freehold.net.addresses import Resolver, system_resolver
from freehold.net.broker import Broker
from freehold.net.brokered.frames import (
    PROTOCOL,
    Fault,
    Hello,
    Intent,
    Kind,
    Permit,
    Send,
    error_of,
    next_frame,
    read,
    said,
)
from freehold.net.brokered.journal import BrokeredJournal
from freehold.net.brokered.listen import listening
from freehold.net.brokered.serve import Counter, LineLimits
from freehold.net.brokered.way import Way
from freehold.net.client import HttpClient, HttpReply
from freehold.net.limits import HttpLimits
from tests.support.audit import CountingIds, open_log
from tests.support.brokered import records_of
from tests.support.egress import PERMIT_KEY, RealClock, soon
from tests.support.rules import rulebook
from tests.support.scripted import Peer, Server, run, serve

PATH = "/v1/chat/completions"
SECRET = "sk-broker-keeps-this"
BODY = b'{"messages":[{"role":"user","content":"10 EUR"}]}'
USERS = frozenset({os.getuid()})


def deployment(name: str = "office", *, zone: Zone = LAN, clearance: Level = Level.INTERNAL) -> Deployment:
    """One that is cleared for little."""
    terms = Terms(clearance=clearance, kinds=frozenset(), retention_days=0, trains=False)
    return Deployment(name=name, engine=EngineKind.OPENAI, model=ModelCard(name="m"), zone=zone, terms=terms)


def place(base_url: str, *, name: str = "office", zone: Zone = LAN, secret: str = SECRET) -> Place:
    """Where that deployment is."""
    return Place(
        name=name,
        base_url=base_url,
        zone=zone,
        paths=frozenset({PATH}),
        headers=(("authorization", f"Bearer {secret}"),) if secret else (),
        secret=secret,
        connections_max=64,
        deployment=deployment(name, zone=zone),
    )


@dataclass
class Ends:
    """Both ends."""

    socket: str
    way: Way
    out: Broker
    journal: BrokeredJournal
    own: TransparencyLog
    desk: BrokerDesk
    log: TransparencyLog
    counter: Counter
    folder: Path
    visitors: list[Visitor] = field(default_factory=list["Visitor"])

    def client(self, base_url: str, *, name: str = "office", zone: Zone = LAN) -> HttpClient:
        return self.out.client(name=name, base_url=base_url, zone=zone, connections_max=64)

    def intent(self, origin: str, body: bytes = BODY, **more: Any) -> EgressIntent:
        values: dict[str, Any] = {
            "request_id": "r-1", "tenant": "default", "deployment": "office", "origin": origin, "zone": LAN,
            "label": "internal", "rules": ("zone",), "body_bytes": len(body), "body_commitment": self.own.commit(body),
        }  # fmt: skip
        return EgressIntent(**(values | more))

    async def permit(self, origin: str, body: bytes = BODY, **more: Any) -> EgressPermit:
        return await self.journal.permit(self.intent(origin, body, **more), body=body)

    async def ask(self, client: HttpClient, body: bytes = BODY, *, path: str = PATH, **more: Any) -> HttpReply:
        """One call as an engine makes it."""
        headers: Sequence[tuple[str, str]] = more.pop("headers", (("content-type", "application/json"),))
        method = more.pop("method", "POST")
        permit = await self.permit(client.origin, body, **({"deployment": client.name} | more))
        try:
            return await client.request(
                method=method, path=path, headers=headers, body=body, permit=permit, deadline_s=soon()
            )
        finally:
            self.journal.done(permit, request_id="r-1", tenant="default", outcome="test", bytes_sent=len(body))

    def theirs(self) -> list[dict[str, Any]]:
        """What the broker's log says."""
        return records_of(self.folder / "theirs")

    def ours(self) -> list[dict[str, Any]]:
        return records_of(self.folder / "ours")

    async def visitor(self) -> Visitor:
        reader, writer = await asyncio.open_unix_connection(self.socket)
        self.visitors.append(Visitor(reader, writer))
        return self.visitors[-1]


class Visitor:
    """Somebody who says to the broker whatever the test wants."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._unread = b""

    def say(self, *frames: bytes) -> None:
        self._writer.write(b"".join(frames))

    def intent(self, origin: str, body: bytes = BODY, **more: Any) -> None:
        values: dict[str, Any] = {
            "request_id": "r-2", "tenant": "default", "subject": "", "deployment": "office", "origin": origin,
            "zone": "lan", "label": "internal", "rules": (), "body_bytes": len(body),
            "body_sha256": hashlib.sha256(body).hexdigest(), "body_commitment": "c",
        }  # fmt: skip
        self.say(said(Kind.HELLO, Hello(protocol=PROTOCOL)), said(Kind.INTENT, Intent(**(values | more))), body)

    def send(self, permit: Permit, *, path: str = PATH, method: str = "POST") -> None:
        self.say(said(Kind.SEND, Send(permit=permit, method=method, path=path, headers=(), left_s=10.0)))

    async def frame(self) -> tuple[int, bytes]:
        """The next one; ``EOFError`` where the broker closed."""
        while (found := next_frame(self._unread, 0)) is None:
            piece = await asyncio.wait_for(self._reader.read(65_536), 5)
            if not piece:
                raise EOFError
            self._unread += piece
        kind, payload, end = found
        self._unread = self._unread[end:]
        return kind, payload

    async def permit(self) -> Permit:
        kind, payload = await self.frame()
        assert kind == Kind.PERMIT, payload
        return read(payload, Permit)

    async def fault(self) -> FreeholdError:
        """The fault that must come now; behind it the broker closes."""
        kind, payload = await self.frame()
        assert kind == Kind.FAULT, (kind, payload)
        try:
            await self.frame()
        except EOFError:
            return error_of(read(payload, Fault))
        raise AssertionError("the broker did not close behind its fault")

    async def close(self) -> None:
        if not self._writer.transport.is_closing():  # asyncio's cannot be aborted once it is closed
            self._writer.transport.abort()
        await asyncio.sleep(0)


@asynccontextmanager
async def ends(
    folder: Path,
    *places: Place,
    resolver: Resolver = system_resolver,
    limits: HttpLimits | None = None,
    lines: LineLimits | None = None,
) -> AsyncIterator[Ends]:
    """Both ends, which know these places; ``way.look`` has been asked once."""
    clock, key = RealClock(), secrets.token_bytes(32)
    path = f"/tmp/fhb-{secrets.token_hex(8)}.sock"
    log, own = open_log(folder / "theirs"), open_log(folder / "ours")
    inner = Broker(clock=clock, permit_key=key, limits=limits or HttpLimits(), resolver=resolver)
    counter = Counter()
    journal = Journal(log, clock, CountingIds(), key)
    desk = BrokerDesk(log=log, journal=journal, broker=inner, clock=clock, running=lambda: counter.running)
    desk.know(places, rulebook(*(each.deployment for each in places if each.deployment)), digest="sha256:test")
    way = Way(f"unix://{path}", clock=clock, limits=limits or HttpLimits())
    out = Broker(clock=clock, permit_key=PERMIT_KEY, way=way)
    made = Ends(
        path,
        way,
        out,
        BrokeredJournal(Journal(own, clock, CountingIds(), PERMIT_KEY), way),
        own,
        desk,
        log,
        counter,
        folder,
    )
    taken = lines or LineLimits(users=USERS, body_bytes=1024 * 1024)
    try:
        async with listening(path, desk, taken, counter, drain_s=0, hurried=asyncio.Event()):
            if taken.users == USERS:
                await way.look()
            yield made
    finally:
        for visitor in made.visitors:
            await visitor.close()
        await out.close()
        await inner.close()
        log.close()
        own.close()


Scenario = Callable[[Ends, Server], Awaitable[None]]


async def echo(server: Server, peer: Peer) -> None:
    while True:
        await peer.answer(await server.note(peer), headers="content-type: application/json\r\nserver: scripted\r\n")


def inside(
    folder: Path,
    scenario: Scenario,
    script: Callable[[Server, Peer], Awaitable[None]] = echo,
    *,
    loop: str = "uvloop",
    limits: HttpLimits | None = None,
    lines: LineLimits | None = None,
) -> None:
    """Run a scenario between both ends, in front of a scripted server that the broker knows as ``office``."""

    async def main() -> None:
        async with serve(script) as server, ends(folder, place(server.base_url), limits=limits, lines=lines) as made:
            await scenario(made, server)

    run(main, loop)


def untouched(server: Server) -> None:
    """Nothing was sent, and nothing connected."""
    assert server.peers == []
