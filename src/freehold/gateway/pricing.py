"""What an attempt cost, and what the same tokens would have cost at the named cloud model."""

from __future__ import annotations

from freehold.domain.deployment import Deployment, TokenPrice
from freehold.domain.ports import PriceBook
from freehold.domain.response import Usage
from freehold.gateway.receipt import ReceiptDraft
from freehold.ledger.pricing import counterfactual


def list_price(prices: PriceBook, deployment: Deployment, *, usage: Usage, unix_ms: int) -> TokenPrice | None:
    """The typed-in price, else the price book's; ``None`` where neither knows it."""
    if deployment.price is not None:
        return deployment.price
    return prices.price(deployment.price_model, usage=usage, unix_ms=unix_ms) if deployment.price_model else None


def price_counterfactual(prices: PriceBook, compare_with: str, draft: ReceiptDraft) -> None:
    """Note in ``draft`` what the answer's tokens would have cost at ``compare_with``."""
    if not compare_with or draft.answered_index is None:
        return
    usage = draft.attempts[draft.answered_index].usage
    price = prices.price(compare_with, usage=usage, unix_ms=draft.created_unix_ms)
    draft.counterfactual = None if price is None else counterfactual(usage, price)
    draft.counterfactual_model = compare_with
