"""Batches in the database. Every change is made to what is there at that moment, whichever process made it so."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable

import msgspec

from freehold.domain.batch import OPENAI_PREFIX, Batch
from freehold.domain.errors.batch import BatchesFull
from freehold.domain.files import Paging, StoredFile
from freehold.storage.database import Database
from freehold.storage.files import SqliteFiles
from freehold.storage.named_sql import load

_BATCH = msgspec.json.Decoder(Batch)


class SqliteBatches:
    """The store of batches."""

    def __init__(self, database: Database, files: SqliteFiles) -> None:
        self._database = database
        self._files = files
        self._sql = load("batches")

    async def add(self, batch: Batch, *, open_max: int) -> None:
        """Keep a new one; it survives everything from now on.

        Raises:
            BatchesFull: The tenant has ``open_max`` that are not over.
            StorageFailed: It could not be written.
        """
        count, insert = self._sql["active_of_tenant"], self._sql["insert_batch"]

        def work(connection: sqlite3.Connection) -> bool:
            (active,) = connection.execute(count, {"tenant": batch.tenant}).fetchone()
            if active < open_max:
                connection.execute(insert, _row(batch))
            return active < open_max

        if not await self._database.submit(work):
            raise BatchesFull(tenant=batch.tenant, limit=open_max)

    async def get(self, batch_id: str, *, tenant: str | None) -> Batch | None:
        """A batch of this tenant; ``None``: of any."""
        sql, values = self._sql["get_batch"], {"id": batch_id, "tenant": tenant}
        row = await self._database.read(lambda connection: connection.execute(sql, values).fetchone())
        return None if row is None else _BATCH.decode(row[0])

    async def list(self, paging: Paging, *, tenant: str | None) -> list[Batch]:
        """A page of those of one kind, newest first, and one more where there is one."""
        sql = self._sql["list_batches"]
        first, end = paging.prefix or OPENAI_PREFIX, paging.after
        last = f"{first[:-1]}{chr(ord(first[-1]) + 1)}"  # no id that begins so comes behind it
        values = {
            "tenant": tenant,
            "first": first,
            "last": min(last, end) if end else last,
            "limit": paging.limit + 1,
        }
        rows = await self._database.read(lambda connection: connection.execute(sql, values).fetchall())
        return [_BATCH.decode(row[0]) for row in rows]

    async def active(self) -> list[Batch]:
        """All that are not over, oldest first, of whatever kind."""
        sql = self._sql["active_batches"]
        rows = await self._database.read(lambda connection: connection.execute(sql).fetchall())
        found: list[Batch] = [_BATCH.decode(row[0]) for row in rows]
        return sorted(found, key=lambda batch: batch.created_unix_ms)

    def change(
        self,
        batch_id: str,
        change: Callable[[Batch], Batch],
        *,
        tenant: str | None = None,
        files: Iterable[StoredFile] = (),
    ) -> asyncio.Future[Batch | None]:
        """Change a batch in one transaction, with files that belong to the change; nobody needs to wait for it.

        Args:
            batch_id: Which.
            change: From what it is now to what it is to be; the same value for no change.
            tenant: Whose it must be; ``None`` for anybody's.
            files: Finished drafts that become files where the batch changes.

        Returns:
            A future of what it is then; ``None`` where there is no such batch.

        Raises:
            StorageFailed: It could not be written; it is as it was.
        """
        select, update = self._sql["get_batch"], self._sql["update_batch"]

        def work(connection: sqlite3.Connection) -> Batch | None:
            row = connection.execute(select, {"id": batch_id, "tenant": tenant}).fetchone()
            if row is None:
                return None
            before: Batch = _BATCH.decode(row[0])
            after = change(before)
            if after is not before:
                connection.execute(update, _row(after, for_update=True))
                self._files.insert(connection, files)
            return after

        return self._database.submit(work)


def _row(batch: Batch, *, for_update: bool = False) -> dict[str, object]:
    changing: dict[str, object] = {
        "id": batch.id,
        "is_over": int(batch.is_over),
        "content": msgspec.json.encode(batch).decode(),
    }
    return changing if for_update else {**changing, "tenant": batch.tenant, "input_file_id": batch.input_file_id}
