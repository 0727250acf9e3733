"""The server's end: clients that connect to nothing but the broker's socket, and the permits that it gave."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from freehold.domain.egress import EgressIntent, EgressPermit
from freehold.domain.errors.audit import EgressBrokerAway
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.errors.upstream import UpstreamError
from freehold.domain.ports import Clock
from freehold.domain.zones import DEVICE, LAN, Zone
from freehold.net.addresses import kinds_of_zone
from freehold.net.brokered.answer import FramedAnswer
from freehold.net.brokered.frames import (
    PROTOCOL,
    FrameError,
    Hello,
    Intent,
    Kind,
    Permit,
    Send,
    State,
    frame,
    read,
    said,
)
from freehold.net.client import ClientParts, HttpClient, HttpReply
from freehold.net.connection import Connection, Setting
from freehold.net.dial import Dialer
from freehold.net.faults import Faults
from freehold.net.head import HeadWriter
from freehold.net.limits import HttpLimits
from freehold.net.origin import Origin
from freehold.net.permits import Gate, OpenGate
from freehold.net.pool import Pool
from freehold.net.shared import SharedWork
from freehold.net.threads import Threads
from freehold.net.tls import tls_context

log = logging.getLogger("freehold.net")

_PERMIT_S = 30.0
"""For the broker to take a body and to have its intent on disk."""

_LOOK_EVERY_S = 1.0
_LOOK_S = 5.0
_LATER_S = 5.0
"""How much later than the broker's own deadlines ours are, so that its word comes first: it knows why."""

_IDLE_S = 60.0
_HELLO = said(Kind.HELLO, Hello(protocol=PROTOCOL))
_ASK = frame(Kind.STATUS)
_NOT_YET = "it was not asked yet"
_NAME = "egress broker"
_OWN_LINE = "have a free connection"
"""What takes too long where too much is going on here; it says nothing of the broker."""


@dataclass(slots=True, kw_only=True)
class Grant:
    """The broker's permit, on the connection on which alone it is good.

    Attributes:
        permit: What the broker gave.
        connection: Kept for the call.
        answer: That brought it.
    """

    permit: Permit
    connection: Connection
    answer: FramedAnswer

    def drop(self) -> None:
        """Nothing will be sent: the broker records that."""
        self.connection.drop(self.answer)


