"""Connections to a vault's file, and the threads that they work in: one writes, a few read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import LifoQueue
from typing import TypeVar

from freehold.domain.errors.vault import VaultClosed
from freehold.vault.store_database import Database, InUse
from freehold.vault.store_schema import connected, empty_log, told

T = TypeVar("T")
_READERS = 3


class Connections:
    """Runs work on a vault's file.

    Args:
        path: The file.
        key: Its key.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self.path = path
        self._key = key
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="vault-writer")
        self._reading = ThreadPoolExecutor(_READERS, thread_name_prefix="vault-reader")
        self._writer: Database | None = None
        # Last in, first out: what one search read of the file is still in memory for the next.
        self._idle: LifoQueue[Database] = LifoQueue()
        self._closed = False

    async def start(self, prepared: Callable[[Database], T]) -> T:
        """Connect; ``prepared`` is the first that writes. Called once."""

        def work() -> T:
            self._writer = connected(self.path, self._key)
            done = self._in_transaction(prepared)
            for _ in range(_READERS):
                self._idle.put(connected(self.path, self._key))
            return done

        return await self._on(self._writing, work)

    async def read(self, work: Callable[[Database], T]) -> T:
        """Do something that reads, all of it on one state of the file. Cancelled, it stops."""
        use = InUse()

        def run() -> T:
            connection = self._idle.get()
            try:
                with told(self.path):
                    # One transaction: everything that a search looks at is of one generation.
                    connection.execute("BEGIN")
                    try:
                        with use.of(connection):
                            return work(connection)
                    finally:
                        # Never stopped, or the next search would find it open.
                        connection.execute("ROLLBACK")
            finally:
                self._idle.put(connection)

        try:
            return await self._on(self._reading, run)
        except asyncio.CancelledError:
            use.interrupt()
            raise

    async def write(self, work: Callable[[Database], T]) -> T:
        """Do something that changes the file, whole or not at all; it begins another generation."""

        def counted(connection: Database) -> T:
            done = work(connection)
            connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'generation'")
            return done

        return await self._on(self._writing, lambda: self._in_transaction(counted))

    async def purge(self) -> None:
        """Leave nothing of what was erased in the file's log.

        Raises:
            VaultBusy: Somebody else reads what the log still holds.
        """

        def work() -> None:
            with told(self.path):
                empty_log(self._writing_connection, self.path)

        await self._on(self._writing, work)

    async def close(self) -> None:
        """Close all of them. Idempotent."""
        if self._closed:
            return
        self._closed = True

        def work() -> None:
            self._reading.shutdown()
            while not self._idle.empty():
                self._idle.get().close()
            if self._writer is not None:
                self._writer.close()

        await asyncio.get_running_loop().run_in_executor(self._writing, work)
        self._writing.shutdown()

    def _in_transaction(self, work: Callable[[Database], T]) -> T:
        connection = self._writing_connection
        with told(self.path):
            connection.execute("BEGIN IMMEDIATE")
            try:
                done = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return done

    async def _on(self, executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._closed:
            raise VaultClosed(path=self.path.name)
        return await asyncio.get_running_loop().run_in_executor(executor, work)

    @property
    def _writing_connection(self) -> Database:
        if self._writer is None:
            raise VaultClosed(path=self.path.name)
        return self._writer
