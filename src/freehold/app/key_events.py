"""What happened to keys and limits, by whatever program, put into the audit log by the one process that writes the main one."""

from __future__ import annotations

import asyncio

from freehold.audit.records import key_record
from freehold.domain.ports import AuditLog
from freehold.identity.keys import KeyRing
from freehold.storage.keys import SqliteKeys


async def record_key_events(keys: KeyRing | SqliteKeys, audit: AuditLog) -> None:
    """Record what has happened since the last time; what cannot be recorded now waits in the database.

    An event may be recorded twice where the process ends between the two steps, and is never lost.

    Raises:
        AuditUnwritable: The log takes nothing now.
        StorageFailed: The events cannot be read, or not be dropped.
    """
    events = await asyncio.to_thread(keys.events)
    if not events:
        return
    audit.append(
        *(
            key_record(
                event=each.event,
                unix_ms=each.unix_ms,
                tenant=each.tenant,
                key_id=each.key_id,
                by=each.by,
                detail=each.detail,
            )
            for each in events
        )
    )
    await asyncio.to_thread(keys.forget, events[-1].seq)
