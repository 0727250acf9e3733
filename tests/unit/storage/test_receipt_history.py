"""All tenants' receipts of a span of time."""

from __future__ import annotations

import asyncio

from freehold.storage.database import Database
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
