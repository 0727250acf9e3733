"""Two records before a byte leaves: the server's own, and the broker's."""

from __future__ import annotations

import asyncio

from freehold.domain.egress import EgressIntent, EgressPermit
from freehold.domain.ports import EgressJournal
from freehold.net.brokered.way import Grant, Way


class BrokeredJournal:
    """An egress journal whose permits are good only with the broker's. Implements ``domain.ports.EgressJournal``.

    Both logs are written at the same time. Where either fails nothing is sent, and the other one says so.

    Args:
        own: The server's.
        way: The way to the broker.
    """

    def __init__(self, own: EgressJournal, way: Way) -> None:
        self._own = own
        self._way = way

    async def permit(self, intent: EgressIntent, *, body: bytes) -> EgressPermit:
        """Have both intents on disk, then hand out the permit for exactly this body.

        Raises:
            EgressBrokerAway: The broker is not there.
            AuditUnwritable: One of the logs cannot be written.
            EgressDenied: The broker refuses, or the intent is about another body.
        """
        asked = asyncio.ensure_future(self._way.ask(intent, body))
        try:
            permit = await self._own.permit(intent, body=body)
        except BaseException:
            await _given_up(asked)
            raise
        try:
            grant = await asked
        except BaseException:
            self.done(permit, request_id=intent.request_id, tenant=intent.tenant, outcome="not_sent", bytes_sent=0)
            await _given_up(asked)
            raise
        self._way.hold(permit.id, grant)
        return permit

    def done(self, permit: EgressPermit, *, request_id: str, tenant: str, outcome: str, bytes_sent: int) -> None:
        """Record how it went; a permit of the broker's that was not used is given up. Never raises."""
        grant = self._way.taken(permit.id)
        if grant is not None:
            grant.drop()
        self._own.done(permit, request_id=request_id, tenant=tenant, outcome=outcome, bytes_sent=bytes_sent)


async def _given_up(asked: asyncio.Future[Grant]) -> None:
    """Ask no more; what was granted meanwhile is dropped, and why it was not is of no interest any more."""
    asked.cancel()
    await asyncio.wait({asked})
    if not asked.cancelled() and asked.exception() is None:
        asked.result().drop()
