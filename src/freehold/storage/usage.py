"""What each key used, by the hour: written with the receipts, in the same transaction, and read for limits and exports."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import NamedTuple

from freehold.domain.limits import HOUR_MS
from freehold.domain.receipt import Receipt, counts
from freehold.storage.database import Database
from freehold.storage.named_sql import load
from freehold.storage.receipt_rows import RequestSums, SpendSums

WHOLE_MS = 1 << 62
"""A step that is longer than any span of time: all of it in one slot."""


class AttemptUse(NamedTuple):
    """Attempts at one deployment in one slot of time.

    ``key_id`` is empty for those from before keys were told apart, ``currency`` for unpriced ones.
    """

    slot_unix_ms: int
    tenant: str
    key_id: str
    deployment: str
    currency: str
    attempts: int
    amount_micros: int
    energy_mwh: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    estimated: int


class RequestUse(NamedTuple):
    """Requests in one slot of time: those that limits count, and those that were refused or found no room."""

    slot_unix_ms: int
    tenant: str
    key_id: str
    requests: int
    refused: int


class Uses(NamedTuple):
    """What was used in a span of time."""

    attempts: list[AttemptUse]
    requests: list[RequestUse]


def attempt_use(key_id: str, row: SpendSums) -> AttemptUse:
    """What a row of the ledger adds to its hour."""
    return AttemptUse(
        row.last_unix_ms // HOUR_MS * HOUR_MS,
        row.tenant,
        key_id,
        row.deployment,
        row.currency or "",
        row.attempts,
        row.amount_micros or 0,
        row.energy_mwh,
        row.input_tokens,
        row.output_tokens,
        row.cached_tokens,
        row.reasoning_tokens,
        row.estimated,
    )


def request_use(key_id: str, row: RequestSums) -> RequestUse:
    """The same for a row about requests."""
    hour, counted = row.last_unix_ms // HOUR_MS * HOUR_MS, counts(row.outcome, was_tried=bool(row.zone))
    return RequestUse(hour, row.tenant, key_id, row.requests if counted else 0, 0 if counted else row.requests)


class SqliteUsage:
    """Sums by key over whole hours.

    Args:
        database: Where receipts are filed.
        unfiled: Gives those that may not be there yet; they count too. It may give some that are.
    """

    def __init__(self, database: Database, *, unfiled: Callable[[], Iterable[Receipt]] = tuple) -> None:
        self._database = database
        self._unfiled = unfiled
        self._sql = load("usage")

    def read(self, *, from_unix_ms: int, to_unix_ms: int, tenant: str | None, step_ms: int = WHOLE_MS) -> Uses:
        """What was used from the first moment up to but without the second. Blocks.

        Args:
            from_unix_ms: The beginning of an hour.
            to_unix_ms: The same.
            tenant: Whose; ``None`` for all tenants.
            step_ms: Length of the slots that are told apart, in whole hours.

        Raises:
            StorageFailed: It cannot be read.
            ValueError: A moment is not the beginning of an hour.
        """
        if from_unix_ms % HOUR_MS or to_unix_ms % HOUR_MS:
            raise ValueError(f"{from_unix_ms} and {to_unix_ms} must be beginnings of hours")
        # Before the database: what moves there meanwhile is seen twice, and is counted once.
        fresh = [
            receipt
            for receipt in self._unfiled()
            if from_unix_ms <= receipt.created_unix_ms < to_unix_ms and tenant in (None, receipt.tenant)
        ]
        values = {"from_unix_ms": from_unix_ms, "to_unix_ms": to_unix_ms, "tenant": tenant, "step_ms": step_ms}

        def query(connection: sqlite3.Connection) -> Uses:
            connection.execute("BEGIN")
            try:
                found = Uses(
                    [AttemptUse(*row) for row in connection.execute(self._sql["attempts"], values)],
                    [RequestUse(*row) for row in connection.execute(self._sql["requests"], values)],
                )
                for receipt in fresh:
                    if not connection.execute(self._sql["is_filed"], (receipt.tenant, receipt.id)).fetchone():
                        _add(found, receipt, step_ms)
            finally:
                connection.execute("COMMIT")
            return found

        return self._database.query(query)


def _add(uses: Uses, receipt: Receipt, step_ms: int) -> None:
    slot, counted = receipt.created_unix_ms // step_ms * step_ms, receipt.counts
    uses.requests.append(RequestUse(slot, receipt.tenant, receipt.key_id, int(counted), int(not counted)))
    for attempt in receipt.attempts:
        amount = attempt.cost.amount if attempt.cost is not None else None
        uses.attempts.append(
            AttemptUse(
                slot,
                receipt.tenant,
                receipt.key_id,
                attempt.deployment,
                amount.currency if amount is not None else "",
                1,
                amount.micros if amount is not None else 0,
                (attempt.cost.energy_mwh or 0) if attempt.cost is not None else 0,
                attempt.usage.input_tokens,
                attempt.usage.output_tokens,
                attempt.usage.cached_tokens,
                attempt.usage.reasoning_tokens,
                int(not attempt.usage.measured),
            )
        )
