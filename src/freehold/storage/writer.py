"""The one thread that writes, with natural group commit."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.server import StorageBusy, StorageFailed
from freehold.storage.connection import check, is_corrupting, is_disk_error, open_writer

_LOG = logging.getLogger(__name__)
_BATCH_MAX = 1_000
_RETRY_S = 1

# What a unit of work may raise on account of its own values; anything else ends the thread, and with it all that waits.
_WORK_ERRORS = (sqlite3.Error, FreeholdError, ValueError, TypeError, LookupError, ArithmeticError)


@dataclass(slots=True, eq=False)
class Job:
    """One unit of work and who waits for it. ``loop`` is ``None`` where a thread waits."""

    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any] | futures.Future[Any]
    loop: asyncio.AbstractEventLoop | None
    result: Any = None
    error: Exception | None = None

    def settle(self) -> None:
        """Hand over the outcome. A waiter that gave up meanwhile is left alone."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer:
    """Runs queued work in the order given, as many units a transaction as queued while the last commit ran.

    A unit that fails on its own account (a broken constraint, a value that does not fit) is undone alone; the others
    of its transaction stand. A failing disk fails the whole transaction; the connection is then thrown away, and the
    next transaction starts on a fresh one. After an I/O error or a malformed file that one is checked first.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, *, queue_max: int) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = connection
        self._queue_max = queue_max
        self._queue: deque[Job] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._suspect = False
        self._failure = ""
        self._thread = threading.Thread(target=self._run, name="freehold-storage", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> str:
        """Why the last transaction failed; empty if it did not."""
        return self._failure

    @property
    def waiting(self) -> int:
        """Units queued."""
        return len(self._queue)

    def put(self, job: Job) -> None:
        """Queue one unit.

        Raises:
            StorageBusy: ``queue_max`` units wait already.
            StorageFailed: The writer is closed.
        """
        with self._wake:
            if self._closing:
                raise StorageFailed(name=self._path.name, done="written", reason="it is closed")
            if len(self._queue) >= self._queue_max:
                raise StorageBusy(waiting=len(self._queue), retry_s=_RETRY_S, retry_after_s=_RETRY_S)
            self._queue.append(job)
            self._wake.notify()

    def close(self) -> None:
        """Commit what is queued, then end the thread. Idempotent."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            while jobs := self._take():
                self._transact(jobs)
                _settle_all(jobs)
        finally:
            # Reached with jobs left only if something unforeseen ended the loop: nobody may wait for ever.
            with self._wake:
                self._closing = True
                left = [*self._queue]
                self._queue.clear()
            self._fail(left, "the writer ended")
            _settle_all(left)
            self._drop_connection()

    def _take(self) -> list[Job]:
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            return [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH_MAX))]

    def _transact(self, jobs: Sequence[Job]) -> None:
        try:
            connection = self._ready_connection()
            connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                self._run_alone(connection, job)
            connection.execute("COMMIT")
        except (sqlite3.Error, StorageFailed) as error:
            self._failed(jobs, error)
        except BaseException:
            self._fail(jobs, "the writer ended")
            _settle_all(jobs)
            raise
        else:
            self._failure = ""

    def _run_alone(self, connection: sqlite3.Connection, job: Job) -> None:
        connection.execute("SAVEPOINT unit")
        try:
            job.result = job.work(connection)
        except _WORK_ERRORS as error:
            if isinstance(error, sqlite3.Error) and (is_disk_error(error) or not connection.in_transaction):
                raise
            connection.execute("ROLLBACK TO unit")
            _LOG.error("one write failed: %s", error)
            if isinstance(error, FreeholdError):
                job.error = error
            else:
                job.error = StorageFailed(name=self._path.name, done="written", reason=error)
                job.error.__cause__ = error
        connection.execute("RELEASE unit")

    def _ready_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = open_writer(self._path)
            found = check(connection) if self._suspect else ""
            if found:
                connection.close()
                raise StorageFailed(name=self._path.name, done="written", reason=f"its check found: {found}")
            self._connection, self._suspect = connection, False
        return self._connection

    def _failed(self, jobs: Sequence[Job], error: sqlite3.Error | StorageFailed) -> None:
        if isinstance(error, sqlite3.Error):
            self._suspect = self._suspect or is_corrupting(error)
            reason = str(error)
        else:
            reason = str(error.values["reason"])
        _LOG.error("%d writes failed: %s", len(jobs), reason)
        self._fail(jobs, reason)
        self._drop_connection()

    def _fail(self, jobs: Sequence[Job], reason: str) -> None:
        self._failure = reason
        for job in jobs:
            # One error each: an exception that several waiters raise would grow one shared traceback.
            job.result, job.error = None, StorageFailed(name=self._path.name, done="written", reason=reason)

    def _drop_connection(self) -> None:
        if self._connection is not None:
            try:
                self._connection.close()  # rolls an open transaction back
            except sqlite3.Error as error:
                _LOG.warning("closing the database failed: %s", error)
            self._connection = None


def _settle_all(jobs: Sequence[Job]) -> None:
    """Wake the waiters: one call into each event loop, however many of its futures are settled."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        if job.loop is None:
            job.settle()
        else:
            by_loop.setdefault(job.loop, []).append(job)
    for loop, waiting in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_here, waiting)
        except RuntimeError:
            # The loop is closed: whoever waited is gone, the work itself is committed.
            _LOG.debug("%d writes ended after their event loop", len(waiting))


def _settle_here(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.settle()
