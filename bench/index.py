"""What a receipt costs the thread that brings it from the journal into the database.

Usage: ``python -m bench.index [--receipts N] [--batch N]``. Prints microseconds of processor time a receipt and bytes
in the database. The reference is one row a receipt, with its bytes as they are, found by tenant and id; it has no ledger.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from freehold.domain.ids import uuid7
from freehold.storage.connection import open_writer
from freehold.storage.database import Database
from freehold.storage.filing import Filing
from freehold.storage.pages import decode_receipt, encode_receipt
from tests.support.receipts import make_attempt, make_receipt

_RANDOM_BYTES = 10
_ROUNDS = 3

Store = Callable[[Sequence[bytes]], None]


def payloads(count: int) -> list[bytes]:
    """Receipts of one route that differ in what requests differ in, five a millisecond."""
    chance = random.Random(1)
    typical = make_receipt(traceparent="", client_request_id="")
    made: list[bytes] = []
    for number in range(count):
        moment = 1_795_000_000_000 + number // 5
        ended_ms = 2 + chance.random()
        usage = replace(typical.attempts[0].usage, input_tokens=chance.randrange(10, 300))
        times = {"started_ms": chance.random(), "first_token_ms": ended_ms - 0.05, "ended_ms": ended_ms}
        receipt = replace(
            typical,
            id=uuid7(unix_ms=moment, random=chance.randbytes(_RANDOM_BYTES)),
            created_unix_ms=moment,
            attempts=(make_attempt(usage=usage, **times),),
            total_ms=ended_ms + chance.random(),
            audit_index=number,
        )
        made.append(encode_receipt(receipt))
    return made


def cost_us(store: Store, found: Sequence[bytes], batch: int) -> float:
    """Microseconds of this thread a receipt."""
    began_s = time.thread_time()
    for start in range(0, len(found), batch):
        store(found[start : start + batch])
    return (time.thread_time() - began_s) / len(found) * 1e6


def by_freehold(folder: Path, found: Sequence[bytes], batch: int) -> float:
    """What the store's thread does, on this one."""
    Database.open(folder / "f.db").close()
    connection, filing = open_writer(folder / "f.db"), Filing()
    connection.execute("PRAGMA synchronous = NORMAL")
    try:
        return cost_us(lambda some: filing.put(connection, some), found, batch)
    finally:
        connection.close()


def by_rows(folder: Path, found: Sequence[bytes], batch: int) -> float:
    """The reference."""
    connection = open_writer(folder / "f.db")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE r (tenant TEXT, id TEXT, content BLOB, PRIMARY KEY (tenant, id)) WITHOUT ROWID")
    names = {payload: (receipt.tenant, receipt.id) for payload in found if (receipt := decode_receipt(payload))}

    def store(some: Sequence[bytes]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO r VALUES (?, ?, ?)", [(*names[payload], payload) for payload in some])
        connection.execute("COMMIT")

    try:
        return cost_us(store, found, batch)
    finally:
        connection.close()


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--receipts", type=int, default=20_480)
    parser.add_argument("--batch", type=int, default=256)
    given = parser.parse_args()
    found = payloads(given.receipts)
    for name, run in (("freehold", by_freehold), ("rows", by_rows)):
        costs: list[float] = []
        for _ in range(_ROUNDS):
            with tempfile.TemporaryDirectory() as folder:
                costs.append(run(Path(folder), found, given.batch))
                size = sum(path.stat().st_size for path in Path(folder).glob("f.db*") if path.suffix != ".db-shm")
        print(f"{name:10} {min(costs):5.1f} us a receipt, at most {size / len(found):,.0f} bytes")


if __name__ == "__main__":
    main()
