"""Whether owning pays, as probabilities: many draws of all assumptions, and what each one alone does.

A Monte Carlo over triangles and a tornado of one assumption at a time (Vose, Risk Analysis, 3rd ed., 2008).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from freehold.domain.economics import BreakEven, Demand, Histogram, Projection, Quantiles, Swing, TokenPrices
from freehold.planner.assumptions import NAMES, Assumed, Assumptions, Draws
from freehold.planner.owning import blend, own_month, project, volume_mtok

NEVER_MONTHS = 999
"""Stands for a payback that does not come, so that it has a place among the others."""
_YEAR = 12
_BINS = 40


def break_even(
    assumptions: Assumptions,
    price: TokenPrices,
    demand: Demand,
    *,
    draws: Draws,
    count: int,
    seed: int,
) -> BreakEven:
    """Answer for one volume and one price.

    Args:
        assumptions: With their spreads.
        price: Of the cheapest cloud model that is good enough.
        demand: How much is asked for. Of a bill, each draw has as many tokens as cost that in it.
        draws: Where random numbers come from.
        count: How many times.
        seed: That ``draws`` was made with; said again in the result.
    """
    volumes: list[float] = []
    projections: list[Projection] = []
    suffices = 0
    for _ in range(count):
        values = assumptions.drawn(draws)
        month = own_month(values)
        needed = volume_mtok(values, price, month=month)
        volumes.append(needed)
        suffices += needed <= mtok_of(demand, values, price)
        projections.append(project(values, bill_of(demand, values, price), month=month))
    paybacks = [each.payback_month if each.payback_month is not None else NEVER_MONTHS for each in projections]
    modes = assumptions.modes()
    return BreakEven(
        draws=count,
        seed=seed,
        month=own_month(modes),
        volume_mtok=quantiles(volumes),
        volume_mtok_mode=volume_mtok(modes, price),
        volume_at_most=suffices / count,
        npv=quantiles([each.npv for each in projections]),
        npv_mode=project(modes, bill_of(demand, modes, price)).npv,
        npv_histogram=histogram([each.npv for each in projections]),
        pays=sum(each.npv > 0 for each in projections) / count,
        pays_in_a_year=sum(each < _YEAR for each in paybacks) / count,
        payback_months=quantiles(paybacks),
        tornado=tornado(assumptions, lambda values: project(values, bill_of(demand, values, price)).npv),
    )


def bill_of(demand: Demand, values: Assumed, price: TokenPrices) -> float:
    """What the demand costs in the cloud this month."""
    return demand.bill_a_month or demand.mtok_a_month * blend(price, values)


def mtok_of(demand: Demand, values: Assumed, price: TokenPrices) -> float:
    """How many million tokens a month that is; infinite where the cloud costs nothing."""
    if demand.mtok_a_month:
        return demand.mtok_a_month
    each = blend(price, values)
    return demand.bill_a_month / each if each > 0 else float("inf")


def quantiles(values: Sequence[float]) -> Quantiles:
    """The tenth, the middle and the ninetieth of a hundred, by rank."""
    ranked = sorted(values)
    last = len(ranked) - 1
    p10, p50, p90 = (ranked[min(last, int(share * len(ranked)))] for share in (0.1, 0.5, 0.9))
    return Quantiles(p10=p10, p50=p50, p90=p90)


def histogram(values: Sequence[float]) -> Histogram:
    """Bins over all but the outermost hundredth on each side, which lies in the first and the last."""
    ranked = sorted(values)
    cut = len(ranked) // 100
    low, high = ranked[cut], ranked[-1 - cut]
    counts = [0] * _BINS
    width = (high - low) / _BINS
    for each in ranked:
        counts[min(_BINS - 1, max(0, int((each - low) / width))) if width else 0] += 1
    return Histogram(low=low, high=high, counts=tuple(counts))


def tornado(assumptions: Assumptions, number: Callable[[Assumed], float]) -> tuple[Swing, ...]:
    """What each assumption that is not known does to a number on its own, widest first."""
    modes = assumptions.modes()
    swings = [
        Swing(
            name=name,
            at_low=number(replace(modes, **{name: spread.low})),
            at_high=number(replace(modes, **{name: spread.high})),
        )
        for name, spread in zip(NAMES, assumptions.spreads, strict=True)
        if spread.low != spread.high
    ]
    return tuple(sorted(swings, key=lambda each: -each.width))
