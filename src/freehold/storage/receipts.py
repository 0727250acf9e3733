"""Receipts and their ledger entries: ``domain.ports.ReceiptStore`` on SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping

from freehold.domain.decisions import Action
from freehold.domain.receipt import LedgerEntry, Receipt
from freehold.domain.receipt_json import receipt_to_json
from freehold.storage.database import Database
from freehold.storage.named_sql import load

LIMIT_MAX = 1_000


class SqliteReceipts:
    """The store of receipts. Every look-up names its tenant; there is none that sees across tenants."""

    def __init__(self, database: Database, entries: Callable[[Receipt], tuple[LedgerEntry, ...]]) -> None:
        """Take the database.

        Args:
            database: Where receipts are looked up.
            entries: The ledger's view of a receipt.
        """
        self._database = database
        self._entries = entries
        self._sql: Mapping[str, str] = {**load("receipts"), **load("ledger")}

    def keep(self, receipt: Receipt) -> None:
        """Queue a receipt with its entries in one transaction.

        Raises:
            StorageBusy: Too many writes wait.
            StorageFailed: The store is closed.
        """
        sql = self._sql

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(sql["insert_receipt"], _receipt_row(receipt))
            connection.executemany(sql["insert_entry"], [_entry_row(entry) for entry in self._entries(receipt)])

        self._database.submit(work)

    async def get(self, receipt_id: str, *, tenant: str) -> dict[str, object] | None:
        """One receipt of this tenant as JSON-ready values; ``None`` where the tenant has no such receipt."""
        found = await self._documents("get_receipt", {"id": receipt_id, "tenant": tenant})
        return found[0] if found else None

    async def recent(self, *, tenant: str, limit: int, before: str | None) -> list[dict[str, object]]:
        """The tenant's receipts, newest first, from before a receipt id.

        Args:
            tenant: Whose.
            limit: At most this many, 1 to 1,000; other values are brought into that range.
            before: Only receipts older than this id; ``None`` starts with the newest.
        """
        values: dict[str, object] = {"tenant": tenant, "limit": max(1, min(limit, LIMIT_MAX))}
        if before is None:
            return await self._documents("recent_receipts", values)
        return await self._documents("recent_receipts_before", values | {"before": before})

    async def _documents(self, statement: str, values: dict[str, object]) -> list[dict[str, object]]:
        sql = self._sql[statement]

        def query(connection: sqlite3.Connection) -> list[dict[str, object]]:
            rows = connection.execute(sql, values).fetchall()
            return [json.loads(row["document"]) for row in rows]

        return await self._database.read(query)


def _receipt_row(receipt: Receipt) -> dict[str, object]:
    shown = receipt.answered_by or (receipt.attempts[-1] if receipt.attempts else None)
    cost = receipt.cost
    counterfactual = receipt.counterfactual
    return {
        "id": receipt.id,
        "created_unix_ms": receipt.created_unix_ms,
        "tenant": receipt.tenant,
        "key_id": receipt.key_id,
        "task": receipt.task,
        "route": receipt.route,
        "deployment": shown.deployment if shown else "",
        "zone": shown.zone if shown else "",
        "outcome": receipt.outcome.value,
        "error_code": receipt.error_code,
        "attempts": len(receipt.attempts),
        "escalated": any(
            attempt.verdict is not None and attempt.verdict.action is Action.ESCALATE for attempt in receipt.attempts
        ),
        "bytes_left": receipt.bytes_left,
        "cost_micros": cost.micros if cost else None,
        "cost_currency": cost.currency if cost else None,
        "counterfactual_micros": counterfactual.micros if counterfactual else None,
        "counterfactual_currency": counterfactual.currency if counterfactual else None,
        "total_ms": receipt.total_ms,
        "audit_index": receipt.audit_index,
        "document": receipt_to_json(receipt),
    }


def _entry_row(entry: LedgerEntry) -> dict[str, object]:
    amount = entry.cost.amount
    counterfactual = entry.counterfactual
    return {
        "request_id": entry.request_id,
        "attempt_index": entry.attempt_index,
        "created_unix_ms": entry.created_unix_ms,
        "tenant": entry.tenant,
        "key_id": entry.key_id,
        "deployment": entry.deployment,
        "zone": entry.zone,
        "input_tokens": entry.usage.input_tokens,
        "output_tokens": entry.usage.output_tokens,
        "cached_tokens": entry.usage.cached_tokens,
        "reasoning_tokens": entry.usage.reasoning_tokens,
        "usage_measured": entry.usage.measured,
        "amount_micros": amount.micros if amount else None,
        "currency": amount.currency if amount else None,
        "energy_mwh": entry.cost.energy_mwh,
        "source": entry.cost.source,
        "price_version": entry.cost.price_version,
        "effective": entry.cost.effective,
        "counterfactual_micros": counterfactual.micros if counterfactual else None,
        "counterfactual_currency": counterfactual.currency if counterfactual else None,
    }