class BrokeredClient(HttpClient):
    """Requests to one upstream by way of the broker. What it raises is what the broker's own client raised.

    Args:
        parts: As of a client that connects itself; the pool leads to the broker.
        way: Keeps the permits.
    """

    def __init__(self, parts: ClientParts, way: Way) -> None:
        super().__init__(parts)
        self._way = way
        self._calls: weakref.WeakKeyDictionary[FramedAnswer, None] = weakref.WeakKeyDictionary()

    async def grant(self, intent: EgressIntent, body: bytes) -> Grant:
        """Have the broker take the body and record what is to leave.

        Raises:
            EgressBrokerAway: It is not there, or does not answer.
            EgressDenied: It refuses.
            AuditUnwritable: Its log takes nothing.
        """
        asked = Intent(
            request_id=intent.request_id,
            tenant=intent.tenant,
            subject=intent.subject,
            deployment=intent.deployment,
            origin=intent.origin,
            zone=intent.zone,
            label=intent.label,
            rules=intent.rules,
            body_bytes=len(body),
            body_sha256=hashlib.sha256(body).hexdigest(),
            body_commitment=intent.body_commitment,
            asked=intent.asked,
        )
        connection, answer = await self._exchange(said(Kind.INTENT, asked), body, within_s=_PERMIT_S)
        try:
            permit = read(answer.take(), Permit)
        except FrameError as error:
            connection.drop(answer)
            raise self._way.away(str(error)) from error
        return Grant(permit=permit, connection=connection, answer=answer)

    async def state(self) -> State:
        """How the broker stands.

        Raises:
            EgressBrokerAway: It is not there, or does not answer.
        """
        connection, answer = await self._exchange(_ASK, b"", within_s=_LOOK_S)
        try:
            state = read(answer.take(), State)
        except FrameError as error:
            connection.drop(answer)
            raise self._way.away(str(error)) from error
        connection.release(answer)
        return state

    async def request(
        self,
        *,
        method: str,
        path: str,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        permit: EgressPermit | None,
        deadline_s: float,
    ) -> HttpReply:
        """Have the broker send what it permitted; see ``HttpClient.request``, whose errors it raises.

        Raises:
            EgressDenied: The broker gave no permit for this.
        """
        grant = None if permit is None else self._way.taken(permit.id)
        budget_s = deadline_s - self._clock.monotonic_s()
        try:
            # The broker does both again, with what it knows itself.
            self._heads.head(method, path, headers, len(body))
            self._gate.spend(permit, origin=self.origin, zone=self.zone, body=body)
        except BaseException:
            if grant is not None:
                grant.drop()
            raise
        if grant is None:
            raise EgressDenied(origin=self.origin, reason="the egress broker gave no permit for it")
        return await self._send(grant, method=method, path=path, headers=headers, budget_s=budget_s)

    async def fetch(
        self,
        intent: EgressIntent,
        *,
        method: str,
        path: str,
        headers: Sequence[tuple[str, str]],
        deadline_s: float,
    ) -> HttpReply:
        """One read, without a body: the broker's record is the only one of it.

        Args:
            intent: Whose ``asked`` says what is asked.
            method: ``GET`` or ``HEAD``.
            path: The whole path.
            headers: The range that is wanted.
            deadline_s: As of ``request``.

        Raises:
            EgressBrokerAway: The broker is not there.
            EgressDenied: It refuses.
            AuditUnwritable: Its log takes nothing.
            UpstreamError: As ``request``.
        """
        grant = await self.grant(intent, b"")
        budget_s = deadline_s - self._clock.monotonic_s()
        try:
            self._heads.head(method, path, headers, 0)
        except BaseException:
            grant.drop()
            raise
        return await self._send(grant, method=method, path=path, headers=headers, budget_s=budget_s)

    async def _send(
        self, grant: Grant, *, method: str, path: str, headers: Sequence[tuple[str, str]], budget_s: float
    ) -> HttpReply:
        if budget_s <= 0:
            grant.drop()
            raise self._faults.timeout("finish its answer", 0.0, reached="no")
        sending = Send(permit=grant.permit, method=method, path=path, headers=tuple(headers), left_s=budget_s)
        connection = grant.connection
        answer = self._begin(connection, until_s=asyncio.get_running_loop().time() + budget_s + _LATER_S, reused=False)
        self._calls[answer] = None
        try:
            connection.write(said(Kind.SEND, sending))
            while not answer.head_seen and answer.error is None:
                await answer.changed()
        except BaseException:
            connection.drop(answer)
            raise
        if not answer.head_seen and answer.error is not None:
            raise answer.error.again()
        reply = HttpReply(answer=answer, connection=connection, faults=self._faults)
        reply.status, reply.complete_by_close = answer.upstream_status, answer.upstream_by_close
        return reply

    @property
    def open_connections(self) -> int:
        """Calls that run: connections to the upstream are the broker's."""
        return sum(1 for answer in self._calls if not answer.whole and answer.error is None)

    @property
    def idle_connections(self) -> int:
        """None that are known of here."""
        return 0

    async def _exchange(self, head: bytes, body: bytes, *, within_s: float) -> tuple[Connection, FramedAnswer]:
        """One question that the broker answers itself; the connection is the caller's until it releases the answer."""
        until_s = asyncio.get_running_loop().time() + within_s
        try:
            connection = self._pool.take()
            reused = connection is not None
            if connection is None:
                connection, reused = await self._pool.get(until_s=until_s)
            answer = self._begin(connection, until_s=until_s, reused=reused)
            try:
                head = head if reused else _HELLO + head
                if len(body) <= self._slice_bytes:
                    connection.write(head + body)
                else:
                    await connection.write_slices(head, body)
                while not answer.whole and answer.error is None:
                    await answer.changed()
            except BaseException:
                connection.drop(answer)
                raise
            if answer.error is not None:
                raise answer.error.again()
        except UpstreamError as error:
            if self.is_closed or error.values.get("what") == _OWN_LINE:
                raise
            raise self._way.away(_why(error)) from error
        return connection, answer

    def _begin(self, connection: Connection, *, until_s: float, reused: bool) -> FramedAnswer:
        answer = connection.begin(head_only=False, until_s=until_s, reused=reused)
        if not isinstance(answer, FramedAnswer):
            raise TypeError("a connection to the broker reads frames")
        return answer


