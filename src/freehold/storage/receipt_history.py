"""All tenants' receipts of a span of time, for the operator; never told to a tenant."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable

from freehold.domain.receipt import Receipt
from freehold.storage.database import Database
from freehold.storage.named_sql import load
from freehold.storage.pages import receipts_of


class ReceiptHistory:
    """Reads what the database has, and what it may not have yet.

    Args:
        database: Where receipts are filed.
        unfiled: Gives those that may not be there yet. It may give some that are.
    """

    def __init__(self, database: Database, *, unfiled: Callable[[], Iterable[Receipt]] = tuple) -> None:
        self._database = database
        self._unfiled = unfiled
        self._sql = load("receipts")

    async def visit(self, see: Callable[[Receipt], None], *, from_unix_ms: int, to_unix_ms: int) -> None:
        """Show every receipt from the first moment up to but without the second, a page at a time.

        Args:
            see: Called with each, in another thread.
            from_unix_ms: When the first was made at the earliest.
            to_unix_ms: When none was made any more.

        Raises:
            StorageFailed: The database cannot be read.
        """

        def query(connection: sqlite3.Connection) -> None:
            # Before the database: what moves there meanwhile is seen twice, and is shown once.
            fresh = [each for each in self._unfiled() if from_unix_ms <= each.created_unix_ms < to_unix_ms]
            span = {"from_unix_ms": from_unix_ms, "to_unix_ms": to_unix_ms}
            connection.execute("BEGIN")
            try:
                for form, content in connection.execute(self._sql["pages_between"], span):
                    for receipt in receipts_of(form, content):
                        if from_unix_ms <= receipt.created_unix_ms < to_unix_ms:
                            see(receipt)
                for receipt in fresh:
                    if not connection.execute(self._sql["is_there"], (receipt.tenant, receipt.id)).fetchone():
                        see(receipt)
            finally:
                connection.execute("COMMIT")

        await self._database.read(query)
