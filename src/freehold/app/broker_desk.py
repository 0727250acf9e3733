"""What a broker's process decides: where to, by which rules, and that it is on disk before a byte goes."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from freehold.app.broker_places import Place
from freehold.audit.journal import Journal
from freehold.audit.log import TransparencyLog
from freehold.audit.writer import SYSTEM_TENANT
from freehold.domain.egress import EgressIntent, EgressPermit
from freehold.domain.errors.audit import AuditError, AuditUnwritable
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.policy import EgressDenied, LabelUnreadable
from freehold.domain.labels import Label
from freehold.domain.ports import Clock
from freehold.domain.receipt import AuditRecord
from freehold.engines.outward import ASKED_FIELDS
from freehold.net.broker import Broker
from freehold.net.brokered.frames import Intent, Permit, Send, Sent, State
from freehold.net.brokered.reads import HubReads
from freehold.net.brokered.serve import Answering, Leave
from freehold.net.client import HttpClient, HttpReply
from freehold.policy.decide import decide
from freehold.policy.lattice import leq
from freehold.policy.rulebook import Rulebook
from freehold.policy.text import parse_label

REFUSED = "egress.refused"
_OPERATOR = "-"
"""Tenant of what the operator asks of the machine itself; the rules know it as nobody's."""

_ERROR_STATUS = 400
_ERROR_BYTES_MAX = 64 * 1024
_SECRET_CHARACTERS_MIN = 8
_FIELD_CHARACTERS_MAX = 1_024
_LEFT_S_MAX = 86_400.0
_OF_ONE_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "upgrade", "trailer", "set-cookie"}
)
"""Fields of an answer that end here: frames say where it ends."""

_RETIRED_S = 600.0


