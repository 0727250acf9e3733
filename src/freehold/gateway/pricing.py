"""What an attempt cost, and what the same tokens would have cost at the named cloud model."""

from __future__ import annotations

from freehold.domain.deployment import Deployment, TokenPrice
from freehold.domain.ports import PriceBook
from freehold.domain.receipt import Cost
from freehold.domain.response import Usage
from freehold.domain.zones import WORLD
from freehold.gateway.attempt import AttemptRun
from freehold.gateway.load import Share
from freehold.gateway.receipt import ReceiptDraft
from freehold.gateway.runtime import Runtime
from freehold.ledger import pricing
from freehold.ledger.pricing import cost_of_attempt, counterfactual


def list_price(prices: PriceBook, deployment: Deployment, *, usage: Usage, unix_ms: int) -> TokenPrice | None:
    """The typed-in price, else the price book's; ``None`` where neither knows it."""
    if deployment.price is not None:
        return deployment.price
    return prices.price(deployment.price_model, usage=usage, unix_ms=unix_ms) if deployment.price_model else None


def price_attempt(run: AttemptRun, usage: Usage, runtime: Runtime, *, ended_ms: float, share: Share) -> Cost:
    """What an attempt cost until now.

    Args:
        run: The attempt.
        usage: Its tokens.
        runtime: Says what owned hardware costs.
        ended_ms: When it ended, on the attempt's scale.
        share: What it had of owned hardware. Counters are this device's: of another machine they say nothing.
    """
    draft, deployment = run.draft, run.deployment
    return cost_of_attempt(
        deployment,
        usage=usage,
        busy_ms=ended_ms - run.started_ms,
        hardware=runtime.hardware,
        share_permille=share.permille,
        measured_mw=share.measured_mw if deployment.is_on_device else None,
        price=list_price(run.services.prices, deployment, usage=usage, unix_ms=draft.created_unix_ms),
    )


def price_counterfactual(prices: PriceBook, draft: ReceiptDraft) -> None:
    """Note what the answer's tokens would have cost at the cloud model to compare with.

    A text that may not go there has no cloud alternative: its local cost is reported, never a saving.
    """
    model = draft.compare_with
    if not model or draft.answered_index is None or WORLD not in draft.label.zones:
        return
    usage = draft.attempts[draft.answered_index].usage
    price = prices.price(model, usage=usage, unix_ms=draft.created_unix_ms)
    draft.counterfactual = None if price is None else counterfactual(usage, price)
    draft.counterfactual_price = None if price is None else pricing.list_price(price)
    draft.counterfactual_model = model
