"""Owning hardware against paying for tokens: the arithmetic of one month, and of the hardware's whole life.

Of one set of values; ``break_even`` draws many.
"""

from __future__ import annotations

from freehold.domain.economics import OwnedMonth, Projection, TokenPrices
from freehold.planner.assumptions import Assumed

HOURS_A_MONTH = 730
_MONTHS = 12
_W = 1_000


def own_month(values: Assumed) -> OwnedMonth:
    """What owning costs in a month: the annuity of price less residual value, and what runs.

    The annuity is ``(K - K·residual / (1 + r)^n) · r / (1 - (1 + r)^-n)`` with ``r`` a month's cost of capital; at
    ``r = 0`` it is what is written off in equal parts.
    """
    rate, months, price = values.wacc / _MONTHS, values.life_months, values.capex
    left = price * values.residual
    if rate:
        growth = (1 + rate) ** months
        capital = (price - left / growth) * rate / (1 - 1 / growth)
    else:
        capital = (price - left) / months
    watts = values.idle_w * (1 - values.busy) + values.busy_w * values.busy
    return OwnedMonth(
        capital=capital,
        energy=watts / _W * HOURS_A_MONTH * values.pue * values.kwh,
        hosting=values.busy_w / _W * values.hosting_kw,
        support=price * values.support / _MONTHS,
        staff=values.fte * values.salary / _MONTHS,
        software=values.software,
    )


def blend(price: TokenPrices, values: Assumed) -> float:
    """What a million tokens really cost in the cloud: input and output mixed, cache, batches and commitments off."""
    inputs = values.in_share * price.input_per_mtok * ((1 - values.cached) + values.cached * values.cache_price)
    outputs = (1 - values.in_share) * price.output_per_mtok
    return (inputs + outputs) * (1 - values.batchable * values.batch_disc) * (1 - values.commit_disc)


def stays_home(values: Assumed) -> float:
    """Share of the cloud's bill that is not paid any more: accepted at home, and not asked again."""
    return values.accept * (1 - values.escalate)


def volume_mtok(values: Assumed, price: TokenPrices, *, month: OwnedMonth | None = None) -> float:
    """Million tokens a month from which owning costs less; infinite where every token is paid for again."""
    saved = blend(price, values) * stays_home(values)
    return (month or own_month(values)).total / saved if saved > 0 else float("inf")


def project(values: Assumed, bill: float, *, month: OwnedMonth | None = None) -> Projection:
    """Every month of the hardware's life, discounted: what is saved less what runs, and what is left in the end.

    Args:
        values: One value of each assumption.
        bill: What the cloud would cost this month for all that is asked; it drifts.
        month: Cost of owning, where it is known already.
    """
    running = (month or own_month(values)).running
    months = int(values.life_months)
    discount = 1 / (1 + values.wacc / _MONTHS)
    drift = (1 + values.price_drift) ** (1 / _MONTHS)
    saved = bill * stays_home(values)
    total, factor, payback = -values.capex, 1.0, None
    for number in range(1, months + 1):
        saved *= drift
        factor *= discount
        total += (saved - running) * factor
        if payback is None and total >= 0:
            payback = number
    return Projection(npv=total + values.capex * values.residual * factor, payback_month=payback)
