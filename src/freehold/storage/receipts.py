"""Receipts and their ledger entries: ``domain.ports.ReceiptStore`` on a journal and SQLite.

``keep`` writes the receipt to a journal before it returns: the kernel has it, so that killing this process, by whatever
signal, loses nothing that it returned for. A thread flushes the journal and brings receipts into the database within
a fraction of a second; a power cut loses at most what came in that time. A segment of the journal is deleted once the
medium has all of it in the database. While the database is locked or broken receipts wait in the journal, which is then
flushed at least every two seconds.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from itertools import chain
from pathlib import Path

from freehold.domain.errors.server import StorageFailed
from freehold.domain.receipt import Receipt
from freehold.domain.receipt_json import receipt_document
from freehold.storage.database import Database
from freehold.storage.fellows import Mark, not_indexed
from freehold.storage.indexer import Indexer
from freehold.storage.journal import Journal, Place
from freehold.storage.named_sql import load
from freehold.storage.pages import decode_receipt, documents

LIMIT_MAX = 1_000
_READ_BYTES = 1024 * 1024


class SqliteReceipts:
    """The store of receipts. Every look-up names its tenant; there is none that sees across tenants."""

    def __init__(self, database: Database, *, journal: Path, fellows: Collection[Path] = ()) -> None:
        """Open the store; what an earlier process left in the journal is brought into the database beside.

        Args:
            database: Where receipts are looked up.
            journal: Folder of the journal; one process at a time may use it.
            fellows: Folders of the journals of other processes that fill the same database.

        Raises:
            StorageFailed: The folder cannot be written.
        """
        self._database = database
        self._fellows = tuple(fellows)
        self._journal = Journal(journal)
        self._mark = _mark_in(journal) if fellows else None
        self._indexer = Indexer(database.path, self._journal, self._mark)
        self._sql = load("receipts")

    @property
    def failure(self) -> str:
        """Why receipts cannot be written, or not be brought into the database; empty while they can."""
        return self._journal.failure or self._indexer.failure

    @property
    def waiting(self) -> int:
        """Receipts that the database does not have yet."""
        return self._indexer.waiting

    def keep(self, *receipts: Receipt) -> None:
        """Write receipts down, all or none; at return the kernel has them, and look-ups find them. For one thread.

        Raises:
            StorageFailed: The disk fails, the store is closed, or one of them holds what cannot be written.
            StorageBusy: Too much waits for the database.
        """
        try:
            self._indexer.put(*receipts)
        except (ValueError, TypeError, OverflowError) as error:
            raise StorageFailed(name="receipts", done="written", reason=error) from error

    async def get(self, receipt_id: str, *, tenant: str) -> dict[str, object] | None:
        """One receipt of this tenant as JSON-ready values; ``None`` where the tenant has no such receipt."""
        found = await self._fresh(tenant)
        if receipt_id in found:
            return receipt_document(found[receipt_id])
        rows = await self._documents("get_receipt", {"tenant": tenant, "id": receipt_id})
        return rows[0] if rows else None

    async def recent(self, *, tenant: str, limit: int, before: str | None) -> list[dict[str, object]]:
        """The tenant's receipts, newest first, from before a receipt id.

        Args:
            tenant: Whose.
            limit: At most this many, 1 to 1,000; other values are brought into that range.
            before: Only receipts older than this id; ``None`` starts with the newest.
        """
        limit = max(1, min(limit, LIMIT_MAX))
        fresh = await self._fresh(tenant)
        values: dict[str, object] = {"tenant": tenant, "limit": limit}
        if before is None:
            stored = await self._documents("recent_receipts", values)
        else:
            stored = await self._documents("recent_receipts_before", values | {"before": before})
        names = {str(document["id"]) for document in stored}
        newest = sorted(
            (name for name in fresh if name not in names and (before is None or name < before)), reverse=True
        )
        found = stored + [receipt_document(fresh[name]) for name in newest[:limit]]
        return sorted(found, key=lambda document: str(document["id"]), reverse=True)[:limit]

    def unfiled(self) -> list[Receipt]:
        """All tenants' receipts that the database may not have yet, for sums over them; never told to a tenant. Blocks.

        Read before the database, they and it together miss none.

        Raises:
            StorageFailed: A journal cannot be read.
        """
        payloads, place = self._indexer.unindexed()
        found = list(map(decode_receipt, payloads))
        try:
            while place is not None:
                payloads, place_after = self._journal.read(place, bytes_max=_READ_BYTES)
                found += map(decode_receipt, payloads)
                place = place_after if payloads else None
            found += map(decode_receipt, chain.from_iterable(map(not_indexed, self._fellows)))
        except OSError as error:
            raise StorageFailed(name="receipts", done="read", reason=error.strerror or error) from error
        return list({receipt.id: receipt for receipt in found}.values())

    def close(self, *, within_s: float = math.inf) -> None:
        """Bring what is there into the database, if that can be done in time, then release everything. Idempotent.

        Args:
            within_s: For that; what is left waits in the journal until it is opened again.
        """
        self._indexer.close(within_s=within_s)
        self._journal.close()
        if self._mark is not None:
            self._mark.close()

    async def _fresh(self, tenant: str) -> dict[str, Receipt]:
        """The tenant's receipts that the database may not have yet, by id.

        They are read before the database is, so that one which moves there meanwhile is seen twice, not never.
        """
        payloads, place = self._indexer.unindexed()
        found = _of_tenant(payloads, tenant)
        if place is not None:
            found |= await asyncio.to_thread(self._in_journal, tenant, place)
        if self._fellows:
            found |= await asyncio.to_thread(self._in_fellows, tenant)
        return found

    def _in_fellows(self, tenant: str) -> dict[str, Receipt]:
        """Receipts of other processes that the database may not have yet."""
        try:
            return _of_tenant(chain.from_iterable(map(not_indexed, self._fellows)), tenant)
        except OSError as error:
            raise StorageFailed(name="receipts", done="read", reason=error.strerror or error) from error

    def _in_journal(self, tenant: str, place: Place) -> dict[str, Receipt]:
        found: dict[str, Receipt] = {}
        while True:
            try:
                payloads, place = self._journal.read(place, bytes_max=_READ_BYTES)
            except OSError as error:
                raise StorageFailed(name="receipts", done="read", reason=error.strerror or error) from error
            if not payloads:
                return found
            found |= _of_tenant(payloads, tenant)

    async def _documents(self, statement: str, values: dict[str, object]) -> list[dict[str, object]]:
        def query(connection: sqlite3.Connection) -> list[dict[str, object]]:
            places = {row["id"]: row["page"] for row in connection.execute(self._sql[statement], values)}
            found: dict[str, dict[str, object]] = {}
            for number, names in _by_page(places).items():
                form, content = connection.execute(self._sql["page"], (number,)).fetchone()
                found |= documents(form, content, tenant=str(values["tenant"]), wanted=names)
            return [found[name] for name in places]

        return await self._database.read(query)


def _by_page(places: Mapping[str, int]) -> dict[int, set[str]]:
    """The receipts of each page, for it to be read once."""
    pages: dict[int, set[str]] = {}
    for name, number in places.items():
        pages.setdefault(number, set()).add(name)
    return pages


def _of_tenant(payloads: Iterable[bytes], tenant: str) -> dict[str, Receipt]:
    """Those of a tenant, by id."""
    mark = tenant.encode("utf-8", "surrogatepass")
    found: dict[str, Receipt] = {}
    for payload in payloads:
        if mark in payload and (receipt := decode_receipt(payload)).tenant == tenant:
            found[receipt.id] = receipt
    return found


def _mark_in(folder: Path) -> Mark:
    try:
        return Mark(folder)
    except OSError as error:
        raise StorageFailed(name=folder.name, done="opened", reason=error.strerror or error) from error