@dataclass(slots=True, kw_only=True)
class _Open:
    """A destination with its client, and what went there."""

    place: Place
    client: HttpClient
    calls: int = 0
    body_bytes: int = 0
    answer_bytes: int = 0
    outcomes: Counter[str] = field(default_factory=Counter[str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """One body that may leave; implements ``net.brokered.serve.Leave``."""

    open: _Open
    permit: EgressPermit
    request_id: str
    tenant: str
    body: bytes
    asked: str = ""

    @property
    def token(self) -> Permit:
        """What the server must show."""
        permit = self.permit
        return Permit(id=permit.id, index=permit.audit_index, seal=permit.seal.hex())


class ErrorAnswer:
    """A refusal of an upstream's, whole, without the credential that it may quote: the server does not know it.

    Args:
        reply: The upstream's, whose head says that it refuses.
        headers: Its fields.
        body: Its text, cut at 64 KiB.
    """

    def __init__(self, reply: HttpReply, headers: Mapping[str, str], body: bytes) -> None:
        self._body = body
        self.status = reply.status
        self.headers = headers
        self.complete_by_close = False

    async def pass_on(self, out: Callable[[bytes], bool]) -> bool:
        """Hand it on."""
        if self._body:
            out(self._body)
        return True

    def abort(self) -> None:
        """Nothing is open any more."""


class BrokerDesk:
    """Implements ``net.brokered.serve.Desk``.

    It believes the server nothing but what only the server can know: whose text it is, and by which label. Where that may
    go it decides itself, by its own rules; where that is it knows from its own configuration.

    Args:
        log: The broker's own.
        journal: Over that log.
        broker: Connects.
        clock: Time.
        running: How many calls run.
    """

    def __init__(
        self, *, log: TransparencyLog, journal: Journal, broker: Broker, clock: Clock, running: Callable[[], int]
    ) -> None:
        self._log = log
        self._journal = journal
        self._broker = broker
        self._clock = clock
        self._running = running
        self._since_unix_ms = clock.unix_ms()
        self._places: dict[tuple[str, str], _Open] = {}
        self._refused: Counter[str] = Counter()
        self._retiring: set[asyncio.Task[None]] = set()
        self._reads = HubReads(clock)
        self._rules: Rulebook | None = None
        self._digest = ""

    def know(self, places: Iterable[Place], rules: Rulebook, *, digest: str) -> None:
        """Go by this configuration from now on; what runs goes on as it began.

        Args:
            places: Every destination; of two with one name and address the first counts.
            rules: That decide.
            digest: Of the configuration.

        Raises:
            FreeholdError: A destination cannot be; the configuration before stays.
        """
        wanted: dict[tuple[str, str], Place] = {}
        for place in places:
            wanted.setdefault((place.name, place.origin), place)
        before = self._places
        made = {
            key: self._client(place) for key, place in wanted.items() if key not in before or before[key].place != place
        }
        retired = [each.client for key, each in before.items() if key in made or key not in wanted]
        self._places, self._rules, self._digest = {}, rules, digest
        for key, place in wanted.items():
            known = before.get(key)
            if known is None:
                known = _Open(place=place, client=made[key])
            elif key in made:
                known.place, known.client = place, made[key]
            self._places[key] = known
        for client in retired:
            task = asyncio.ensure_future(client.close(drain_s=_RETIRED_S))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    def _client(self, place: Place) -> HttpClient:
        return self._broker.client(
            name=place.name,
            base_url=place.base_url,
            zone=place.zone,
            connections_max=place.connections_max,
            headers=place.headers,
            ca_file=place.ca_file or None,
            may_point=place.hub_part is not None,
        )

    # --- net.brokered.serve.Desk -----------------------------------------------------------------

    async def permit(self, intent: Intent, body: bytes) -> Granted:
        """Decide anew, hold the body against its digest, and have the intent on disk.

        Raises:
            EgressDenied: Another place, another body, or the rules say no.
            AuditUnwritable: It cannot be recorded.
        """
        try:
            place = self._place(intent)
            _check_body(intent, body)
            self._reads.check_intent(place.place, intent.asked, body)
            rules = self._allowed(place.place, intent)
        except EgressDenied as denied:
            self._record_refusal(intent, denied)
            raise
        leaving = EgressIntent(
            request_id=intent.request_id,
            tenant=intent.tenant,
            deployment=intent.deployment,
            origin=intent.origin,
            zone=place.place.zone,
            label=intent.label,
            rules=rules,
            body_bytes=len(body),
            body_commitment=intent.body_commitment,
            subject=intent.subject,
            asked=intent.asked,
        )
        try:
            permit = await self._journal.permit_as_stated(leaving, body=body)
        except AuditUnwritable as error:
            raise AuditUnwritable(reason=f"that of the egress broker: {error.values.get('reason')}") from error
        place.calls += 1
        return Granted(
            open=place,
            permit=permit,
            request_id=intent.request_id,
            tenant=intent.tenant,
            body=body,
            asked=intent.asked,
        )

    async def send(self, leave: Leave, sending: Send) -> Answering:
        """Connect, and send what was permitted, as the server's engines would.

        Raises:
            EgressDenied: Not the permit that was given, or something that no engine asks.
            UpstreamError: The upstream fails.
        """
        granted = _granted(leave)
        place = granted.open.place
        if place.hub_part is not None:
            self._reads.check_sending(place, granted.asked, sending)
        else:
            _check_sending(place, sending)
        try:
            seal = bytes.fromhex(sending.permit.seal)
        except ValueError:
            seal = b""
        shown = replace(granted.permit, id=sending.permit.id, audit_index=sending.permit.index, seal=seal)
        reply = await granted.open.client.request(
            method=sending.method,
            path=sending.path,
            headers=sending.headers,
            body=granted.body,
            permit=shown,
            deadline_s=self._clock.monotonic_s() + min(max(sending.left_s, 0.0), _LEFT_S_MAX),
        )
        if place.hub_part is not None:
            self._reads.pointed(place, sending, reply)
        return await _answering(reply, place)

    def done(self, leave: Leave, *, outcome: str, was_sent: bool, answer_bytes: int) -> None:
        """Record how it went."""
        granted = _granted(leave)
        sent_bytes = len(granted.body) if was_sent else 0
        place = granted.open
        place.body_bytes += sent_bytes
        place.answer_bytes += answer_bytes
        place.outcomes[outcome] += 1
        self._journal.done(
            granted.permit,
            request_id=granted.request_id,
            tenant=granted.tenant,
            outcome=outcome,
            bytes_sent=sent_bytes,
        )

    def refused(self, error: FreeholdError) -> None:
        """Count what was refused."""
        self._refused[error.code] += 1

    def state(self) -> State:
        """How it stands."""
        return State(
            healthy=self._log.healthy,
            log=self._log.origin,
            entries=self._log.size,
            config=self._digest,
            since_unix_ms=self._since_unix_ms,
            running=self._running(),
            destinations=tuple(
                Sent(
                    name=each.place.name,
                    origin=each.place.origin,
                    zone=each.place.zone,
                    calls=each.calls,
                    body_bytes=each.body_bytes,
                    answer_bytes=each.answer_bytes,
                    outcomes=dict(each.outcomes),
                )
                for each in self._places.values()
            ),
            refused=dict(self._refused),
        )

    # --- inside ----------------------------------------------------------------------------------

    def _place(self, intent: Intent) -> _Open:
        place = self._places.get((intent.deployment, intent.origin))
        if place is None:
            named = any(name == intent.deployment for name, _ in self._places)
            why = "has another address for" if named else "knows nothing called"
            raise EgressDenied(
                origin=intent.origin, reason=f"the egress broker's configuration {why} {intent.deployment}"
            )
        if place.place.zone != intent.zone:
            raise EgressDenied(
                origin=intent.origin,
                reason=f"the egress broker's configuration has {intent.deployment} in zone {place.place.zone!r}",
            )
        return place

    def _allowed(self, place: Place, intent: Intent) -> tuple[str, ...]:
        """The rules that allow it, asked anew."""
        rules = self._rules
        if rules is None:
            raise EgressDenied(origin=intent.origin, reason="the egress broker has no rules")
        label = self._label(intent.label, rules, intent.origin)
        if place.deployment is None:
            if not leq(label, parse_label(place.label, rules.tree)):
                raise EgressDenied(origin=intent.origin, reason=f"{place.name} gets nothing that is {intent.label}")
            return intent.rules
        tenant = "" if intent.tenant == _OPERATOR else intent.tenant
        now = self._clock.unix_ms()
        decision = decide(label, place.deployment, policy=rules, tenant=tenant, unix_ms=now, audit_ready=True)
        if not decision.allowed:
            why = "; ".join(decision.reasons)
            raise EgressDenied(
                origin=intent.origin,
                reason=f"by the egress broker's rules {place.name} {why} ({', '.join(decision.rules)})",
            )
        return decision.rules

    def _label(self, text: str, rules: Rulebook, origin: str) -> Label:
        try:
            return parse_label(text, rules.tree)
        except LabelUnreadable as error:
            why = error.values.get("reason")
            raise EgressDenied(origin=origin, reason=f"the egress broker cannot read the label: {why}") from error

    def _record_refusal(self, intent: Intent, denied: EgressDenied) -> None:
        detail: dict[str, object] = {
            "deployment": intent.deployment,
            "origin": intent.origin,
            "zone": intent.zone,
            "label": intent.label,
            "body_bytes": intent.body_bytes,
            "reason": str(denied.values.get("reason")),
        }
        record = AuditRecord(
            event=REFUSED,
            unix_ms=self._clock.unix_ms(),
            tenant=SYSTEM_TENANT,
            request_id=intent.request_id,
            detail=detail,
        )
        try:
            self._log.append(record)
        except AuditError:
            return  # nothing leaves either way, and the state says that the log takes nothing


def _check_body(intent: Intent, body: bytes) -> None:
    if not hmac.compare_digest(hashlib.sha256(body).hexdigest(), intent.body_sha256):
        raise EgressDenied(origin=intent.origin, reason="the body is not the one of its intent")


def _check_sending(place: Place, sending: Send) -> None:
    if sending.method != "POST" or sending.path not in place.paths:
        asked = f"{sending.method} {sending.path}"
        raise EgressDenied(origin=place.origin, reason=f"{asked!r} is nothing that {place.name} is asked")
    for name, value in sending.headers:
        if name not in ASKED_FIELDS or len(value) > _FIELD_CHARACTERS_MAX:
            raise EgressDenied(origin=place.origin, reason=f"the header field {name!r} is none that goes with a body")


def _granted(leave: Leave) -> Granted:
    if not isinstance(leave, Granted):
        raise TypeError("a leave of another desk")
    return leave


async def _answering(reply: HttpReply, place: Place) -> Answering:
    """The answer without fields of one hop, and without the credential where the upstream quotes it.

    Of a hub's files the length is part of what is asked.
    """
    secret = place.secret
    hides = len(secret) >= _SECRET_CHARACTERS_MIN
    ends_here = _OF_ONE_HOP - {"content-length"} if place.hub_part is not None else _OF_ONE_HOP
    headers = {
        name: value
        for name, value in reply.headers.items()
        if name not in ends_here and not (hides and secret in value)
    }
    if not (hides and reply.status >= _ERROR_STATUS):
        reply.headers = headers
        return reply
    quoted = secret.encode("latin-1")
    parts: list[bytes] = []
    size, wanted = 0, _ERROR_BYTES_MAX + len(quoted)  # one that lies across the edge is seen whole
    try:
        while size < wanted and (piece := await reply.next_piece()):
            parts.append(piece)
            size += len(piece)
    finally:
        reply.abort()
    return ErrorAnswer(reply, headers, _cut(b"".join(parts), quoted).replace(quoted, "…".encode()))


def _cut(body: bytes, quoted: bytes) -> bytes:
    """The beginning of a text, up to a credential that lies across the edge: a part of one is not known again."""
    across = body.find(quoted, _ERROR_BYTES_MAX - len(quoted) + 1, _ERROR_BYTES_MAX + len(quoted) - 1)
    return body[: _ERROR_BYTES_MAX if across < 0 else across]
