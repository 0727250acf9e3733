"""What recording costs a request: the audit entry, the receipt, and all that threads make of them.

Usage: ``python -m bench.record [--requests N] [--rate N]``. Prints microseconds of processor time a request, of this
thread and of the whole process, and what lies on the disk in the end. The reference is a bare ``write`` of the same
number of bytes to each of two files.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from freehold.audit.log import TransparencyLog
from freehold.audit.records import request_record
from freehold.domain.receipt import Receipt
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.storage.database import Database
from freehold.storage.receipts import SqliteReceipts
from tests.support.receipts import make_attempt, make_receipt

_TICKS_A_SECOND = 200


def receipts(count: int) -> list[Receipt]:
    """Receipts of one route that differ in what requests differ in."""
    ids = SystemIds(clock := SystemClock())
    typical = make_receipt()
    return [
        replace(
            typical,
            id=ids.new_id(),
            created_unix_ms=clock.unix_ms(),
            total_ms=40 + number % 97 / 7,
            audit_index=number,
            attempts=(make_attempt(started_ms=number % 13 / 7, first_token_ms=20 + number % 31 / 7, ended_ms=39.5),),
        )
        for number in range(count)
    ]


def paced(count: int, rate: int) -> list[range]:
    """The numbers of the requests of each tick."""
    size = max(1, rate // _TICKS_A_SECOND)
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def measure(folder: Path, count: int, rate: int) -> None:
    """Record ``count`` requests at ``rate`` a second."""
    database = Database.open(folder / "freehold.db")
    store = SqliteReceipts(database, journal=folder / "receipts")
    log = TransparencyLog.open(folder / "audit", origin="bench/audit", clock=SystemClock())
    kept = receipts(count)
    began = time.monotonic()
    whole_s, own_s = time.process_time(), time.thread_time()
    for tick, numbers in enumerate(paced(count, rate)):
        for number in numbers:
            receipt = kept[number]
            log.append(request_record(receipt))
            store.keep(receipt)
        left_s = began + (tick + 1) / _TICKS_A_SECOND - time.monotonic()
        if left_s > 0:
            os.sched_yield() if left_s < 0.0005 else _rest(left_s)
    took_s, own_s = time.monotonic() - began, time.thread_time() - own_s
    waiting = store.waiting
    store.close()
    log.close()
    database.close()
    whole_s = time.process_time() - whole_s
    print(f"requests                      {count} at {count / took_s:,.0f}/s (asked for {rate:,})")
    print(f"this thread                   {own_s / count * 1e6:6.1f} us a request")
    print(f"the whole process             {whole_s / count * 1e6:6.1f} us a request, closing included")
    print(f"not in the database at the end {waiting}")
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.parent in (folder, folder / "receipts", folder / "audit" / "wal"):
            print(f"  {path.relative_to(folder)!s:32} {path.stat().st_size / 1024:10,.0f} KiB")


def _rest(seconds: float) -> None:
    import select

    select.select([], [], [], seconds)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=90_000)
    parser.add_argument("--rate", type=int, default=15_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), given.requests, given.rate)


if __name__ == "__main__":
    main()
