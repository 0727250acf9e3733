"""Migrations: all or nothing, and never backwards."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from freehold.domain.decisions import Action, Outcome, Verdict
from freehold.domain.errors.server import StorageFailed, StorageNewer
from freehold.domain.receipt import Cost
from freehold.domain.receipt_json import receipt_document, receipt_to_json
from freehold.storage import schema
from freehold.storage.database import Database
from freehold.storage.ledger import SqliteLedger
from freehold.storage.receipts import SqliteReceipts
from freehold.storage.schema import Migration, migrate, migrations
from tests.support.ledger import entries
from tests.support.receipts import make_attempt, make_receipt, receipt_id


def connect(path):
    return sqlite3.connect(path, isolation_level=None)


def test_versions_count_from_one_without_gaps():
    assert [step.version for step in migrations()] == list(range(1, len(migrations()) + 1))


def test_a_new_file_gets_the_newest_version_and_our_mark(tmp_path):
    Database.open(tmp_path / "f.db").close()
    connection = connect(tmp_path / "f.db")
    assert connection.execute("PRAGMA user_version").fetchone() == (migrations()[-1].version,)
    assert connection.execute("PRAGMA application_id").fetchone() == (schema.APPLICATION_ID,)
    connection.close()
    Database.open(tmp_path / "f.db").close()


def test_60_an_older_program_leaves_newer_data_alone(tmp_path):
    Database.open(tmp_path / "f.db").close()
    connection = connect(tmp_path / "f.db")
    connection.execute("PRAGMA user_version = 900")
    connection.close()
    with pytest.raises(StorageNewer, match="is of version 900, this Freehold knows versions up to"):
        Database.open(tmp_path / "f.db")
    connection = connect(tmp_path / "f.db")
    assert connection.execute("PRAGMA user_version").fetchone() == (900,)
    connection.close()


def test_60_a_migration_that_fails_changes_nothing(tmp_path):
    path = tmp_path / "f.db"
    first = Migration(version=1, name="a", script="CREATE TABLE a (n);")
    second = Migration(version=2, name="b", script="CREATE TABLE b (n); INSERT INTO a VALUES (1);")
    broken = Migration(version=3, name="c", script="CREATE TABLE c (n); INSERT INTO nowhere VALUES (1);")
    connection = connect(path)
    assert migrate(connection, path, (first,)) == 1
    with pytest.raises(StorageFailed, match="from version 1 to 3: no such table: nowhere"):
        migrate(connection, path, (first, second, broken))
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]
    assert migrate(connection, path, (first, second)) == 2
    assert connection.execute("SELECT n FROM a").fetchall() == [(1,)]
    connection.close()


@pytest.mark.parametrize("theirs", [2, 3])
def test_what_another_process_brought_there_meanwhile_is_not_done_twice(tmp_path, theirs):
    path = tmp_path / "f.db"
    scripts = ("CREATE TABLE a (n);", "CREATE TABLE b (n);", "CREATE TABLE c (n); INSERT INTO c VALUES (1);")
    steps = tuple(Migration(version=n, name="s", script=script) for n, script in enumerate(scripts, start=1))
    ours, other = connect(path), connect(path)
    waiting = [steps[:theirs]]

    def before(statement):
        if statement == "BEGIN IMMEDIATE" and waiting:
            migrate(other, path, waiting.pop())

    ours.set_trace_callback(before)
    assert migrate(ours, path, steps) == 3
    assert waiting == []
    assert other.execute("SELECT n FROM c").fetchall() == [(1,)]
    ours.close()
    other.close()


def test_a_newer_program_that_was_faster_is_seen(tmp_path):
    path = tmp_path / "f.db"
    ours, other = connect(path), connect(path)
    newer = f"PRAGMA application_id = {schema.APPLICATION_ID}; PRAGMA user_version = 900"
    ours.set_trace_callback(lambda text: text == "BEGIN IMMEDIATE" and other.executescript(newer))
    with pytest.raises(StorageNewer, match="is of version 900"):
        migrate(ours, path, migrations())
    assert not ours.in_transaction
    assert other.execute("SELECT name FROM sqlite_master").fetchall() == []
    ours.close()
    other.close()


def test_another_programs_database_is_left_alone(tmp_path):
    connection = connect(tmp_path / "f.db")
    connection.execute("CREATE TABLE theirs (n)")
    connection.close()
    with pytest.raises(StorageFailed, match="not made by Freehold"):
        Database.open(tmp_path / "f.db")


def insert_as_the_first_version_did(connection, receipt):
    shown = receipt.answered_by
    names = "id, created_unix_ms, tenant, key_id, task, route, deployment, zone, outcome, error_code, attempts"
    names += ", escalated, bytes_left, cost_micros, cost_currency, total_ms, document"
    cost = receipt.cost
    connection.execute(
        f"INSERT INTO receipts ({names}) VALUES (?, ?, ?, '', '', '', '', ?, ?, '', ?, ?, ?, ?, ?, 1, ?)",
        (
            receipt.id,
            receipt.created_unix_ms,
            receipt.tenant,
            shown.zone if shown else "",
            receipt.outcome.value,
            len(receipt.attempts),
            len(receipt.attempts) > 1,
            receipt.bytes_left,
            cost.micros if cost else None,
            cost.currency if cost else None,
            receipt_to_json(receipt),
        ),
    )
    for entry in entries(receipt):
        amount = entry.cost.amount
        connection.execute(
            "INSERT INTO ledger_entries VALUES (?, ?, ?, ?, '', ?, ?, 20, 5, 4, 0, 1, ?, ?, NULL, '', '', '', NULL, NULL)",
            (
                receipt.id,
                entry.attempt_index,
                receipt.created_unix_ms,
                receipt.tenant,
                entry.deployment,
                entry.zone,
                amount.micros if amount else None,
                amount.currency if amount else None,
            ),
        )


def test_receipts_of_the_first_version_stay_readable(tmp_path):
    turned_down = make_attempt(verdict=Verdict(action=Action.ESCALATE, reason="low_confidence", threshold=0.7))
    cloud = make_attempt(deployment="cloud", zone="us", bytes_left=400, cost=Cost(amount=None, source="unpriced"))
    kept = [
        make_receipt(id=receipt_id(1)),
        make_receipt(id=receipt_id(2), attempts=(turned_down, cloud), answered_index=1),
        make_receipt(id=receipt_id(3), attempts=(), answered_index=None, outcome=Outcome.REFUSED),
    ]
    connection = connect(tmp_path / "f.db")
    migrate(connection, tmp_path / "f.db", migrations()[:1])
    for receipt in kept:
        insert_as_the_first_version_did(connection, receipt)
    connection.close()

    database = Database.open(tmp_path / "f.db")
    store = SqliteReceipts(database, journal=tmp_path / "receipts")
    store.keep(make_receipt(id=receipt_id(4)))
    store.close()
    try:
        for receipt in kept:
            assert asyncio.run(store.get(receipt.id, tenant="acme")) == receipt_document(receipt)
        found = asyncio.run(store.recent(tenant="acme", limit=9, before=None))
        assert [document["id"] for document in found] == [receipt_id(number) for number in (4, 3, 2, 1)]
        ledger = SqliteLedger(database)
        span = {"from_unix_ms": 0, "to_unix_ms": 2**50}
        spent = asyncio.run(ledger.spend(**span, tenant="acme"))
        assert [(row.deployment, row.attempts, row.amount_micros) for row in spent] == [
            ("cloud", 1, 0),
            ("small", 3, 36),
        ]
        rows = asyncio.run(ledger.requests(**span, tenant="acme"))
        assert [(row.outcome.value, row.zone, row.requests, row.escalated, row.bytes_left) for row in rows] == [
            ("complete", "device", 1, 0, 0),
            ("complete", "device", 1, 0, 0),
            ("complete", "us", 1, 1, 400),
            ("refused", "", 1, 0, 0),
        ]
    finally:
        database.close()
