"""Receipts of fellow workers: found from the moment on at which they were kept, once, whatever the database does."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from freehold.storage.database import Database
from freehold.storage.fellows import MARK, drop_journal, holds_receipts, not_indexed
from freehold.storage.receipts import SqliteReceipts
from tests.support.receipts import make_receipt, receipt_id
from tests.support.server import eventually


class Two:
    """Two workers on one database, as the second sees the first."""

    def __init__(self, folder: Path) -> None:
        self.folders = [folder / "receipts", folder / "receipts-1"]
        self.database = Database.open(folder / "freehold.db")
        self.first, self.second = (
            SqliteReceipts(self.database, journal=own, fellows=[other])
            for own, other in (self.folders, self.folders[::-1])
        )

    def found(self) -> list[str]:
        rows = asyncio.run(self.second.recent(tenant="acme", limit=100, before=None))
        return [str(row["id"]) for row in rows]

    def close(self) -> None:
        self.first.close()
        self.second.close()
        self.database.close()


@pytest.fixture
def two(tmp_path: Path):
    made = Two(tmp_path)
    yield made
    made.close()


def test_a_receipt_is_found_by_the_other_at_once(two: Two) -> None:
    for number in range(50):
        receipt = make_receipt(id=receipt_id(number))
        two.first.keep(receipt)
        found = asyncio.run(two.second.get(receipt.id, tenant="acme"))
        assert found is not None
        assert found["id"] == receipt.id
        assert asyncio.run(two.second.get(receipt.id, tenant="other")) is None
    assert two.found() == [receipt_id(number) for number in reversed(range(50))]


def test_what_is_in_the_database_is_not_read_again(two: Two) -> None:
    for number in range(20):
        two.first.keep(make_receipt(id=receipt_id(number)))
    eventually(lambda: not two.first.waiting, what="the database has all")
    eventually(lambda: not list(not_indexed(two.folders[0])), what="the note says so")
    assert len(two.found()) == 20
    (two.folders[0] / MARK).write_bytes(b"torn")
    assert len(list(not_indexed(two.folders[0]))) == 20
    assert len(two.found()) == 20


def test_a_locked_database_hides_nothing(two: Two) -> None:
    blocker = sqlite3.connect(two.database.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    for number in range(20):
        two.first.keep(make_receipt(id=receipt_id(number)))
    assert len(two.found()) == 20
    blocker.execute("ROLLBACK")
    blocker.close()


def test_a_journal_that_was_left_behind(tmp_path: Path) -> None:
    two = Two(tmp_path)
    assert not holds_receipts(two.folders[0])
    two.first.keep(make_receipt())
    assert holds_receipts(two.folders[0])
    two.close()
    drop_journal(two.folders[1])
    assert not two.folders[1].exists()
