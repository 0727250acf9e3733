"""A database and a journal as the second version of the schema had them: one row an attempt, receipts in pages."""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path

import msgspec

from freehold.domain.decisions import Action
from freehold.domain.receipt import Receipt
from freehold.storage.schema import migrate, migrations
from tests.support.ledger import LedgerEntry, entries

_OWN = attrgetter(
    "id", "created_unix_ms", "tenant", "key_id", "task", "model_asked", "route", "stream", "steps", "detours",
    "outcome", "answered_index", "error_code", "counterfactual", "counterfactual_model", "total_ms", "audit_index",
    "audit_log", "config_digest", "client_request_id", "traceparent",
)  # fmt: skip
_OF_ATTEMPT = attrgetter(
    "deployment", "zone", "model", "model_digest", "outcome", "usage", "confidence", "verdict", "finish_reason",
    "timings", "queue_ms", "started_ms", "first_token_ms", "ended_ms", "bytes_left", "egress_index", "cost",
    "error_code", "error_message",
)  # fmt: skip


def old_payload(receipt: Receipt) -> bytes:
    """The first form of a receipt's bytes."""
    attempts = [_OF_ATTEMPT(attempt) for attempt in receipt.attempts]
    shared = (receipt.label, receipt.label_sources, receipt.decisions)
    return msgspec.msgpack.encode((1, *shared, attempts, *_OWN(receipt)))


def make_old_database(path: Path, pages: Sequence[Sequence[Receipt]]) -> None:
    """A database of version 2 with some pages."""
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, path, migrations()[:2])
    seq = 0
    for page in pages:
        first, times = seq + 1, [receipt.created_unix_ms for receipt in page]
        for receipt in page:
            rows = _rows(receipt)
            for row in rows:
                seq += 1
                connection.execute(f"INSERT INTO ledger VALUES ({', '.join('?' * 25)})", (seq, *row))
        payloads = (old_payload(receipt) for receipt in page)
        content = zlib.compress(b"".join(struct.pack(">I", len(payload)) + payload for payload in payloads), 1)
        values = (first, seq, min(times), max(times), "pages", content)
        connection.execute("INSERT INTO receipt_pages VALUES (?, ?, ?, ?, ?, ?)", values)
    connection.close()


def _rows(receipt: Receipt) -> list[tuple[object, ...]]:
    shown = receipt.answered_by or (receipt.attempts[-1] if receipt.attempts else None)
    cost, compared = receipt.cost, receipt.counterfactual
    verdicts = [attempt.verdict for attempt in receipt.attempts if attempt.verdict is not None]
    last = (
        receipt.outcome.value,
        shown.zone if shown else "",
        any(verdict.action is Action.ESCALATE for verdict in verdicts),
        receipt.bytes_left,
        cost.micros if cost else None,
        cost.currency if cost else None,
        compared.micros if compared else None,
        compared.currency if compared else None,
    )
    found = entries(receipt)
    if not found:
        return [(receipt.id, -1, receipt.tenant, receipt.created_unix_ms, *(None,) * 12, *last)]
    rows = [_row(receipt, entry) for entry in found]
    return [(*row, *((None,) * 8 if row is not rows[-1] else last)) for row in rows]


def _row(receipt: Receipt, entry: LedgerEntry) -> tuple[object, ...]:
    usage, cost = entry.usage, entry.cost
    return (
        receipt.id,
        entry.attempt_index,
        receipt.tenant,
        receipt.created_unix_ms,
        entry.deployment,
        entry.zone,
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.reasoning_tokens,
        usage.measured,
        cost.amount.micros if cost.amount else None,
        cost.amount.currency if cost.amount else None,
        cost.energy_mwh,
        cost.source,
        cost.price_version,
    )
