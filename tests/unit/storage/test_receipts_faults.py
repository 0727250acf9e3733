"""Receipts while the database or the disk fails: kept all the same, found all the same, and brought in afterwards."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.domain.errors.server import StorageFailed
from freehold.domain.receipt import Receipt
from freehold.domain.receipt_json import receipt_document
from freehold.domain.response import Usage
from freehold.storage import disk, indexer, journal
from freehold.storage.database import Database
from freehold.storage.indexer import Indexer
from freehold.storage.pages import encode_receipt
from freehold.storage.receipts import SqliteReceipts
from tests.support.old_store import old_payload
from tests.support.receipts import make_attempt, make_receipt, receipt_id


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr("freehold.storage.connection._BUSY_TIMEOUT_MS", 5)
    monkeypatch.setattr(indexer, "RETRY_S", 0.01)
    monkeypatch.setattr(indexer, "INDEX_EVERY_S", 0.001)
    database = Database.open(tmp_path / "freehold.db")
    yield database
    database.close()


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> threading.Condition:
    """Notified whenever the indexer has tried."""
    condition = threading.Condition()
    really = Indexer._round

    def tried(self: Indexer) -> None:
        really(self)
        with condition:
            condition.notify_all()

    monkeypatch.setattr(Indexer, "_round", tried)
    return condition


def open_store(database: Database) -> SqliteReceipts:
    return SqliteReceipts(database, journal=database.path.parent / "receipts")


def numbered(number: int) -> Receipt:
    return make_receipt(id=receipt_id(number))


def stored(database: Database) -> list[int]:
    rows = database.query(lambda c: c.execute("SELECT id FROM receipts ORDER BY id").fetchall())
    return [int(row["id"][-12:]) for row in rows]


def newest(store: SqliteReceipts, limit: int) -> list[int]:
    found = asyncio.run(store.recent(tenant="acme", limit=limit, before=None))
    return [int(str(document["id"])[-12:]) for document in found]


def test_53_while_the_database_is_locked_receipts_wait_in_constant_memory_and_are_found(
    database: Database, rounds: threading.Condition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer, "WAITING_MAX", 5)
    monkeypatch.setattr(journal, "SEGMENT_BYTES_MAX", 4_000)
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store = open_store(database)
    for number in range(1, 41):
        store.keep(numbered(number))
    with rounds:
        assert rounds.wait_for(lambda: "locked" in store.failure, 20)
    for number in range(41, 61):
        store.keep(numbered(number))
    assert store.waiting == 60
    assert len(store._indexer._queue) <= 5
    assert newest(store, 100) == list(range(60, 0, -1))
    assert newest(store, 3) == [60, 59, 58]
    assert asyncio.run(store.get(receipt_id(50), tenant="acme")) is not None
    assert asyncio.run(store.get(receipt_id(50), tenant="other")) is None
    assert stored(database) == []
    other.execute("COMMIT")
    other.close()
    with rounds:
        assert rounds.wait_for(lambda: store.waiting == 0 and not store.failure, 20)
    assert stored(database) == list(range(1, 61))
    assert newest(store, 100) == list(range(60, 0, -1))
    store.close()
    assert len(list((database.path.parent / "receipts").iterdir())) <= 2


def test_51_what_a_killed_process_left_in_the_journal_is_brought_in_once(database: Database) -> None:
    other = sqlite3.connect(database.path, isolation_level=None)
    store = open_store(database)
    store.keep(numbered(1))
    store.close()
    other.execute("BEGIN IMMEDIATE")
    store = open_store(database)
    for number in (1, 2, 3):
        store.keep(numbered(number))
    store.close()
    assert stored(database) == [1]
    other.execute("COMMIT")
    other.close()
    for _ in range(2):
        store = open_store(database)
        store.close()
        assert stored(database) == [1, 2, 3]
        assert newest(store, 10) == [3, 2, 1]


def test_a_stop_does_not_wait_for_a_long_backlog_and_the_next_start_goes_on_with_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(indexer, "_BATCH_MAX", 10)
        patch.setattr(Indexer, "_wait", lambda self: self._wake.wait(20))  # until it is closed
        store = open_store(database)
        store._indexer._from = None  # as after the first look at an empty journal
        for number in range(1, 41):
            store.keep(numbered(number))
        store.close(within_s=0.0)
    assert stored(database) == list(range(1, 11))
    open_store(database).close()
    assert stored(database) == list(range(1, 41))


def test_a_receipt_is_never_overwritten_and_its_neighbours_do_not_suffer(database: Database) -> None:
    store = open_store(database)
    store.keep(numbered(1))
    store.keep(make_receipt(id=receipt_id(1), route="changed"))
    store.keep(numbered(2))
    store.keep(make_receipt(id=receipt_id(3), total_ms=2.0, created_unix_ms=2**63))
    store.keep(numbered(4))
    store.close()
    assert stored(database) == [1, 2, 4]
    document = asyncio.run(store.get(receipt_id(1), tenant="acme"))
    assert document is not None
    assert document["route"] == "auto"


def test_sums_that_no_column_can_hold_keep_no_receipt_out(database: Database) -> None:
    store = open_store(database)
    endless = make_attempt(usage=Usage(input_tokens=2**62))
    store.keep(numbered(1))
    for number in (2, 3, 4):
        store.keep(make_receipt(id=receipt_id(number), attempts=(endless,)))
    store.keep(make_receipt(id=receipt_id(5), attempts=(endless, endless)))
    store.close()
    assert stored(database) == [1, 2, 3, 4]
    assert newest(store, 9) == [4, 3, 2, 1]


def test_what_an_earlier_version_left_in_the_journal_is_brought_in(database: Database) -> None:
    folder = database.path.parent / "receipts"
    left = journal.Journal(folder)
    for payload in (old_payload(numbered(1)), b"\x90", encode_receipt(numbered(2)), old_payload(numbered(3))):
        left.append(payload)
    left.close()
    store = open_store(database)
    store.keep(numbered(4))
    assert newest(store, 9) == [4, 3, 2, 1]
    store.close()
    assert stored(database) == [1, 2, 3, 4]
    assert asyncio.run(store.get(receipt_id(1), tenant="acme")) == receipt_document(numbered(1))


def test_what_cannot_be_written_down_is_said_so(database: Database) -> None:
    store = open_store(database)
    for bad in (make_receipt(route="\ud800"), make_receipt(created_unix_ms=2**70)):
        with pytest.raises(StorageFailed):
            store.keep(bad)
    store.close()
    with pytest.raises(StorageFailed, match="it is closed"):
        store.keep(numbered(1))
    assert stored(database) == []


def test_49_50_a_disk_that_failed_is_written_again_by_itself(
    database: Database, rounds: threading.Condition, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    store = open_store(database)
    store.keep(numbered(1))
    with monkeypatch.context() as broken:
        broken.setattr(disk, "append", fail)
        broken.setattr(disk, "create_appendable", fail)
        with pytest.raises(StorageFailed, match="Input/output error"):
            store.keep(numbered(2))
        assert store.failure == "Input/output error"
    with rounds:
        assert rounds.wait_for(lambda: not store.failure, 20)
    store.keep(numbered(3))
    with monkeypatch.context() as broken:
        broken.setattr(disk, "sync", fail)
        store.keep(numbered(4))
        with rounds:
            assert rounds.wait_for(lambda: bool(store.failure), 20)
    with rounds:
        assert rounds.wait_for(lambda: not store.failure, 20)
    store.keep(numbered(5))
    store.close()
    assert stored(database) == [1, 3, 4, 5]
