"""Files of tenants: what is known of them in the database, their contents in a folder beside it, mode 0600.

A file is there once its row is. Contents without a row are what a crash left of an upload, or of a deletion; they go at
the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sqlite3
import threading
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import BinaryIO

from freehold.domain.errors.file import FileInUse, FileQuotaReached
from freehold.domain.files import Paging, StoredFile
from freehold.storage import disk
from freehold.storage.database import Database
from freehold.storage.named_sql import load


class FileDraft:
    """Content that is being written. ``drop`` it unless it was kept; both are idempotent.

    It may be dropped while a thread still writes: a descriptor is closed once nobody uses it, since its number is given
    to the next file that is opened.
    """

    def __init__(self, path: Path) -> None:
        """Make the file.

        Raises:
            OSError: It exists, or cannot be made.
        """
        self.path = path
        self.size_bytes = 0
        self._descriptor = disk.create_appendable(path)
        self._lock = threading.Lock()
        self._is_used = False
        self._is_over = False

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            OSError: The disk fails or is full, or it was dropped.
        """
        with self._using() as descriptor:
            disk.append(descriptor, data)
            self.size_bytes += len(data)

    def finish(self) -> None:
        """Bring it to the medium and close it.

        Raises:
            OSError: It may not be there.
        """
        if self._is_over:
            return
        with self._using() as descriptor:
            self._is_over = True
            disk.sync(descriptor)

    def drop(self) -> None:
        """Remove it."""
        self._is_over = True
        self._close_unused()
        self.path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _using(self) -> Generator[int]:
        with self._lock:
            if self._is_over:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self._is_used = True
        try:
            yield self._descriptor
        finally:
            self._is_used = False
            self._close_unused()

    def _close_unused(self) -> None:
        with self._lock:
            if self._is_over and not self._is_used and self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1


