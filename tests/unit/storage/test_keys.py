"""Keys on disk."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import replace

import pytest

from freehold.domain.errors.server import StorageFailed
from freehold.domain.identity import UNNAMED, Reads
from freehold.storage.database import Database
from freehold.storage.keys import KeyEvent, KeyRecord, SqliteKeys
from freehold.storage.schema import migrate, migrations


def record(number, **changes):
    values = {
        "id": f"key-{number}",
        "sha256": hashlib.sha256(str(number).encode()).digest(),
        "name": "laptop",
        "tenant": "acme",
        "scopes": frozenset({"infer", "admin"}),
        "label": "confidential;zones=lan",
        "created_unix_ms": 5,
        "line": f"key-{number}",
    }
    return KeyRecord(**values | changes)


@pytest.fixture
def database(tmp_path):
    database = Database.open(tmp_path / "freehold.db")
    yield database
    database.close()


def test_keys_survive_reopening(database, tmp_path):
    keys = SqliteKeys(database)
    keys.add(record(1))
    keys.add(record(2, scopes=frozenset({"infer"}), label=""))
    other = Database.open(tmp_path / "freehold.db")
    assert SqliteKeys(other).all() == [record(1), record(2, scopes=frozenset({"infer"}), label="")]
    other.close()


def test_revoking_is_for_good_and_happens_once(database):
    keys = SqliteKeys(database)
    keys.add(record(1))
    assert keys.revoke("key-1", unix_ms=9) is True
    assert keys.revoke("key-1", unix_ms=10) is False
    assert keys.revoke("nobody", unix_ms=10) is False
    assert keys.all() == [record(1, revoked_unix_ms=9)]


def test_the_same_secret_cannot_be_two_keys(database):
    keys = SqliteKeys(database)
    keys.add(record(1))
    with pytest.raises(StorageFailed, match="UNIQUE"):
        keys.add(record(1, id="key-other"))


def test_a_key_and_its_event_are_stored_together_or_not_at_all(database):
    keys = SqliteKeys(database)
    event = KeyEvent(
        unix_ms=5, event="key.made", key_id="key-1", tenant="acme", by="test", detail={"scopes": ["infer"]}
    )
    keys.add(record(1), event)
    with pytest.raises(StorageFailed, match="UNIQUE"):
        keys.add(record(1, id="key-other"), event)
    assert keys.revoke("nobody", unix_ms=9, event=event) is False
    assert keys.events() == [replace(event, seq=1)]
    keys.forget(1)
    assert keys.events() == []


def test_of_two_that_follow_a_key_at_once_one_does(database):
    keys = SqliteKeys(database)
    keys.add(record(1))
    assert keys.rotate(record(2, follows="key-1", line="key-1"), unix_ms=10, until_unix_ms=20) is True
    assert keys.rotate(record(3, follows="key-1", line="key-1"), unix_ms=10, until_unix_ms=20) is False
    assert keys.rotate(record(4, follows="nobody"), unix_ms=10, until_unix_ms=20) is False
    assert keys.all() == [record(1, expires_unix_ms=20), record(2, follows="key-1", line="key-1")]


def test_a_key_of_an_older_version_is_the_first_of_its_line(tmp_path):
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, path, tuple(step for step in migrations() if step.name in {"start", "ledger", "sums"}))
    connection.execute("INSERT INTO keys VALUES ('key-1', ?, 'laptop', 'acme', 'infer', '', 5, NULL)", (b"x" * 32,))
    connection.close()
    database = Database.open(path)
    (kept,) = SqliteKeys(database).all()
    database.close()
    assert (kept.line, kept.follows, kept.expires_unix_ms) == ("key-1", "", None)


def test_keys_of_before_readers_read_as_nobody_in_particular(tmp_path):
    path = tmp_path / "freehold.db"
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, path, tuple(step for step in migrations() if step.version < 13))
    connection.execute(
        "INSERT INTO keys (id, sha256, name, tenant, scopes, label, created_unix_ms, follows, line) "
        "VALUES ('old', x'00', 'old', 'acme', 'infer', '', 5, '', 'old')"
    )
    connection.close()
    database = Database.open(path)
    (old,) = SqliteKeys(database).all()
    database.close()
    assert (old.id, old.reads) == ("old", UNNAMED)


def test_eyes_are_changed_while_a_key_is_good(database):
    keys = SqliteKeys(database)
    keys.add(record(1, expires_unix_ms=10))
    assert keys.change_reads("key-1", Reads(user="ana"), unix_ms=9) is True
    assert keys.change_reads("key-1", UNNAMED, unix_ms=10) is False
    assert keys.change_reads("nobody", UNNAMED, unix_ms=9) is False
    assert [each.reads for each in keys.all()] == [Reads(user="ana")]
