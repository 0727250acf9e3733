"""Keys on disk."""

from __future__ import annotations

import hashlib

import pytest

from freehold.domain.errors.server import StorageFailed
from freehold.storage.database import Database
from freehold.storage.keys import KeyRecord, SqliteKeys


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
