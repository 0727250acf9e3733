"""The writer thread, group commit, failures, readers, closing."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading

import pytest

from freehold.domain.errors.request import BodyNotJson
from freehold.domain.errors.server import StorageBusy, StorageFailed
from freehold.storage import writer as writer_module
from freehold.storage.database import Database


@pytest.fixture
def database(tmp_path):
    database = Database.open(tmp_path / "freehold.db")
    database.run(lambda c: c.execute("CREATE TABLE t (n INTEGER UNIQUE)") and None)
    yield database
    database.close()


def insert(n):
    return lambda connection: connection.execute("INSERT INTO t VALUES (?)", (n,)).rowcount


def numbers(database):
    return [row["n"] for row in database.query(lambda c: c.execute("SELECT n FROM t ORDER BY n").fetchall())]


class Gate:
    """Work that holds the writer thread until it is opened."""

    def __init__(self):
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, connection):
        self.entered.set()
        assert self.open.wait(10)


def test_submission_happens_at_the_call_and_a_dropped_future_loses_nothing(database):
    async def main():
        database.submit(insert(1))
        database.submit(insert(2)).cancel()
        assert await database.submit(insert(3)) == 1

    asyncio.run(main())
    assert numbers(database) == [1, 2, 3]


def test_what_queues_during_a_commit_is_committed_together(database):
    statements = []
    gate = Gate()

    async def main():
        await database.submit(lambda c: c.set_trace_callback(statements.append))
        first = database.submit(gate)
        await asyncio.to_thread(gate.entered.wait, 10)
        rest = [database.submit(insert(n)) for n in range(100)]
        gate.open.set()
        await first
        await asyncio.gather(*rest)
        await database.submit(lambda c: c.set_trace_callback(None))

    asyncio.run(main())
    # One for the tracer's own start (its BEGIN came before), one for the gate, one for the hundred.
    assert statements.count("COMMIT") == 3
    assert numbers(database) == list(range(100))


def test_a_unit_that_fails_is_undone_alone(database):
    gate = Gate()

    def half(connection):
        connection.execute("INSERT INTO t VALUES (50)")
        raise ValueError("on second thoughts")

    def refuse(connection):
        raise BodyNotJson(reason="test")

    async def main():
        futures = [database.submit(gate)]
        futures += [database.submit(work) for work in (insert(1), half, insert(1), refuse, insert(2))]
        gate.open.set()
        return await asyncio.gather(*futures, return_exceptions=True)

    _, one, error, duplicate, own, two = asyncio.run(main())
    assert (one, two) == (1, 1)
    assert isinstance(error, StorageFailed)
    assert isinstance(duplicate, StorageFailed)
    assert "UNIQUE" in duplicate.message
    assert isinstance(own, BodyNotJson)
    assert numbers(database) == [1, 2]


def test_a_busy_database_fails_the_write_and_recovers(tmp_path, monkeypatch):
    monkeypatch.setattr("freehold.storage.connection._BUSY_TIMEOUT_MS", 20)
    database = Database.open(tmp_path / "f.db")
    other = sqlite3.connect(tmp_path / "f.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageFailed, match="locked"):
            database.run(lambda c: None)
        assert "locked" in database.failure
        other.execute("COMMIT")
        database.run(lambda c: None)
        assert database.failure == ""
    finally:
        other.close()
        database.close()


def test_the_queue_is_bounded(tmp_path):
    database = Database.open(tmp_path / "f.db", queue_max=2)
    gate = Gate()

    async def main():
        held = database.submit(gate)
        await asyncio.to_thread(gate.entered.wait, 10)
        waiting = [database.submit(lambda c: 1) for _ in range(2)]
        assert database.waiting == 2
        with pytest.raises(StorageBusy, match="2 writes wait") as caught:
            database.submit(lambda c: 1)
        assert caught.value.retry_after_s == 1
        gate.open.set()
        await held
        assert await asyncio.gather(*waiting) == [1, 1]
        assert await database.submit(lambda c: 2) == 2

    try:
        asyncio.run(main())
    finally:
        database.close()


def test_closing_commits_what_is_queued(database, tmp_path):
    gate = Gate()

    async def main():
        database.submit(gate)
        futures = [database.submit(insert(n)) for n in range(20)]
        closing = asyncio.create_task(asyncio.to_thread(database.close))
        gate.open.set()
        await closing
        assert await asyncio.gather(*futures) == [1] * 20

    asyncio.run(main())
    again = Database.open(tmp_path / "freehold.db")
    assert numbers(again) == list(range(20))
    again.close()


def test_a_closed_database_says_so(database):
    database.close()
    database.close()
    with pytest.raises(StorageFailed, match="it is closed"):
        database.run(insert(1))
    with pytest.raises(StorageFailed, match="it is closed"):
        database.query(lambda c: None)


def test_a_loop_that_is_gone_does_not_stop_the_writer(database):
    gate = Gate()

    async def main():
        database.submit(gate)
        database.submit(insert(1))

    asyncio.run(main())
    gate.open.set()
    database.run(insert(2))
    assert numbers(database) == [1, 2]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_ever_when_the_writer_dies(database):
    gate = Gate()

    class UnforeseenError(Exception):
        pass

    def dies(connection):
        gate(connection)
        raise UnforeseenError

    async def main():
        first = database.submit(dies)
        await asyncio.to_thread(gate.entered.wait, 10)
        second = database.submit(insert(1))
        gate.open.set()
        return await asyncio.gather(first, second, return_exceptions=True)

    for error in asyncio.run(main()):
        assert isinstance(error, StorageFailed)
        assert "writer ended" in error.message
    with pytest.raises(StorageFailed):
        database.run(insert(2))


def test_50_after_an_io_error_the_file_is_opened_anew_and_checked(database, monkeypatch):
    opened = []
    real = writer_module.open_writer
    monkeypatch.setattr(writer_module, "open_writer", lambda path: opened.append(path) or real(path))
    checked = []
    real_check = writer_module.check
    monkeypatch.setattr(writer_module, "check", lambda c: checked.append(c) or real_check(c))

    def breaks(connection):
        connection.execute("INSERT INTO t VALUES (1)")
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    with pytest.raises(StorageFailed, match="disk I/O error"):
        database.run(breaks)
    assert database.failure == "disk I/O error"
    database.run(insert(2))
    assert (len(opened), len(checked)) == (1, 1)
    assert numbers(database) == [2]
    assert database.failure == ""


def test_a_file_that_fails_its_check_is_not_written_to(database, monkeypatch):
    def breaks(connection):
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    with pytest.raises(StorageFailed):
        database.run(breaks)
    monkeypatch.setattr(writer_module, "check", lambda c: "row 3 missing from index")
    for _ in range(2):
        with pytest.raises(StorageFailed, match="its check found: row 3 missing"):
            database.run(insert(1))


def test_readers_cannot_write_and_see_what_is_committed(database):
    async def main():
        await database.submit(insert(7))
        rows = await database.read(lambda c: c.execute("SELECT n FROM t").fetchall())
        assert [row["n"] for row in rows] == [7]
        with pytest.raises(StorageFailed, match="cannot be read: attempt to write a readonly"):
            await database.read(insert(8))

    asyncio.run(main())


def test_readers_do_not_wait_for_the_writer(database):
    gate = Gate()

    async def main():
        held = database.submit(gate)
        await asyncio.to_thread(gate.entered.wait, 10)
        assert await database.read(lambda c: c.execute("SELECT COUNT(*) FROM t").fetchone()[0]) == 0
        gate.open.set()
        await held

    asyncio.run(main())


def test_it_is_durable_private_and_sound(database, tmp_path):
    pragmas = database.run(lambda c: [c.execute(f"PRAGMA {p}").fetchone()[0] for p in ("journal_mode", "synchronous")])
    assert pragmas == ["wal", 2]
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert database.check() == ""


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "f.db").write_bytes(b"hello, I am a text file that is long enough to have a header of 100 bytes" * 3)
    with pytest.raises(StorageFailed, match="cannot be opened"):
        Database.open(tmp_path / "f.db")
    assert (tmp_path / "f.db").read_bytes().startswith(b"hello")


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(StorageFailed, match="No such file"):
        Database.open(tmp_path / "none" / "f.db")
