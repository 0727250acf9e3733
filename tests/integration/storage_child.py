"""Children of the storage crash tests: they write until they are killed, and say what was acknowledged.

Usage: storage_child.py receipts|keys|migrate|full FOLDER START
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import sys
from pathlib import Path

from freehold.domain.errors.base import FreeholdError
from freehold.ledger.entries import entries
from freehold.storage.database import Database
from freehold.storage.keys import KeyRecord, SqliteKeys
from freehold.storage.receipts import SqliteReceipts
from tests.support.receipts import make_receipt, receipt_id

_AT_ONCE = 8


def say(text: str) -> None:
    """One whole line to the parent; short writes to a pipe are atomic."""
    os.write(1, f"{text}\n".encode())


async def write_receipts(database: Database, start: int) -> None:
    """Several writers, so that commits are groups; each receipt is told once its future is done."""
    store = SqliteReceipts(database, entries)

    async def one(offset: int) -> None:
        number = start + offset
        while True:
            receipt = make_receipt(id=receipt_id(number))
            await store.submit(receipt, entries(receipt))
            say(receipt.id)
            number += _AT_ONCE

    await asyncio.gather(*(one(offset) for offset in range(_AT_ONCE)))


def write_keys(database: Database, start: int) -> None:
    """Keys one after the other, every second one revoked at once."""
    keys = SqliteKeys(database)
    number = start
    while True:
        digest = hashlib.sha256(str(number).encode()).digest()
        keys.add(
            KeyRecord(
                id=f"key-{number}",
                sha256=digest,
                name="n",
                tenant="t",
                scopes=frozenset({"infer"}),
                label="",
                created_unix_ms=1,
            )
        )
        say(f"made key-{number}")
        if number % 2:
            keys.revoke(f"key-{number}", unix_ms=2)
            say(f"revoked key-{number}")
        number += 1


def migrate(folder: Path) -> None:
    """New databases without end."""
    number = 0
    while True:
        Database.open(folder / f"{os.getpid()}-{number}.db").close()
        say(str(number))
        number += 1


async def fill(database: Database, folder: Path) -> None:
    """Write until the disk is full (a limit on file size stands in for it), free it, and write on."""
    store = SqliteReceipts(database, entries)
    wal_bytes = (folder / "freehold.db-wal").stat().st_size
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal_bytes + 200_000, hard))
    number = 1
    while True:
        receipt = make_receipt(id=receipt_id(number), steps=("x" * 2_000,))
        try:
            await store.submit(receipt, entries(receipt))
        except FreeholdError as error:
            say(f"failed {number} {error.code} {error.message}")
            say(f"state {database.failure}")
            break
        say(f"stored {number}")
        number += 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    for later in range(number, number + 3):
        receipt = make_receipt(id=receipt_id(later))
        await store.submit(receipt, entries(receipt))
        say(f"stored {later}")
    say(f"state {database.failure}")


def main() -> None:
    kind, folder, start = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    say("up")
    if kind == "migrate":
        migrate(folder)
    database = Database.open(folder / "freehold.db")
    if kind == "keys":
        write_keys(database, start)
    asyncio.run(write_receipts(database, start) if kind == "receipts" else fill(database, folder))
    database.close()


if __name__ == "__main__":
    main()
