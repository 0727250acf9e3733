"""Sums over ledger entries and receipts for reports."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from freehold.domain.decisions import Outcome
from freehold.domain.response import Usage
from freehold.domain.zones import Zone
from freehold.storage.database import Database
from freehold.storage.named_sql import load

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendRow:
    """Attempts of one deployment in one currency; ``currency`` is ``None`` for the unpriced ones."""

    deployment: str
    zone: Zone
    currency: str | None
    attempts: int
    amount_micros: int
    energy_mwh: int
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """Requests with one outcome whose answer, or last attempt, came from one zone.

    Attributes:
        outcome: How they ended.
        zone: Empty where no attempt was made.
        currency: Currency of both sums; ``None`` for requests without a price or a price to compare with, whose sums
            mean nothing.
        requests: How many.
        escalated: How many of them had an answer turned down.
        bytes_left: Body bytes that left this machine.
        cost_micros: What they cost, all attempts together.
        counterfactual_micros: What they would have cost at the model to compare with.
    """

    outcome: Outcome
    zone: Zone
    currency: str | None
    requests: int
    escalated: int
    bytes_left: int
    cost_micros: int
    counterfactual_micros: int


class SqliteLedger:
    """Sums over a span of time. ``tenant=None`` is for administrators only: it sums over all tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("ledger")

    async def spend(self, *, from_unix_ms: int, to_unix_ms: int, tenant: str | None) -> tuple[SpendRow, ...]:
        """Attempts by deployment, zone and currency, from the first moment up to but without the second."""
        rows = await self._rows("spend", from_unix_ms, to_unix_ms, tenant)
        return tuple(msgspec.convert(row | {"usage": row}, SpendRow, strict=False) for row in rows)

    async def requests(self, *, from_unix_ms: int, to_unix_ms: int, tenant: str | None) -> tuple[RequestRow, ...]:
        """Requests by outcome, zone and currency, from the first moment up to but without the second."""
        rows = await self._rows("requests", from_unix_ms, to_unix_ms, tenant)
        return tuple(msgspec.convert(row, RequestRow) for row in rows)

    async def _rows(
        self, statement: str, from_unix_ms: int, to_unix_ms: int, tenant: str | None
    ) -> list[dict[str, object]]:
        sql = self._sql[statement]
        values = {"from_unix_ms": from_unix_ms, "to_unix_ms": to_unix_ms, "tenant": tenant}

        def query(connection: sqlite3.Connection) -> list[dict[str, object]]:
            return [dict(row) for row in connection.execute(sql, values)]

        return await self._database.read(query)
