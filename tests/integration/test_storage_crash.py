"""Storage under kill -9 and on a full disk: what was acknowledged is there, and what failed was said to have failed.

A power cut is not tested here: it needs a block device that forgets unflushed writes (dm-log-writes, as root).
"""

from __future__ import annotations

import os
import random
import select
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from freehold.storage.batch_results import ResultJournal
from freehold.storage.database import Database
from freehold.storage.keys import SqliteKeys
from freehold.storage.receipts import SqliteReceipts
from freehold.storage.schema import migrations

_ROOT = Path(__file__).parents[2]
_CHILD = Path(__file__).with_name("storage_child.py")
_PATIENCE_S = 30


def start(kind: str, folder: Path, number: int = 0) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join((str(_ROOT / "src"), str(_ROOT)))
    return subprocess.Popen(
        [sys.executable, str(_CHILD), kind, str(folder), str(number)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    )


def read_until(descriptor: int, said: bytes, moment: float) -> bytes:
    while (left := moment - time.monotonic()) > 0:
        ready, _, _ = select.select([descriptor], [], [], left)
        if ready:
            piece = os.read(descriptor, 65_536)
            assert piece, "the child ended by itself"
            said += piece
    return said


def run_and_kill(kind: str, folder: Path, *, number: int, alive_s: float) -> list[str]:
    """The lines that a child said before it was killed at a moment of its work."""
    child = start(kind, folder, number)
    assert child.stdout is not None
    descriptor = child.stdout.fileno()
    try:
        first = b""
        deadline = time.monotonic() + _PATIENCE_S
        while first.count(b"\n") < 2:  # "up", and one acknowledgement: the work has begun
            ready, _, _ = select.select([descriptor], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"the child said only {first!r}"
            piece = os.read(descriptor, 65_536)
            assert piece, "the child ended by itself"
            first += piece
        said = read_until(descriptor, first, time.monotonic() + alive_s)
    finally:
        child.kill()
        rest = child.stdout.read()
        child.stdout.close()
        assert child.wait() == -signal.SIGKILL
    lines = (said + rest).decode().split("\n")
    return lines[1:-1]  # without "up", and without what may be half a line


def _counts(connection: sqlite3.Connection) -> list[int]:
    """How many attempts and requests the ledger counts; each of these requests has one attempt."""
    statements = "SELECT SUM(attempts) FROM ledger_spend", "SELECT SUM(requests) FROM ledger_requests"
    return [connection.execute(statement).fetchone()[0] for statement in statements]


def test_51_no_acknowledged_receipt_is_lost_by_kill_9(tmp_path):
    moments = random.Random(51)
    acknowledged: set[str] = set()
    number = 1
    for _ in range(20):
        said = run_and_kill("receipts", tmp_path, number=number, alive_s=moments.uniform(0, 0.06))
        assert said
        acknowledged |= set(said)
        database = Database.open(tmp_path / "freehold.db")
        try:
            SqliteReceipts(database, journal=tmp_path / "receipts").close()
            assert database.check() == ""
            stored = [row["id"] for row in database.query(lambda c: c.execute("SELECT id FROM receipts").fetchall())]
            assert acknowledged <= set(stored)
            assert len(stored) == len(set(stored)), "what is replayed is not there twice"
            assert database.query(_counts) == [len(stored)] * 2
        finally:
            database.close()
        number = max(int(identifier[-12:]) for identifier in stored) + 1
    assert len(acknowledged) > 200


def test_51_no_acknowledged_result_of_a_batch_is_lost_or_there_twice(tmp_path):
    moments = random.Random(53)
    acknowledged: set[int] = set()
    number = 0
    for _ in range(int(os.environ.get("FREEHOLD_KILLS", "5"))):
        for line in run_and_kill("results", tmp_path, number=number, alive_s=moments.uniform(0, 0.06)):
            acknowledged |= set(map(int, line.split()))
        results = ResultJournal(tmp_path / "batch.results", 1_000_000)
        try:
            number = max(acknowledged) + 4
            found = [each for each in results.lines(range(number)) if each is not None]
            assert acknowledged <= {each.place for each in found}
            assert all(each.line == b'"%d"' % each.place for each in found)
            assert results.done == len(found) == len((tmp_path / "batch.results").read_bytes().splitlines())
        finally:
            results.close()
    assert len(acknowledged) > 50


def test_51_no_acknowledged_key_or_revocation_is_lost_by_kill_9(tmp_path):
    moments = random.Random(52)
    made: set[str] = set()
    revoked: set[str] = set()
    number = 1
    for _ in range(5):
        for line in run_and_kill("keys", tmp_path, number=number, alive_s=moments.uniform(0, 0.06)):
            word, key_id = line.split()
            (made if word == "made" else revoked).add(key_id)
        database = Database.open(tmp_path / "freehold.db")
        try:
            records = {record.id: record for record in SqliteKeys(database).all()}
        finally:
            database.close()
        assert made <= records.keys()
        assert all(records[key_id].revoked_unix_ms == 2 for key_id in revoked)
        number = max(int(key_id.removeprefix("key-")) for key_id in records) + 1
    assert revoked


def test_60_a_migration_that_is_killed_is_done_or_not_begun(tmp_path):
    moments = random.Random(60)
    for _ in range(5):
        run_and_kill("migrate", tmp_path, number=0, alive_s=moments.uniform(0, 0.05))
    files = sorted(tmp_path.glob("*.db"))
    assert len(files) >= 5
    for file in files:
        database = Database.open(file)
        try:
            assert database.check() == ""
            version = database.query(lambda c: c.execute("PRAGMA user_version").fetchone()[0])
            assert version == migrations()[-1].version
            database.query(lambda c: c.execute("SELECT COUNT(*) FROM keys").fetchone())
        finally:
            database.close()


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit on file size on this system")
def test_49_a_full_disk_is_said_and_writing_resumes_by_itself(tmp_path):
    child = start("full", tmp_path)
    output, _ = child.communicate(timeout=_PATIENCE_S)
    assert child.returncode == 0
    lines = output.decode().splitlines()[1:]
    failed = [line for line in lines if line.startswith("failed ")]
    stored = [int(line.split()[1]) for line in lines if line.startswith("stored ")]
    states = [line.removeprefix("state ") for line in lines if line.startswith("state")]
    assert len(failed) == 1
    number = int(failed[0].split()[1])
    assert "FH-SERVER-006" in failed[0]
    assert "cannot be written" in failed[0]
    assert stored == [*range(1, number), number, number + 1, number + 2]
    assert len(states) == 2
    assert states[0]
    assert not states[1], "writing works again"
    database = Database.open(tmp_path / "freehold.db")
    try:
        assert database.check() == ""
        found = database.query(lambda c: [row["id"] for row in c.execute("SELECT id FROM receipts ORDER BY id")])
        assert [int(identifier[-12:]) for identifier in found] == stored
    finally:
        database.close()
