"""Asking witnesses to cosign checkpoints: through the egress broker, every minute or so, never in a request's way.

What is sent holds the log's name, its size and hashes. A witness that is away, slow or lies costs nothing but its
cosignature. One that has seen a longer log than this one is is told loudly: then the log was rolled back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator

from freehold.app.stores import Stores
from freehold.audit.cosignature import ADD_CHECKPOINT_PATH, lines_of, size_of, with_lines
from freehold.audit.note import WITNESS, VerifierKey
from freehold.audit.proof_text import consistency_text
from freehold.config.load import LoadedConfig
from freehold.config.schema_audit import WitnessSection
from freehold.domain.egress import EgressIntent, EgressPermit
from freehold.domain.errors.base import FreeholdError
from freehold.domain.receipt import Checkpoint
from freehold.domain.zones import DEVICE, Zone
from freehold.net.origin import Origin

log = logging.getLogger("freehold.app")

_TIMEOUT_S = 10.0
_REPLY_LIMIT_BYTES = 64 * 1024
_TEXT = ("content-type", "text/plain; charset=utf-8")
_TENANT = "freehold"
WITNESS_LABEL = "public"
"""Of what witnesses are sent: names, sizes and hashes."""

_GOOD, _CONFLICT = 200, 409
_TRIES = 2


def witness_name(name: str) -> str:
    """What records call a witness; no deployment can have such a name."""
    return f"witness {name}"


def add_checkpoint_path(url: str) -> str:
    """Where a witness takes checkpoints.

    Raises:
        BaseUrlInvalid: Its address cannot be read.
    """
    return Origin.parse(url).base_path.rstrip("/") + ADD_CHECKPOINT_PATH


class Witness:
    """One witness.

    Args:
        name: What the configuration calls it.
        section: Its address, key and zone.
        stores: The broker, and the log that is cosigned.

    Raises:
        AuditBroken: Its key is none of a witness.
        FreeholdError: Its address cannot be read.
    """

    def __init__(self, name: str, section: WitnessSection, stores: Stores) -> None:
        self.name = name
        self.key = VerifierKey.parse(section.vkey, kind=WITNESS)
        self._stores = stores
        self._path = add_checkpoint_path(section.url)
        self._client = stores.broker.client(
            name=witness_name(name),
            base_url=section.url,
            zone=Zone(section.zone),
            connections_max=1,
            ca_file=section.ca_file or None,
        )
        self._known_size = 0

    async def cosign(self, checkpoint: Checkpoint) -> str:
        """Its signature lines for a checkpoint; empty where it gave none, which is logged. Raises nothing of ours."""
        for _ in range(_TRIES):
            try:
                path = await self._stores.audit.prove_growth(self._known_size, checkpoint)
                status, answer = await self._send(consistency_text(self._known_size, path, checkpoint).encode())
            except FreeholdError as error:
                log.warning("witness %s did not cosign: %s", self.name, error.message)
                return ""
            if status == _GOOD and (lines := lines_of(answer, checkpoint.note, self.key)):
                self._known_size = checkpoint.size
                return lines
            known = size_of(answer) if status == _CONFLICT else None
            if known is None or known == self._known_size:
                log.warning("witness %s did not cosign: status %d", self.name, status)
                return ""
            if known > checkpoint.size:
                log.error(
                    "witness %s has seen %d entries of the audit log, which has %d: it was rolled back",
                    self.name,
                    known,
                    checkpoint.size,
                )
                return ""
            self._known_size = known
        return ""

    async def _send(self, body: bytes) -> tuple[int, bytes]:
        """Send one request; status and body of the answer. Beyond this device its record is on disk first."""
        stores = self._stores
        request_id = stores.ids.new_id()
        permit: EgressPermit | None = None
        outcome, sent_bytes = "failed", 0
        try:
            if self._client.zone != DEVICE:
                permit = await stores.journal.permit(self._intent(request_id, body), body=body)
            reply = await self._client.request(
                method="POST",
                path=self._path,
                headers=(_TEXT,),
                body=body,
                permit=permit,
                deadline_s=stores.clock.monotonic_s() + _TIMEOUT_S,
            )
            outcome, sent_bytes = "complete", len(body)
            return reply.status, await reply.read(limit_bytes=_REPLY_LIMIT_BYTES)
        finally:
            if permit is not None:
                stores.journal.done(
                    permit, request_id=request_id, tenant=_TENANT, outcome=outcome, bytes_sent=sent_bytes
                )

    def _intent(self, request_id: str, body: bytes) -> EgressIntent:
        return EgressIntent(
            request_id=request_id,
            tenant=_TENANT,
            deployment=witness_name(self.name),
            origin=self._client.origin,
            zone=self._client.zone,
            label=WITNESS_LABEL,
            rules=("witness",),
            body_bytes=len(body),
            body_commitment=self._stores.audit.commit(body),
        )


class Witnesses:
    """All witnesses of one log.

    Args:
        witnesses: Whom to ask.
        stores: The log.
    """

    def __init__(self, witnesses: tuple[Witness, ...], stores: Stores) -> None:
        self._witnesses = witnesses
        self._stores = stores
        self._settled_size = 0

    async def ask(self) -> int:
        """Have the newest checkpoint cosigned, if anything but the last asking was logged since; how many did."""
        audit = self._stores.audit
        if audit.size == self._settled_size:
            return 0
        try:
            checkpoint = await audit.checkpoint()
            given = [
                lines for lines in await asyncio.gather(*(each.cosign(checkpoint) for each in self._witnesses)) if lines
            ]
            if given:
                note = checkpoint.note
                for lines in given:
                    note = with_lines(note, lines)
                await audit.keep_cosigned(note)
        except FreeholdError as error:
            log.warning("checkpoints are not cosigned now: %s", error.message)
            return 0
        # What was logged of the asking itself is no reason to ask again.
        self._settled_size = audit.size
        return len(given)


@contextlib.asynccontextmanager
async def witnessing(loaded: LoadedConfig, stores: Stores) -> AsyncGenerator[None]:
    """Ask the configured witnesses as long as this lasts; where there are none, nothing is done.

    Raises:
        AuditBroken: A witness's key is none.
        FreeholdError: A witness's address cannot be read.
    """
    section = loaded.config.audit
    if not section.witnesses:
        yield
        return
    asked = Witnesses(tuple(Witness(name, each, stores) for name, each in section.witnesses.items()), stores)
    task = asyncio.create_task(_keep_asking(asked, every_s=section.witness_every_s))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _keep_asking(asked: Witnesses, *, every_s: float) -> None:
    while True:
        await asked.ask()
        await asyncio.sleep(every_s)
