"""One SQLite file: a writer thread with group commit, and readers that never wait for it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from freehold.domain.errors.server import StorageFailed
from freehold.storage.connection import check, open_reader, open_writer
from freehold.storage.schema import migrate, migrations
from freehold.storage.writer import Job, Writer

T = TypeVar("T")

_READERS = 2
_QUEUE_MAX = 10_000


class Database:
    """An open database. All methods are safe to call from any thread; ``submit`` and ``read`` need a running loop.

    Several processes may have it open at once (SQLite arbitrates); that only one *server* uses a folder is the
    business of ``DataFolder``.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, *, queue_max: int) -> None:
        self._path = path
        self._writer = Writer(path, connection, queue_max=queue_max)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="freehold-storage-reader")
        self._local = threading.local()
        self._open_readers: list[sqlite3.Connection] = []

    @classmethod
    def open(cls, path: Path, *, queue_max: int = _QUEUE_MAX) -> Self:
        """Open the file, making it (mode 0600) or migrating it as needed. Blocks; call it before serving.

        Args:
            path: The file; its folder must exist.
            queue_max: Most writes that may wait.

        Raises:
            StorageNewer: A newer Freehold wrote it; it was left untouched.
            StorageFailed: It cannot be opened, is not ours, or a migration failed.
        """
        connection = open_writer(path)
        try:
            migrate(connection, path, migrations())
        except sqlite3.Error as error:
            connection.close()
            raise StorageFailed(name=path.name, done="opened", reason=error) from error
        except BaseException:
            connection.close()
            raise
        return cls(path, connection, queue_max=queue_max)

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def failure(self) -> str:
        """Why the last write failed, for readiness and ``doctor``; empty while writing works."""
        return self._writer.failure

    @property
    def waiting(self) -> int:
        """Writes queued now."""
        return self._writer.waiting

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Queue ``work`` for the writer thread, at this call and not at the await.

        The future is done once the transaction that holds the work is committed durably. It may be dropped or
        cancelled: the work is done all the same. ``work`` must not commit, roll back, or keep the connection.

        Raises:
            StorageBusy: Too many writes wait.
            StorageFailed: The database is closed; or, from the future, the write failed.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        future.add_done_callback(_seen)
        self._writer.put(Job(work=work, future=future, loop=loop))
        return future

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As ``submit``, but blocks until it is committed; for start-up, commands and other threads.

        Raises:
            StorageBusy: Too many writes wait.
            StorageFailed: The write failed.
        """
        future: Future[T] = Future()
        self._writer.put(Job(work=work, future=future, loop=None))
        return future.result()

    def post(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """As ``run``, but waits for nothing: a failure is logged, and told nobody.

        Raises:
            StorageBusy: Too many writes wait.
            StorageFailed: The database is closed.
        """
        future: Future[object] = Future()
        self._writer.put(Job(work=work, future=future, loop=None))

    def forget_deleted(self) -> None:
        """Take what was deleted out of the write-ahead log too: it is written into the file, and cut off. Blocks.

        Where a reader of another process is in the way for longer than the busy timeout, the log is cut off later.

        Raises:
            StorageFailed: It cannot be done.
        """
        try:
            connection = open_writer(self._path)
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise StorageFailed(name=self._path.name, done="written", reason=error) from error

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``query`` on a read-only connection off the loop; rows are read by column name.

        Raises:
            StorageFailed: It cannot be read.
        """
        return await asyncio.wrap_future(self._submit_read(query))

    def query(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """As ``read``, but blocks.

        Raises:
            StorageFailed: It cannot be read.
        """
        return self._submit_read(query).result()

    def check(self) -> str:
        """What SQLite's integrity check finds wrong; empty if all is well. Blocks and reads the whole file."""
        return self.query(check)

    def close(self) -> None:
        """Commit what is queued, then release everything. Blocks for the last commit. Idempotent."""
        self._writer.close()
        self._readers.shutdown()
        while self._open_readers:
            self._open_readers.pop().close()

    def _submit_read(self, query: Callable[[sqlite3.Connection], T]) -> Future[T]:
        try:
            return self._readers.submit(self._read, query)
        except RuntimeError as error:
            raise StorageFailed(name=self._path.name, done="read", reason="it is closed") from error

    def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
            if connection is None:
                connection = open_reader(self._path)
                self._open_readers.append(connection)
                self._local.connection = connection
            return query(connection)
        except sqlite3.Error as error:
            raise StorageFailed(name=self._path.name, done="read", reason=error) from error


def _seen(future: asyncio.Future[T]) -> None:
    # A dropped future must not be reported again by asyncio: the writer has logged the failure already.
    if not future.cancelled():
        future.exception()
