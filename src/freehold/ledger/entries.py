"""The ledger's view of a receipt."""

from __future__ import annotations

from freehold.domain.receipt import Cost, LedgerEntry, Receipt
from freehold.ledger.pricing import UNPRICED


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
