"""No record, no egress: a permit exists only after its intent is on the medium."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from dataclasses import replace
from functools import partial

from freehold.audit.bodies import SealedBodies
from freehold.audit.entry import DONE, INTENT
from freehold.domain.egress import EgressIntent, EgressPermit, seal_permit
from freehold.domain.errors.audit import AuditError
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.ports import AuditLog, Clock, IdSource
from freehold.domain.receipt import AuditRecord

_LOG = logging.getLogger(__name__)

_AT_ONCE_BYTES = 64 * 1024
"""Bodies up to here are sealed on the loop's thread: 60 µs, less than handing them to another one."""

PERMIT_LIFE_S = 60.0
"""How long a permit is good: enough to open a connection and to send a body, too short to be hoarded."""


class Journal:
    """Writes egress intents and ends into the audit log. Implements ``domain.ports.EgressJournal``.

    Intents that a crash left without an end get one from ``TransparencyLog.open``.
    """

    def __init__(
        self, log: AuditLog, clock: Clock, ids: IdSource, permit_key: bytes, *, bodies: SealedBodies | None = None
    ) -> None:
        """Take the log.

        Args:
            log: Where intents are written.
            clock: Time of records and expiry of permits.
            ids: Ids of permits.
            permit_key: Seals permits; shared with the egress broker only, made at start, never written down.
            bodies: Where what leaves is kept sealed; ``None`` to keep commitments only.
        """
        self._log = log
        self._clock = clock
        self._ids = ids
        self._permit_key = permit_key
        self._bodies = bodies
        self._open: set[int] = set()

    async def permit(self, intent: EgressIntent, *, body: bytes) -> EgressPermit:
        """Have the intent on the medium, then hand out the permit for exactly this body.

        The body itself is kept only where bodies are sealed, and somebody's key sent it.

        Raises:
            AuditUnwritable: The intent could not be made durable, or the body not be sealed; nothing may leave.
            EgressDenied: The intent is about another body than the given one.
        """
        due = self._log.commit(body, tenant=intent.tenant, subject=intent.subject, record=intent.request_id)
        if intent.body_bytes != len(body) or not hmac.compare_digest(intent.body_commitment, due):
            raise EgressDenied(origin=intent.origin, reason="the body was changed after its intent was made")
        if self._bodies is not None and intent.subject:
            await self._seal(self._bodies, intent, body)
        return await self.permit_as_stated(intent, body=body)

    async def permit_as_stated(self, intent: EgressIntent, *, body: bytes) -> EgressPermit:
        """As ``permit``, for an intent whose commitment was made with a key that is another log's.

        It is kept as it is stated, so that both logs say the same of one body; whether it is this body's is for whoever
        has that key. The permit is for exactly this body all the same.

        Raises:
            AuditUnwritable: The intent could not be made durable; nothing may leave.
        """
        index = self._log.append(self._record(INTENT, intent.tenant, intent.request_id, _detail(intent)))
        self._open.add(index)
        try:
            await self._log.durable(index)
        except (AuditError, asyncio.CancelledError):
            self._end(index, intent.tenant, intent.request_id, outcome="not_sent", bytes_sent=0)
            raise
        permit = EgressPermit(
            id=self._ids.new_id(),
            audit_index=index,
            origin=intent.origin,
            zone=intent.zone,
            body_sha256=hashlib.sha256(body).digest(),
            expires_monotonic_s=self._clock.monotonic_s() + PERMIT_LIFE_S,
            seal=b"",
        )
        return replace(permit, seal=seal_permit(self._permit_key, permit))

    async def _seal(self, bodies: SealedBodies, intent: EgressIntent, body: bytes) -> None:
        keep = partial(
            bodies.keep,
            body,
            tenant=intent.tenant,
            subject=intent.subject,
            record=intent.request_id,
            commitment=intent.body_commitment,
        )
        if len(body) > _AT_ONCE_BYTES:
            await asyncio.to_thread(keep)
        else:
            keep()

    def done(self, permit: EgressPermit, *, request_id: str, tenant: str, outcome: str, bytes_sent: int) -> None:
        """Record how it went; a second end of one permit is ignored. Never raises, never waits.

        An end that cannot be written leaves the intent open: the next start ends it as ``unknown``.
        """
        self._end(permit.audit_index, tenant, request_id, outcome=outcome, bytes_sent=bytes_sent)

    def _end(self, intent: int, tenant: str, request_id: str, *, outcome: str, bytes_sent: int) -> None:
        if intent not in self._open:
            return
        self._open.discard(intent)
        detail: dict[str, object] = {"intent": intent, "outcome": outcome, "bytes": bytes_sent}
        try:
            self._log.append(self._record(DONE, tenant, request_id, detail))
        except AuditError as error:
            _LOG.error("the end of egress %d was not recorded: %s", intent, error)

    def _record(self, event: str, tenant: str, request_id: str, detail: dict[str, object]) -> AuditRecord:
        return AuditRecord(
            event=event, unix_ms=self._clock.unix_ms(), tenant=tenant, request_id=request_id, detail=detail
        )


def _detail(intent: EgressIntent) -> dict[str, object]:
    return {
        **({"key": intent.subject} if intent.subject else {}),
        "deployment": intent.deployment,
        "origin": intent.origin,
        "zone": intent.zone,
        "label": intent.label,
        "rules": list(intent.rules),
        "body_bytes": intent.body_bytes,
        "body_commit": intent.body_commitment,
        **({"asked": intent.asked} if intent.asked else {}),
    }
