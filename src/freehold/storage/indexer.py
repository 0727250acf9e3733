"""The thread that brings receipts from the journal into the database, in natural batches.

A few thousand receipts on their way are kept in memory; when there are more (the database is locked, or slow), the
rest is read back from the journal's files, so that an outage of any length takes constant memory.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from freehold.domain.errors.server import StorageFailed
from freehold.domain.receipt import Receipt
from freehold.storage.connection import check, is_corrupting, open_writer
from freehold.storage.fellows import Mark
from freehold.storage.journal import Journal, Place
from freehold.storage.named_sql import load
from freehold.storage.pages import PAGE_RECEIPTS_MAX, PAGES, decode_receipt, encode_page, encode_receipt
from freehold.storage.receipt_rows import Entries, Row, rows_of

_LOG = logging.getLogger(__name__)

WAITING_MAX = 4_096
"""Receipts kept in memory until the database has them."""

INDEX_EVERY_S = 0.05
"""How long receipts gather for one transaction."""

RETRY_S = 1.0
"""Between two attempts after a failure."""

_BATCH_MAX = 1_024
_TRIAL_SEQ = 2**62
_READ_BYTES = 1024 * 1024
_WAL_LIMIT_BYTES = 16 * 1024 * 1024


class _Kept(NamedTuple):
    """A receipt on its way: where its frame in the journal ends, and its bytes, a fifth of what it takes itself."""

    end: Place
    payload: bytes


class Indexer:
    """Owns the journal's reading end and a connection of its own. ``put`` is for one thread."""

    def __init__(self, path: Path, journal: Journal, entries: Entries, mark: Mark | None = None) -> None:
        """Start the thread; it begins with what an earlier process left in the journal.

        Args:
            path: The database.
            journal: Where receipts are written first.
            entries: The ledger's view of a receipt.
            mark: Tells other processes how far the database is; ``None`` where there are none.
        """
        self._mark = mark
        self._path = path
        self._journal = journal
        self._entries = entries
        self._sql = load("receipts")
        self._connection: sqlite3.Connection | None = None
        self._suspect = False
        self._lock = threading.Lock()
        self._queue: deque[_Kept] = deque()
        self._waiting = 0
        self._from: Place | None = journal.first  # read from the files from here on; None: the queue holds all
        self._failure = ""
        self._closing = False
        self._close_by_s = math.inf
        self._asleep = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="freehold-receipts", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> str:
        """Why receipts cannot be brought into the database now; empty while they can."""
        return self._failure

    @property
    def waiting(self) -> int:
        """Receipts that this process has kept and the database does not have yet."""
        return self._waiting

    def put(self, receipt: Receipt) -> None:
        """Write a receipt down and have it brought into the database.

        Raises:
            StorageFailed: The journal cannot be written.
            StorageBusy: It is as large as it may be.
        """
        payload = encode_receipt(receipt)
        with self._lock:
            before = self._journal.end
            self._journal.append(payload)
            if self._from is None:
                if len(self._queue) < WAITING_MAX:
                    self._queue.append(_Kept(self._journal.end, payload))
                else:
                    self._from = before
            self._waiting += 1
        if self._asleep:
            self._wake.set()

    def unindexed(self) -> tuple[list[bytes], Place | None]:
        """The receipts in memory, encoded, and from where on the journal's files hold more."""
        with self._lock:
            return [kept.payload for kept in self._queue], self._from

    def close(self, *, within_s: float = math.inf) -> None:
        """Bring what is there into the database, if that can be done in time, then end the thread. Idempotent.

        What is left stays in the journal, and the next one that opens it goes on from there.
        """
        self._close_by_s = time.monotonic() + within_s
        self._closing = True
        self._wake.set()
        self._thread.join()

    # --- the indexer's thread -----------------------------------------------------------------------

    def _run(self) -> None:
        ended = "the indexer ended unexpectedly"
        try:
            while not self._closing:
                self._wait()
                self._round()
            while not self._failure and (self._queue or self._from is not None) and time.monotonic() < self._close_by_s:
                self._round()
            ended = ""
        finally:
            self._failure = self._failure or ended
            self._journal.failure = self._journal.failure or ended or "it is closed"
            self._drop_connection()

    def _wait(self) -> None:
        self._wake.clear()
        self._asleep = True
        if self._closing:
            timeout_s: float | None = 0.0
        elif self._failure or self._journal.failure:
            timeout_s = RETRY_S
        elif self._queue or self._from is not None:
            self._asleep = False
            # Who has fallen behind reads on at once.
            timeout_s = INDEX_EVERY_S if self._from is None else 0.0
        else:
            timeout_s = None
        if timeout_s != 0.0:
            self._wake.wait(timeout_s)
        self._asleep = False
        if timeout_s is None and not self._closing:
            # Woken by the first receipt after a pause: let others gather.
            self._wake.clear()
            self._wake.wait(INDEX_EVERY_S)

    def _round(self) -> None:
        try:
            if self._journal.failure:
                with self._lock:
                    self._journal.renew()
            self._journal.sync()
        except OSError as error:
            _LOG.error("receipts: the journal cannot be written: %s", error.strerror or error)
        try:
            self._index()
        except (sqlite3.Error, StorageFailed, OSError) as error:
            self._failed(error)
        else:
            self._failure = ""

    def _index(self) -> None:
        with self._lock:
            batch = list(islice(self._queue, _BATCH_MAX))
            place = self._from
        if batch:
            self._store(batch)
            with self._lock:
                for _ in batch:
                    self._queue.popleft()
                self._waiting -= len(batch)
        elif place is not None:
            self._read_on(place)
        done = batch[-1].end if batch else self._from or self._journal.end
        if self._mark is not None:
            self._mark.put(done)
        self._finish_segments(done.number)

    def _read_on(self, place: Place) -> None:
        """Store what the journal's files hold from ``place`` on: a piece of it."""
        payloads, after = self._journal.read(place, bytes_max=_READ_BYTES)
        found = [_Kept(after, payload) for payload in payloads]
        for start in range(0, len(found), _BATCH_MAX):
            self._store(found[start : start + _BATCH_MAX], again=True)
        with self._lock:
            self._from = None if after == self._journal.end else after
            self._waiting = max(0, self._waiting - len(payloads)) if self._from else 0

    def _store(self, batch: Sequence[_Kept], *, again: bool = False) -> None:
        """Commit receipts, of which some may be there ``again``."""
        connection = self._ready_connection()
        try:
            self._transact(connection, batch, known=again)
        except (sqlite3.IntegrityError, ValueError, OverflowError):
            # One that is there already, or cannot be stored: the others must not suffer for it.
            self._transact(connection, batch, known=True)

    def _transact(self, connection: sqlite3.Connection, batch: Sequence[_Kept], *, known: bool) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if known:
                batch = self._new_ones(connection, batch)
            (seq,) = connection.execute(self._sql["newest_seq"]).fetchone()
            for start in range(0, len(batch), PAGE_RECEIPTS_MAX):
                seq = self._insert(connection, batch[start : start + PAGE_RECEIPTS_MAX], seq + 1)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _insert(self, connection: sqlite3.Connection, page: Sequence[_Kept], first_seq: int) -> int:
        """Insert one page with its rows; returns the number of the last one."""
        rows: list[Row] = []
        times: list[int] = []
        for kept in page:
            receipt = decode_receipt(kept.payload)
            rows += rows_of(receipt, self._entries, first_seq + len(rows))
            times.append(receipt.created_unix_ms)
        last_seq = first_seq + len(rows) - 1
        content = encode_page([kept.payload for kept in page])
        connection.executemany(self._sql["insert_row"], rows)
        connection.execute(self._sql["insert_page"], (first_seq, last_seq, min(times), max(times), PAGES, content))
        return last_seq

    def _new_ones(self, connection: sqlite3.Connection, batch: Sequence[_Kept]) -> list[_Kept]:
        """Those that are not there yet and can be stored."""
        found: dict[tuple[str, str], _Kept] = {}
        for kept in batch:
            receipt = _decoded(kept.payload)
            if receipt is None:
                continue
            name = (receipt.tenant, receipt.id)
            connection.execute("SAVEPOINT one")
            try:
                if name in found or connection.execute(self._sql["is_there"], name).fetchone():
                    continue
                connection.executemany(self._sql["insert_row"], rows_of(receipt, self._entries, _TRIAL_SEQ))
                found[name] = kept
            except (sqlite3.IntegrityError, ValueError, OverflowError) as error:
                _LOG.error("receipt %s cannot be brought into the database: %s", name, error)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK TO one")
                    connection.execute("RELEASE one")
        return list(found.values())

    def _finish_segments(self, before: int) -> None:
        """Delete the segments below a number: all of theirs is committed, and is brought to the medium first."""
        if before <= self._journal.first.number:
            return
        connection = self._ready_connection()
        connection.execute("PRAGMA synchronous = FULL")
        try:
            # A commit of this kind flushes the ones before it too; it writes what is there already.
            connection.execute(f"PRAGMA user_version = {_version(connection)}")
        finally:
            connection.execute("PRAGMA synchronous = NORMAL")
        self._journal.drop(before)

    def _ready_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = open_writer(self._path)
            found = check(connection) if self._suspect else ""
            if found:
                connection.close()
                raise StorageFailed(name=self._path.name, done="written", reason=f"its check found: {found}")
            # The journal keeps what a power cut takes from here until the medium has it.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
            self._connection, self._suspect = connection, False
        return self._connection

    def _failed(self, error: sqlite3.Error | StorageFailed | OSError) -> None:
        if isinstance(error, sqlite3.Error):
            self._suspect = self._suspect or is_corrupting(error)
        reason = str(error.values["reason"]) if isinstance(error, StorageFailed) else str(error)
        if reason != self._failure:
            _LOG.error("receipts wait in the journal: %s", reason)
        self._failure = reason
        self._drop_connection()

    def _drop_connection(self) -> None:
        if self._connection is not None:
            try:
                self._connection.close()
            except sqlite3.Error as error:
                _LOG.warning("closing the database failed: %s", error)
            self._connection = None


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _decoded(payload: bytes) -> Receipt | None:
    try:
        return decode_receipt(payload)
    except (msgspec.MsgspecError, ValueError) as error:
        _LOG.error("a receipt of the journal cannot be read: %s", error)
        return None
