"""A process that writes an audit log and says on its standard output what it may not lose, until it is killed.

Usage: ``python audit_writer.py FOLDER NAME``. Each line is ``INDEX NAME-NUMBER``, written as soon as ``append`` or ``permit`` has returned.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from freehold.audit import sealer, writer
from freehold.audit.journal import Journal
from freehold.audit.log import TransparencyLog
from freehold.domain.receipt import AuditRecord
from tests.support.audit import ORIGIN, CountingIds, StillClock, intent

WORKERS = 8


async def run(folder: Path, name: str) -> None:
    clock = StillClock()
    log = TransparencyLog.open(folder, origin=ORIGIN, clock=clock)
    journal = Journal(log, clock, CountingIds(), b"k" * 32)
    numbers = iter(range(10**9))

    def tell(index: int, text: str) -> None:
        os.write(1, f"{index} {text}\n".encode())

    async def one() -> None:
        while True:
            text = f"{name}-{next(numbers)}"
            place = log.append(AuditRecord(event="test", unix_ms=0, tenant="acme", request_id=text, detail={}))
            tell(place, text)
            permit = await journal.permit(intent(log.commit(b"x"), b"x", request_id=text), body=b"x")
            tell(permit.audit_index, text)
            await asyncio.sleep(0)
            journal.done(permit, request_id=text, tenant="acme", outcome="complete", bytes_sent=1)

    await asyncio.gather(*(one() for _ in range(WORKERS)))


if __name__ == "__main__":
    # Checkpoints and new segments come often, so that kills hit them too.
    sealer.CHECKPOINT_ENTRIES = 16
    writer.SEGMENT_BYTES_MAX = 4_000
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2]))
