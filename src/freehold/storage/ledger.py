"""Sums over ledger entries and receipts for reports."""

from __future__ import annotations

import operator
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from freehold.domain.decisions import Outcome
from freehold.domain.receipt import Receipt
from freehold.domain.response import Usage
from freehold.domain.zones import Zone
from freehold.storage.database import Database
from freehold.storage.named_sql import load
from freehold.storage.pages import PAGE_RECEIPTS_MAX, Page, decode_page, encode_receipt, new_page
from freehold.storage.receipt_rows import SPAN_MS, PageRows


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
        cost_currency: Of what they cost; ``None`` where that is not known, and the sum means nothing.
        counterfactual_currency: Of what they would have cost; ``None`` where there is no price to compare with.
        requests: How many.
        escalated: How many of them had an answer turned down.
        bytes_left: Body bytes that left this machine.
        cost_micros: What they cost, all attempts together.
        counterfactual_micros: What they would have cost at the model to compare with.
    """

    outcome: Outcome
    zone: Zone
    cost_currency: str | None
    counterfactual_currency: str | None
    requests: int
    escalated: int
    bytes_left: int
    cost_micros: int
    counterfactual_micros: int

    @property
    def currency(self) -> str | None:
        """Of both sums; ``None`` where they cannot be held against each other."""
        return self.cost_currency if self.cost_currency == self.counterfactual_currency else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """Attempts of one tenant and deployment at one price; ``currency`` is ``None`` for the unpriced ones.

    Attributes:
        source: Where the price comes from.
        price_version: Which edition of that source.
        effective: Date from which it holds; empty where the source has none, and in rows from before it was kept.
    """

    tenant: str
    deployment: str
    zone: Zone
    currency: str | None
    source: str
    price_version: str
    effective: str
    attempts: int
    amount_micros: int


class _Span(NamedTuple):
    from_unix_ms: int
    to_unix_ms: int
    tenant: str | None


_Sums = Mapping[str, Any]
_SPEND_KEYS = ("deployment", "zone", "currency")
_SPEND_SUMS = (
    "attempts", "amount_micros", "energy_mwh", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens",
    "estimated",
)  # fmt: skip
_REQUEST_KEYS = ("outcome", "zone", "cost_currency", "counterfactual_currency")
_REQUEST_SUMS = ("requests", "escalated", "bytes_left", "cost_micros", "counterfactual_micros")


class SqliteLedger:
    """Sums over a span of time. ``tenant=None`` is for administrators only: it sums over all tenants.

    Args:
        database: Where receipts are filed.
        unfiled: Gives those that may not be there yet; ``spend`` and ``requests`` count them too. It may give some that
            are.
    """

    def __init__(self, database: Database, *, unfiled: Callable[[], Iterable[Receipt]] = tuple) -> None:
        self._database = database
        self._unfiled = unfiled
        self._sql = load("ledger")
        self._is_there = load("receipts")["is_there"]

    async def spend(self, *, from_unix_ms: int, to_unix_ms: int, tenant: str | None) -> tuple[SpendRow, ...]:
        """Attempts by deployment, zone and currency, from the first moment up to but without the second."""
        found = await self._rows("spend", _Span(from_unix_ms, to_unix_ms, tenant), _spend_of)
        rows = _summed(found, _SPEND_KEYS, _SPEND_SUMS)
        return tuple(
            msgspec.convert(row | {"usage": row | {"measured": not row["estimated"]}}, SpendRow) for row in rows
        )

    async def requests(self, *, from_unix_ms: int, to_unix_ms: int, tenant: str | None) -> tuple[RequestRow, ...]:
        """Requests by outcome, zone and currencies, from the first moment up to but without the second."""
        found = await self._rows("requests", _Span(from_unix_ms, to_unix_ms, tenant), _requests_of)
        return tuple(msgspec.convert(row, RequestRow) for row in _summed(found, _REQUEST_KEYS, _REQUEST_SUMS))

    async def prices(self, *, from_unix_ms: int, to_unix_ms: int, tenant: str | None) -> tuple[PriceRow, ...]:
        """Attempts by tenant, deployment and price.

        Args:
            from_unix_ms: The beginning of ten seconds of the clock, as a day's is.
            to_unix_ms: The same; up to it, but without it.
            tenant: Whose; ``None`` for all tenants.

        Raises:
            ValueError: A moment is no such beginning: a row is not told apart within ten seconds.
        """
        if from_unix_ms % SPAN_MS or to_unix_ms % SPAN_MS:
            raise ValueError(f"{from_unix_ms} and {to_unix_ms} must be beginnings of ten seconds")
        values = {"from_unix_ms": from_unix_ms, "to_unix_ms": to_unix_ms, "tenant": tenant}

        def query(connection: sqlite3.Connection) -> list[dict[str, Any]]:
            return [dict(row) for row in connection.execute(self._sql["prices"], values)]

        return tuple(msgspec.convert(row, PriceRow) for row in await self._database.read(query))

    async def _rows(self, statement: str, span: _Span, of_page: Callable[[PageRows], Iterable[_Sums]]) -> list[_Sums]:
        """What rows that lie wholly in the span come to, and what there is of it on pages that lie in it in part."""
        wholly, partly = self._sql[statement], self._sql[f"{statement}_partly"]
        values = {**span._asdict(), "span_ms": SPAN_MS}

        def query(connection: sqlite3.Connection) -> list[_Sums]:
            # Before the database: what moves there meanwhile is seen twice, and is counted once.
            fresh = [each for each in self._unfiled() if span.from_unix_ms <= each.created_unix_ms < span.to_unix_ms]
            # Both see one state of the database: a page that comes between them is in neither.
            connection.execute("BEGIN")
            try:
                found: list[_Sums] = [dict(row) for row in connection.execute(wholly, values)]
                for form, content in connection.execute(partly, values):
                    found += of_page(_within(decode_page(form, content), span))
                for page in self._pages_of(fresh, connection):
                    found += of_page(PageRows(page, 0, tenant=span.tenant))
            finally:
                connection.execute("COMMIT")
            return found

        return await self._database.read(query)

    def _pages_of(self, fresh: Sequence[Receipt], connection: sqlite3.Connection) -> Iterator[Page]:
        """Those that are not filed, as they will be."""
        late = [each for each in fresh if not connection.execute(self._is_there, (each.tenant, each.id)).fetchone()]
        for start in range(0, len(late), PAGE_RECEIPTS_MAX):
            yield new_page([encode_receipt(each) for each in late[start : start + PAGE_RECEIPTS_MAX]])


def _within(page: Page, span: _Span) -> PageRows:
    """The rows of what a page holds of a span of time and a tenant."""
    found = [
        (parts, place)
        for parts, place in zip(page.receipts, page.places, strict=True)
        if span.from_unix_ms <= parts.created_unix_ms < span.to_unix_ms
    ]
    within = Page([parts for parts, _ in found], page.common, bytes(place for _, place in found))
    return PageRows(within, 0, tenant=span.tenant)


def _spend_of(page: PageRows) -> list[_Sums]:
    return [row._asdict() for row in page.spend()]


def _requests_of(page: PageRows) -> list[_Sums]:
    return [row._asdict() for row in page.requests()]


def _summed(rows: Iterable[_Sums], keys: Sequence[str], sums: Sequence[str]) -> list[dict[str, Any]]:
    """Rows with equal keys as one, in the order of their keys."""
    found: dict[tuple[str | None, ...], list[int]] = {}
    for row in rows:
        numbers = [row[name] or 0 for name in sums]  # None is a sum over nothing that has a price
        key = tuple(row[name] for name in keys)
        known = found.get(key)
        found[key] = numbers if known is None else list(map(operator.add, known, numbers))
    ordered = sorted(found, key=lambda key: [(part is not None, part) for part in key])
    return [dict(zip((*keys, *sums), (*key, *found[key]), strict=True)) for key in ordered]
