"""Opening a file that another process opens at the same time."""

from __future__ import annotations

import sqlite3

import pytest

from freehold.storage.connection import keep_log


@pytest.fixture
def reading(tmp_path):
    """A connection that reads a file which has no log yet."""
    connection = sqlite3.connect(tmp_path / "f.db", isolation_level=None)
    connection.executescript("CREATE TABLE t (n); BEGIN; SELECT * FROM t")
    yield connection
    connection.close()


@pytest.fixture
def opening(tmp_path, reading):
    """Another to the same file."""
    connection = sqlite3.connect(tmp_path / "f.db", isolation_level=None)
    connection.execute("PRAGMA busy_timeout = 10")
    yield connection
    connection.close()


def test_it_waits_for_the_other(opening, reading):
    opening.set_trace_callback(lambda text: text == "BEGIN EXCLUSIVE" and reading.execute("ROLLBACK"))
    keep_log(opening)
    assert opening.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert not opening.in_transaction


def test_it_waits_no_longer_than_for_a_statement(opening, reading):
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        keep_log(opening)
    assert reading.in_transaction


def test_another_error_is_none_of_its_business(tmp_path):
    (tmp_path / "f.db").write_bytes(b"no database, but long enough to be looked at" * 100)
    connection = sqlite3.connect(tmp_path / "f.db", isolation_level=None)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        keep_log(connection)
    connection.close()
