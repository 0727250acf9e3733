"""A server whose way out is another process: what else has to know of it."""

from __future__ import annotations

from freehold.domain.ports import AuditLog
from freehold.domain.receipt import AuditRecord, Checkpoint, InclusionProof
from freehold.net.brokered.way import Way


class GuardedAudit:
    """The audit log, with the broker's beside it: without either nothing may leave. Implements ``domain.ports.AuditLog``.

    Args:
        own: The server's log.
        way: The way to the broker.
    """

    def __init__(self, own: AuditLog, way: Way) -> None:
        self._own = own
        self._way = way

    @property
    def size(self) -> int:
        """Entries of the server's log."""
        return self._own.size

    @property
    def healthy(self) -> bool:
        """Whether what leaves could be recorded, here and by the broker."""
        return self._own.healthy and self._way.healthy

    def append(self, *records: AuditRecord) -> int:
        """Write entries to the server's log."""
        return self._own.append(*records)

    async def durable(self, index: int) -> None:
        """Return once an entry of the server's log is on the medium."""
        await self._own.durable(index)

    async def prove(self, index: int) -> InclusionProof | None:
        """Proof that an entry is in the server's newest checkpoint."""
        return await self._own.prove(index)

    async def checkpoint(self) -> Checkpoint:
        """Sign the server's tree as it is now."""
        return await self._own.checkpoint()

    def commit(self, body: bytes, *, tenant: str = "", subject: str = "", record: str = "") -> str:
        """Keyed commitment of a body, as the server's log makes it."""
        return self._own.commit(body, tenant=tenant, subject=subject, record=record)
