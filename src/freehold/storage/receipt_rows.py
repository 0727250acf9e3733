"""The rows of a receipt: one an attempt, with what is known of the request on the last one."""

from __future__ import annotations

from collections.abc import Callable

from freehold.domain.decisions import Action
from freehold.domain.receipt import Attempt, LedgerEntry, Receipt

Row = tuple[object, ...]
Entries = Callable[[Receipt], tuple[LedgerEntry, ...]]

_NO_ATTEMPT: Row = (None,) * 12
_NOT_LAST: Row = (None,) * 8


def rows_of(receipt: Receipt, entries: Entries, first_seq: int) -> list[Row]:
    """The rows of the table ``ledger``, numbered from ``first_seq`` on.

    Args:
        receipt: Whose rows.
        entries: The ledger's view of a receipt.
        first_seq: Number of its first row.
    """
    created_unix_ms, tenant, identifier = receipt.created_unix_ms, receipt.tenant, receipt.id
    last = _last(receipt)
    found = entries(receipt)
    if not found:
        return [(first_seq, identifier, -1, tenant, created_unix_ms, *_NO_ATTEMPT, *last)]
    end = len(found) - 1
    rows: list[Row] = []
    for place, entry in enumerate(found):
        usage, cost = entry.usage, entry.cost
        amount = cost.amount
        rows.append(
            (
                first_seq + place,
                identifier,
                entry.attempt_index,
                tenant,
                created_unix_ms,
                entry.deployment,
                entry.zone,
                usage.input_tokens,
                usage.output_tokens,
                usage.cached_tokens,
                usage.reasoning_tokens,
                usage.measured,
                amount.micros if amount else None,
                amount.currency if amount else None,
                cost.energy_mwh,
                cost.source,
                cost.price_version,
                *(last if place == end else _NOT_LAST),
            )
        )
    return rows


def _last(receipt: Receipt) -> Row:
    attempts = receipt.attempts
    shown = receipt.answered_by or (attempts[-1] if attempts else None)
    cost, counterfactual = receipt.cost, receipt.counterfactual
    return (
        receipt.outcome.value,
        shown.zone if shown else "",
        _escalated(attempts),
        receipt.bytes_left,
        cost.micros if cost else None,
        cost.currency if cost else None,
        counterfactual.micros if counterfactual else None,
        counterfactual.currency if counterfactual else None,
    )


def _escalated(attempts: tuple[Attempt, ...]) -> bool:
    return any(attempt.verdict is not None and attempt.verdict.action is Action.ESCALATE for attempt in attempts)