class SqliteFiles:
    """The store of files."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._sql = load("files")

    def draft(self, file_id: str) -> FileDraft:
        """Begin the content of a file; it is no file until ``keep``. Blocks shortly.

        Raises:
            OSError: The disk fails.
        """
        disk.make_folders(self._folder)
        return FileDraft(self._folder / file_id)

    async def drafted(self, file_id: str) -> FileDraft:
        """As ``draft``, off the loop. Where nobody waits for it any more, nothing is left of it.

        Raises:
            OSError: The disk fails.
        """
        making = asyncio.ensure_future(asyncio.to_thread(self.draft, file_id))
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(_drop_made)
            raise

    def open(self, file_id: str) -> BinaryIO:
        """The content of a file that ``get`` found, for reading.

        Raises:
            OSError: It was deleted meanwhile, or the disk fails.
        """
        return (self._folder / file_id).open("rb")

    def path(self, file_id: str) -> Path:
        """Where the content of a file lies."""
        return self._folder / file_id

    async def keep(self, file: StoredFile, *, tenant_bytes_max: int) -> None:
        """Make a finished draft a file.

        Raises:
            FileQuotaReached: The tenant's files would take more than ``tenant_bytes_max``.
            StorageFailed: It could not be written.
        """
        used, insert = self._sql["bytes_of_tenant"], self._sql["insert_file"]

        def work(connection: sqlite3.Connection) -> int | None:
            (used_bytes,) = connection.execute(used, {"tenant": file.tenant}).fetchone()
            if used_bytes + file.size_bytes > tenant_bytes_max:
                return used_bytes
            connection.execute(insert, _row(file))
            return None

        # Counted and inserted in one transaction, since another upload of the tenant may end at the same moment.
        if (used_bytes := await self._database.submit(work)) is not None:
            raise FileQuotaReached(tenant=file.tenant, used_bytes=used_bytes, limit_bytes=tenant_bytes_max)

    async def used_bytes(self, tenant: str) -> int:
        """What the tenant's files take together."""
        sql = self._sql["bytes_of_tenant"]
        return await self._database.read(lambda connection: connection.execute(sql, {"tenant": tenant}).fetchone()[0])

    async def get(self, file_id: str, *, tenant: str | None, unix_ms: int) -> StoredFile | None:
        """A file of this tenant (``None``: of any) that has not expired."""
        sql, values = self._sql["get_file"], {"id": file_id, "tenant": tenant, "now": unix_ms}
        row = await self._database.read(lambda connection: connection.execute(sql, values).fetchone())
        return None if row is None else _file(row)

    async def label_of(self, file_id: str, *, tenant: str) -> str | None:
        """The label of a tenant's file as text, also of one that has expired and is not deleted yet."""
        file = await self.get(file_id, tenant=tenant, unix_ms=0)
        return None if file is None else file.label

    async def list(self, paging: Paging, *, tenant: str | None, unix_ms: int) -> list[StoredFile]:
        """A page of them, and one more where there is one."""
        sql = self._sql["list_files_down" if paging.newest_first else "list_files_up"]
        values = {
            "tenant": tenant,
            "now": unix_ms,
            "purpose": paging.purpose,
            "after": paging.after,
            "limit": paging.limit + 1,
        }
        rows = await self._database.read(lambda connection: connection.execute(sql, values).fetchall())
        return [_file(row) for row in rows]

    async def delete(self, file_id: str) -> None:
        """Delete a file that ``get`` found.

        Raises:
            FileInUse: It is the input of a batch that is not over.
            StorageFailed: It could not be deleted.
        """
        is_input, delete = self._sql["is_input"], self._sql["delete_file"]

        def work(connection: sqlite3.Connection) -> bool:
            (used,) = connection.execute(is_input, {"id": file_id}).fetchone()
            if not used:
                connection.execute(delete, {"id": file_id})
            return bool(used)

        if await self._database.submit(work):
            raise FileInUse(file_id=file_id)
        await self._remove([file_id])

    async def drop_expired(self, unix_ms: int) -> int:
        """Delete what has expired and is no input of a batch that is not over; how many."""
        expired, delete = self._sql["expired_files"], self._sql["delete_file"]
        rows = await self._database.read(lambda connection: connection.execute(expired, {"now": unix_ms}).fetchall())
        if not rows:
            return 0

        def work(connection: sqlite3.Connection) -> list[str]:
            # Looked for again: one may have become the input of a batch meanwhile.
            ids = [row[0] for row in connection.execute(expired, {"now": unix_ms})]
            connection.executemany(delete, [{"id": each} for each in ids])
            return ids

        ids = await self._database.submit(work)
        await self._remove(ids)
        return len(ids)

    async def _remove(self, ids: Iterable[str]) -> None:
        """Remove contents, off the loop: of a long file that takes its time."""
        await asyncio.to_thread(disk.remove_files, [self.path(each) for each in ids])

    def insert(self, connection: sqlite3.Connection, files: Iterable[StoredFile]) -> None:
        """Make finished drafts files in a transaction of somebody else's."""
        for file in files:
            connection.execute(self._sql["insert_file"], _row(file))

    def sweep(self) -> None:
        """Remove contents that belong to no file. Blocks; only while nobody else writes here."""
        if not self._folder.is_dir():
            return
        known = {row[0] for row in self._database.query(lambda c: c.execute(self._sql["all_ids"]).fetchall())}
        disk.remove_files(path for path in self._folder.iterdir() if path.name not in known)


def _drop_made(making: asyncio.Future[FileDraft]) -> None:
    if not making.cancelled() and making.exception() is None:
        making.result().drop()


def _row(file: StoredFile) -> dict[str, object]:
    return {
        "id": file.id,
        "tenant": file.tenant,
        "filename": file.filename,
        "purpose": file.purpose,
        "size_bytes": file.size_bytes,
        "created_unix_ms": file.created_unix_ms,
        "expires_unix_ms": file.expires_unix_ms,
        "label": file.label,
    }


def _file(row: sqlite3.Row) -> StoredFile:
    return StoredFile(
        id=row["id"],
        tenant=row["tenant"],
        filename=row["filename"],
        purpose=row["purpose"],
        size_bytes=row["size_bytes"],
        created_unix_ms=row["created_unix_ms"],
        expires_unix_ms=row["expires_unix_ms"],
        label=row["label"],
    )
