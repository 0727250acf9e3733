"""Children of the storage crash tests: they write until they are killed, and say what was acknowledged.

Usage: storage_child.py receipts|keys|results|migrate|full FOLDER START
"""

from __future__ import annotations

import hashlib
import os
import resource
import sys
from pathlib import Path

from freehold.domain.errors.base import FreeholdError
from freehold.storage import indexer, journal
from freehold.storage.batch_results import ItemResult, ResultJournal
from freehold.storage.database import Database
from freehold.storage.keys import KeyRecord, SqliteKeys
from freehold.storage.receipts import SqliteReceipts
from tests.support.receipts import make_receipt, receipt_id


def say(text: str) -> None:
    """One whole line to the parent; short writes to a pipe are atomic."""
    os.write(1, f"{text}\n".encode())


def write_receipts(database: Database, folder: Path, start: int) -> None:
    """Each receipt is told as soon as ``keep`` has returned."""
    journal.SEGMENT_BYTES_MAX = 20_000
    indexer.INDEX_EVERY_S = 0.002
    store = SqliteReceipts(database, journal=folder / "receipts")
    number = start
    while True:
        store.keep(make_receipt(id=receipt_id(number)))
        say(receipt_id(number))
        number += 1


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


def write_results(folder: Path, start: int) -> None:
    """Results of a batch, three at a time, from a place on."""
    results = ResultJournal(folder / "batch.results", 1_000_000)
    place = start
    while True:
        group = range(place, place + 3)
        results.add([ItemResult(each, each % 2 > 0, b'"%d"' % each) for each in group])
        say(" ".join(map(str, group)))
        place += 3


def migrate(folder: Path) -> None:
    """New databases without end."""
    number = 0
    while True:
        Database.open(folder / f"{os.getpid()}-{number}.db").close()
        say(str(number))
        number += 1


def fill(database: Database, folder: Path) -> None:
    """Write until the disk is full (a limit on file size stands in for it), free it, and write on."""
    journal.SEGMENT_BYTES_MAX = 10**9
    indexer.RETRY_S = 0.01
    store = SqliteReceipts(database, journal=folder / "receipts")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    number = 1
    while True:
        try:
            store.keep(make_receipt(id=receipt_id(number), steps=("x" * 2_000,)))
        except FreeholdError as error:
            say(f"failed {number} {error.code} {error.message}")
            say(f"state {store.failure}")
            break
        say(f"stored {number}")
        number += 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    later = number
    while later < number + 3:
        try:
            store.keep(make_receipt(id=receipt_id(later)))
        except FreeholdError:
            continue  # until the next attempt to begin a fresh segment
        say(f"stored {later}")
        later += 1
    store.close()
    say(f"state {database.failure}")


def main() -> None:
    kind, folder, start = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    say("up")
    if kind == "migrate":
        migrate(folder)
    if kind == "results":
        write_results(folder, start)
    database = Database.open(folder / "freehold.db")
    if kind == "keys":
        write_keys(database, start)
    if kind == "receipts":
        write_receipts(database, folder, start)
    fill(database, folder)
    database.close()


if __name__ == "__main__":
    main()
