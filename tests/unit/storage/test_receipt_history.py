"""All tenants' receipts of a span of time."""

from __future__ import annotations

import asyncio

from freehold.storage.database import Database
from freehold.storage.fellows import unfiled_in
from freehold.storage.journal import Journal
from freehold.storage.pages import encode_receipt
from freehold.storage.receipt_history import ReceiptHistory
from freehold.storage.receipts import SqliteReceipts
from tests.support.receipts import make_receipt, receipt_id


def test_receipts_of_a_span_come_back_whole_whosever_they_are(tmp_path) -> None:
    database = Database.open(tmp_path / "freehold.db")
    try:
        made = [
            make_receipt(
                id=receipt_id(number), created_unix_ms=1_000 * number, tenant="acme" if number % 2 else "other"
            )
            for number in range(1, 9)
        ]
        store = SqliteReceipts(database, journal=tmp_path / "receipts")
        store.keep(*made[:5])
        store.keep(*made[5:])
        store.close()
        found = []
        history = ReceiptHistory(database)
        asyncio.run(history.visit(found.append, from_unix_ms=3_000, to_unix_ms=7_000))
        assert sorted(found, key=lambda each: each.id) == made[2:6]
        asyncio.run(history.visit(found.append, from_unix_ms=9_000, to_unix_ms=99_000))
        assert len(found) == 4
    finally:
        database.close()


def test_receipts_on_their_way_are_shown_once(tmp_path) -> None:
    """Some lie in the database and in the journal, some in the journal alone, and one of another time."""
    database = Database.open(tmp_path / "freehold.db")
    try:
        made = [make_receipt(id=receipt_id(number), created_unix_ms=1_000 * number) for number in range(1, 7)]
        store = SqliteReceipts(database, journal=tmp_path / "receipts")
        store.keep(*made[:3])
        store.close()
        fresh = [*made, make_receipt(id=receipt_id(7), created_unix_ms=99_000)]
        history, found = ReceiptHistory(database, unfiled=lambda: fresh), []
        asyncio.run(history.visit(found.append, from_unix_ms=2_000, to_unix_ms=9_000))
        assert sorted(found, key=lambda each: each.id) == made[1:]
    finally:
        database.close()


def test_journals_of_a_data_folder_are_read_whoever_writes_them(tmp_path) -> None:
    """Of all workers, also while the database is not there at all; and what is no journal is no matter."""
    (tmp_path / "receipts-old").mkdir()
    (tmp_path / "receipts-old" / "1.receipts").write_bytes(b"?")
    made = [make_receipt(id=receipt_id(number)) for number in range(1, 5)]
    for folder, kept in (("receipts", made[:2]), ("receipts-1", made[1:])):
        journal = Journal(tmp_path / folder)
        journal.append(*map(encode_receipt, kept), b"what a later program writes")
        journal.close()
    assert sorted(unfiled_in(tmp_path), key=lambda each: each.id) == made
    assert unfiled_in(tmp_path / "nothing") == []
