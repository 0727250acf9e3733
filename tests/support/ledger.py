"""What the ledger says of a receipt, attempt by attempt: the plain form that the store's sums must come to."""

from __future__ import annotations

from freehold.domain.money import Money
from freehold.domain.receipt import UNPRICED, Cost, Receipt
from freehold.domain.response import Usage
from freehold.domain.values import value
from freehold.domain.zones import Zone


@value
class LedgerEntry:
    """One attempt's money."""

    request_id: str
    attempt_index: int
    created_unix_ms: int
    tenant: str
    key_id: str
    deployment: str
    zone: Zone
    usage: Usage
    cost: Cost
    counterfactual: Money | None = None


def entries(receipt: Receipt) -> tuple[LedgerEntry, ...]:
    """One entry an attempt, in order: an escalated request has paid for each of its attempts.

    The price to compare with stands on one entry only (the answering attempt's, else the last one's), so that a sum
    over entries counts it once.
    """
    compared = receipt.answered_index if receipt.answered_index is not None else len(receipt.attempts) - 1
    return tuple(
        LedgerEntry(
            request_id=receipt.id,
            attempt_index=index,
            created_unix_ms=receipt.created_unix_ms,
            tenant=receipt.tenant,
            key_id=receipt.key_id,
            deployment=attempt.deployment,
            zone=attempt.zone,
            usage=attempt.usage,
            cost=attempt.cost or Cost(amount=None, source=UNPRICED),
            counterfactual=receipt.counterfactual if index == compared else None,
        )
        for index, attempt in enumerate(receipt.attempts)
    )
