"""Migrations: all or nothing, and never backwards."""

from __future__ import annotations

import sqlite3

import pytest

from freehold.domain.errors.server import StorageFailed, StorageNewer
from freehold.storage import schema
from freehold.storage.database import Database
from freehold.storage.schema import Migration, migrate, migrations


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


def test_another_programs_database_is_left_alone(tmp_path):
    connection = connect(tmp_path / "f.db")
    connection.execute("CREATE TABLE theirs (n)")
    connection.close()
    with pytest.raises(StorageFailed, match="not made by Freehold"):
        Database.open(tmp_path / "f.db")