class Way:
    """The way out of a server that has no network: everything beyond this device goes to one broker.

    Args:
        place: Its socket, ``unix:///…``.
        clock: Time.
        limits: As of connections that lead out.

    Raises:
        BaseUrlInvalid: ``place`` is no socket.
    """

    def __init__(self, place: str, *, clock: Clock, limits: HttpLimits) -> None:
        self.place = place
        self._origin = Origin.parse(place)
        self._clock = clock
        self._limits = replace(limits, idle_s=_IDLE_S, between_pieces_s=limits.between_pieces_s + _LATER_S)
        self._threads = Threads()
        self._clients: dict[str, BrokeredClient] = {}
        self._grants: dict[str, Grant] = {}
        self._asker = BrokeredClient(self._parts(_NAME, place, DEVICE, OpenGate(), 1, ()), self)
        self._reason = _NOT_YET
        self._state: State | None = None

    @property
    def healthy(self) -> bool:
        """Whether the broker recorded what it was asked to, or could, when it was last heard of."""
        return not self._reason and self._state is not None and self._state.healthy

    def told(self) -> str:
        """Why nothing leaves now; empty where all is well."""
        if self._reason or self._state is None:
            return self._reason
        return "" if self._state.healthy else "its log cannot be written"

    def client(
        self,
        *,
        name: str,
        origin: Origin,
        zone: Zone,
        connections_max: int,
        headers: tuple[tuple[str, str], ...],
        gate: Gate,
    ) -> BrokeredClient:
        """A client of one destination; see ``Broker.client``. The broker adds what its own configuration says.

        Args:
            name: What the configuration calls it, here and at the broker.
            origin: Where it is.
            zone: Its zone.
            connections_max: Most calls at once.
            headers: Fields that requests cannot replace.
            gate: Asked before the broker is.
        """
        client = BrokeredClient(self._parts(name, origin.text, zone, gate, connections_max, headers, origin), self)
        self._clients[name] = client
        return client

    async def ask(self, intent: EgressIntent, body: bytes) -> Grant:
        """Have the broker take a body and record what is to leave.

        Raises:
            EgressDenied: It refuses, or no client leads there.
            EgressBrokerAway: It is not there.
            AuditUnwritable: Its log takes nothing.
        """
        client = self._clients.get(intent.deployment)
        if client is None:
            raise EgressDenied(origin=intent.origin, reason=f"nothing called {intent.deployment!r} leads there")
        return await client.grant(intent, body)

    def hold(self, permit_id: str, grant: Grant) -> None:
        """Keep the broker's permit for the call that has ours of that id."""
        self._grants[permit_id] = grant

    def taken(self, permit_id: str) -> Grant | None:
        """The broker's permit, once."""
        return self._grants.pop(permit_id, None)

    def away(self, reason: str) -> EgressBrokerAway:
        """Nothing leaves from now on, until the broker answers again: the error that says so."""
        self._know(reason)
        return EgressBrokerAway(place=self.place, reason=reason)

    async def look(self) -> State:
        """Ask how the broker stands.

        Raises:
            EgressBrokerAway: It is not there.
            EgressDenied: It refuses to talk to this user, or in this protocol.
        """
        try:
            self._state = await self._asker.state()
        except FreeholdError as error:
            self._know(str(error.values.get("reason") or error.message))
            raise
        self._know("")
        return self._state

    async def keep_looking(self) -> None:
        """Know how it stands, as long as this runs."""
        while True:
            with contextlib.suppress(FreeholdError):  # what it was is kept
                await self.look()
            await asyncio.sleep(_LOOK_EVERY_S)

    def _know(self, reason: str) -> None:
        """What is the matter with it from now on; told once."""
        if reason and reason != self._reason:
            log.warning("nothing leaves this device, the egress broker at %s is away: %s", self.place, reason)
        elif self._reason and not reason:
            log.info("the egress broker at %s answers", self.place)
        self._reason = reason

    async def close(self) -> None:
        """Leave: permits that were not used are void. The clients are closed by who made them. Idempotent."""
        grants, self._grants = self._grants, {}
        for grant in grants.values():
            grant.drop()
        await self._asker.close()
        self._threads.close()

    def _parts(
        self,
        name: str,
        origin: str,
        zone: Zone,
        gate: Gate,
        connections_max: int,
        headers: tuple[tuple[str, str], ...],
        heads_for: Origin | None = None,
    ) -> ClientParts:
        limits, faults, near = self._limits, Faults(name), zone in {DEVICE, LAN}
        dialer = Dialer(
            origin=self._origin,
            kinds=kinds_of_zone(DEVICE),
            place="zone 'device'",
            connect_s=limits.connect_near_s,
            stagger_s=limits.stagger_s,
            faults=faults,
            endpoints=SharedWork(tuple, threads=self._threads, keep_s=0.0),
            tls=SharedWork(partial(tls_context, None), threads=self._threads, keep_s=0.0),
        )
        first_byte_s = limits.first_byte_near_s if near else limits.first_byte_far_s + limits.connect_far_s
        setting = Setting(limits=limits, first_byte_s=first_byte_s + _LATER_S, faults=faults, answer=FramedAnswer)
        return ClientParts(
            name=name,
            origin=origin,
            zone=zone,
            clock=self._clock,
            gate=gate,
            heads=HeadWriter(heads_for or self._origin, headers),
            pool=Pool(dialer=dialer, setting=setting, connections_max=connections_max),
            faults=faults,
            write_slice_bytes=limits.write_slice_bytes,
        )


def _why(error: UpstreamError) -> str:
    reason = error.values.get("reason")
    return str(reason) if reason else f"it did not answer within {error.values.get('seconds')} s"
