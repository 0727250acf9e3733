"""Fingerprints of restricted texts in SQLite: ``domain.memory.MemoryStore``. Written behind."""

from __future__ import annotations

import asyncio
import functools
import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict

from freehold.domain.errors.server import StorageBusy, StorageFailed
from freehold.domain.memory import KeptPassage
from freehold.storage.database import Database
from freehold.storage.named_sql import load

_LOG = logging.getLogger(__name__)


class SqliteMemory:
    """The store of what is remembered; several processes may use it at the same time.

    Args:
        database: Where it is.
        bytes_max: Of the fingerprints of one tenant; beyond that the oldest are dropped.
    """

    def __init__(self, database: Database, *, bytes_max: int) -> None:
        self._database = database
        self._bytes_max = bytes_max
        self._sql = load("memory")

    def keep(self, passages: Sequence[KeptPassage], *, unix_ms: int) -> None:
        """Keep passages, and drop those that are out of date or too many; returns at once."""
        try:
            self._database.post(functools.partial(self._write, passages, unix_ms))
        except (StorageBusy, StorageFailed) as error:
            _LOG.warning("%d passages are remembered in this process only: %s", len(passages), error.message)

    async def after(self, seq: int) -> Sequence[KeptPassage]:
        """Those with a higher number, in order.

        Raises:
            StorageFailed: They cannot be read.
        """
        sql = self._sql["passages_after"]

        def query(connection: sqlite3.Connection) -> list[KeptPassage]:
            return [KeptPassage(**dict(row)) for row in connection.execute(sql, {"seq": seq})]

        return await self._database.read(query)

    async def erased(self) -> int:
        """How often something of any tenant was erased.

        Raises:
            StorageFailed: It cannot be read.
        """
        sql = self._sql["erased_mark"]

        def query(connection: sqlite3.Connection) -> int:
            row = connection.execute(sql).fetchone()
            return 0 if row is None else row["value"]

        return await self._database.read(query)

    async def forget(self, ids: Sequence[str], *, tenant: str) -> None:
        """Drop what is remembered of some documents; every process notices within a second.

        Raises:
            StorageFailed: It could not be done; nothing was dropped.
        """
        sql = self._sql

        def work(connection: sqlite3.Connection) -> int:
            connection.execute("PRAGMA secure_delete = ON")
            values = [{"tenant": tenant, "id": each} for each in ids]
            dropped = connection.executemany(sql["forget_passages"], values).rowcount
            if dropped:
                connection.execute(load("outcomes")["note_erased"])
            return dropped

        if await self._database.submit(work):
            await asyncio.to_thread(self._database.forget_deleted)

    def _write(self, passages: Sequence[KeptPassage], unix_ms: int, connection: sqlite3.Connection) -> None:
        # What expires, is trimmed or erased must not stay readable in pages that are free.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(self._sql["expire_passages"], {"now": unix_ms})
        connection.executemany(self._sql["put_passage"], map(asdict, passages))
        for tenant in {each.tenant for each in passages}:
            connection.execute(self._sql["trim_passages"], {"tenant": tenant, "most": self._bytes_max})
