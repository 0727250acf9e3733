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
from pathlib import Path
from typing import NamedTuple

from freehold.domain.errors.server import StorageFailed
from freehold.domain.receipt import Receipt
from freehold.storage.connection import check, is_corrupting, open_writer
from freehold.storage.fellows import Mark
from freehold.storage.filing import Filing
from freehold.storage.journal import Journal, Place
from freehold.storage.pages import encode_receipt

_LOG = logging.getLogger(__name__)

WAITING_MAX = 4_096
"""Receipts kept in memory until the database has them."""

INDEX_EVERY_S = 0.05
"""How long receipts gather for one transaction."""

RETRY_S = 1.0
"""Between two attempts after a failure."""

_BATCH_MAX = 1_024
_READ_BYTES = 1024 * 1024
_LOCKED_MS = 500
"""How long one attempt waits for another process's lock: the journal is flushed between attempts."""

_WAL_LIMIT_BYTES = 16 * 1024 * 1024
_CACHE_KIB = 1_024
"""What is written is at the end of its tables: a larger cache fills with what is not looked at again."""


class _Kept(NamedTuple):
    """Receipts on their way that were put together.

    Attributes:
        end: Where the last one's frame in the journal ends.
        payloads: Their bytes, a fifth of what they take themselves.
    """

    end: Place
    payloads: tuple[bytes, ...]


class Indexer:
    """Owns the journal's reading end and a connection of its own. ``put`` is for one thread."""

    def __init__(self, path: Path, journal: Journal, mark: Mark | None = None) -> None:
        """Start the thread; it begins with what an earlier process left in the journal.

        Args:
            path: The database.
            journal: Where receipts are written first.
            mark: Tells other processes how far the database is; ``None`` where there are none.
        """
        self._mark = mark
        self._path = path
        self._journal = journal
        self._filing = Filing()
        self._connection: sqlite3.Connection | None = None
        self._suspect = False
        self._lock = threading.Lock()
        self._queue: deque[_Kept] = deque()
        self._held = 0  # receipts in the queue
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

    def put(self, *receipts: Receipt) -> None:
        """Write receipts down, all or none, and have them brought into the database.

        Raises:
            StorageFailed: The journal cannot be written.
            StorageBusy: It is as large as it may be.
        """
        payloads = tuple(map(encode_receipt, receipts))
        with self._lock:
            start = self._journal.end
            end = self._journal.append(*payloads)
            if self._from is None:
                if self._held + len(payloads) <= WAITING_MAX:
                    self._queue.append(_Kept(end, payloads))
                    self._held += len(payloads)
                else:
                    self._from = start
            self._waiting += len(payloads)
        if self._asleep:
            self._wake.set()

    def unindexed(self) -> tuple[list[bytes], Place | None]:
        """The receipts in memory, encoded, and from where on the journal's files hold more."""
        with self._lock:
            return [payload for kept in self._queue for payload in kept.payloads], self._from

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
            batch = self._oldest()
            place = self._from
        if batch:
            payloads = [payload for kept in batch for payload in kept.payloads]
            self._filing.put(self._ready_connection(), payloads)
            with self._lock:
                for _ in batch:
                    self._queue.popleft()
                self._held -= len(payloads)
                self._waiting -= len(payloads)
        elif place is not None:
            self._read_on(place)
        done = batch[-1].end if batch else self._from or self._journal.end
        if self._mark is not None:
            self._mark.put(done)
        self._finish_segments(done.number)

    def _oldest(self) -> list[_Kept]:
        """What was put first, until it is ``_BATCH_MAX`` receipts."""
        batch, size = list[_Kept](), 0
        for kept in self._queue:
            batch.append(kept)
            size += len(kept.payloads)
            if size >= _BATCH_MAX:
                break
        return batch

    def _read_on(self, place: Place) -> None:
        """Store what the journal's files hold from ``place`` on: a piece of it."""
        payloads, after = self._journal.read(place, bytes_max=_READ_BYTES)
        for start in range(0, len(payloads), _BATCH_MAX):
            self._filing.put(self._ready_connection(), payloads[start : start + _BATCH_MAX], again=True)
        with self._lock:
            self._from = None if after == self._journal.end else after
            self._waiting = max(0, self._waiting - len(payloads)) if self._from else 0

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
            connection.execute(f"PRAGMA busy_timeout = {_LOCKED_MS}")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
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
