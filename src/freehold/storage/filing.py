"""Filing receipts in the database, in one transaction: pages, where each receipt lies, the ledger's sums, and usage."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence

import msgspec

from freehold.storage.named_sql import load
from freehold.storage.pages import PAGE_RECEIPTS_MAX, PARTS, decode_receipt, encode_page, encode_receipt, new_page
from freehold.storage.receipt_rows import PageRows
from freehold.storage.usage import attempt_use, request_use

_LOG = logging.getLogger(__name__)

_UNFIT = (sqlite3.IntegrityError, msgspec.MsgspecError, ValueError, OverflowError, LookupError)
"""What is raised on account of a receipt, rather than of the database."""

_Name = tuple[str, str]


class Filing:
    """Commits receipts. One that is there already is left as it is; one that cannot be stored keeps no other out."""

    def __init__(self) -> None:
        self._sql = load("receipts")
        self._usage = load("usage")

    def put(self, connection: sqlite3.Connection, payloads: Sequence[bytes], *, again: bool = False) -> None:
        """Commit receipts in one transaction.

        Args:
            connection: In autocommit mode, with no transaction open.
            payloads: What ``encode_receipt`` wrote; where some may be there ``again``, of an earlier program too.
            again: They are read whole and looked up first, instead of only when that turns out to be needed.

        Raises:
            sqlite3.Error: The database cannot be written; nothing is committed.
        """
        if not again:
            try:
                self._transact(connection, payloads, self._insert)
            except _UNFIT as error:
                _LOG.debug("receipts are looked at one by one: %s", error)
            else:
                return
        try:
            self._transact(connection, payloads, self._insert_new)
        except _UNFIT:
            self._transact(connection, payloads, self._insert_alone)

    def _transact(
        self,
        connection: sqlite3.Connection,
        payloads: Sequence[bytes],
        insert: Callable[[sqlite3.Connection, Sequence[bytes]], None],
    ) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            insert(connection, payloads)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _insert(self, connection: sqlite3.Connection, payloads: Sequence[bytes]) -> None:
        """Insert receipts that are not there yet, as pages."""
        (number,) = connection.execute(self._sql["newest_page"]).fetchone()
        for start in range(0, len(payloads), PAGE_RECEIPTS_MAX):
            number += 1
            page = new_page(payloads[start : start + PAGE_RECEIPTS_MAX])
            rows = PageRows(page, number)
            connection.executemany(self._sql["insert_receipt"], rows.receipts())
            connection.execute(self._sql["insert_page"], (number, PARTS, encode_page(page)))
            spend, requests = rows.spend_by_key(), rows.requests_by_key()
            connection.executemany(self._sql["insert_spend"], [row for _, row in spend])
            connection.executemany(self._sql["insert_requests"], [row for _, row in requests])
            connection.executemany(self._usage["add_attempts"], [attempt_use(key, row) for key, row in spend])
            connection.executemany(self._usage["add_requests"], [request_use(key, row) for key, row in requests])

    def _insert_new(self, connection: sqlite3.Connection, payloads: Sequence[bytes]) -> None:
        """Insert those of some receipts that are not there yet, as pages."""
        self._insert(connection, list(self._new_ones(connection, payloads).values()))

    def _insert_alone(self, connection: sqlite3.Connection, payloads: Sequence[bytes]) -> None:
        """As ``_insert_new``, but each on a page of its own, but for those that cannot be stored."""
        for name, payload in self._new_ones(connection, payloads).items():
            connection.execute("SAVEPOINT one")
            try:
                self._insert(connection, [payload])
            except _UNFIT as error:
                _LOG.error("receipt %s cannot be brought into the database: %s", name, error)
                connection.execute("ROLLBACK TO one")
            connection.execute("RELEASE one")

    def _new_ones(self, connection: sqlite3.Connection, payloads: Iterable[bytes]) -> dict[_Name, bytes]:
        """Those that are not there yet and can be read, in their newest form, by tenant and id."""
        found: dict[_Name, bytes] = {}
        for payload in payloads:
            try:
                receipt = decode_receipt(payload)
            except msgspec.MsgspecError as error:
                _LOG.error("a receipt cannot be read: %s", error)
                continue
            name = (receipt.tenant, receipt.id)
            if name not in found and not connection.execute(self._sql["is_there"], name).fetchone():
                found[name] = encode_receipt(receipt)
        return found
