"""Whether to bring a workload home: the answer in words, which may be to stay in the cloud."""

from __future__ import annotations

from freehold.domain.economics import Advice, BreakEven, Demand, Repatriation, Spread, TokenPrices, Way
from freehold.planner.assumptions import ABOUT, Assumed, Assumptions, Draws
from freehold.planner.break_even import bill_of, break_even, mtok_of
from freehold.planner.owning import HOURS_A_MONTH, blend, own_month, stays_home

SURE = 0.8
"""Share of the draws from which an answer is given; between it and its opposite there is none."""
_WORTH_A_CHANGE = 0.2
"""Share of the bill that a cheaper model must save to be named first."""
_Z = 1.6449
_NEVER = 999
_TOKENS_PER_MTOK, _SECONDS_PER_HOUR = 1_000_000, 3_600
WAYS = {"cloud": "the cloud alone", "hybrid": "home, doubtful ones in the cloud", "local": "home alone"}
"""What ``ways`` are called."""


def answer(
    assumptions: Assumptions,
    demand: Demand,
    *,
    now: TokenPrices,
    cheapest: TokenPrices | None = None,
    price_source: str,
    draws: Draws,
    count: int,
    seed: int,
) -> Repatriation:
    """Compare owning with the cheapest cloud model that is good enough.

    Args:
        assumptions: With their spreads.
        demand: How much is asked for now.
        now: Price of the model that is paid for now.
        cheapest: Price of the cheapest one that passes the same quality bar; ``None`` where that is the same one.
        price_source: Where the price that is compared with was read.
        draws: Where random numbers come from.
        count: How many times.
        seed: Of ``draws``.
    """
    modes = assumptions.modes()
    bill = bill_of(demand, modes, now)
    price = cheapest or now
    compared = bill * blend(price, modes) / blend(now, modes)
    against = demand if demand.mtok_a_month else Demand(bill_a_month=compared)
    result = break_even(assumptions, price, against, draws=draws, count=count, seed=seed)
    saved = 1 - compared / bill
    reasons = list(_reasons(result, against, mtok=mtok_of(against, modes, price)))
    advice = _advice(result)
    if saved >= _WORTH_A_CHANGE and advice is not Advice.MOVE:
        advice = Advice.CHEAPER_CLOUD
        reasons.insert(
            0, f"A cheaper cloud model that is good enough saves {saved:.0%} of the bill with nothing to buy."
        )
    return Repatriation(
        advice=advice,
        because=tuple(reasons),
        demand=demand,
        price=price,
        price_source=price_source,
        bill_a_month=bill,
        compared_bill_a_month=compared,
        result=result,
        ways=ways(modes, compared),
    )


def ways(values: Assumed, bill: float) -> tuple[Way, ...]:
    """What a month costs in the cloud alone, at home with the cloud for what is doubtful, and at home alone.

    The hybrid pays for the hardware and for the share of the bill that does not stay at home: ``own + (1 - accept·(1 -
    escalate))·bill``. At home alone nothing is paid for that share, and its answers are not good enough.

    Args:
        values: One value of each assumption.
        bill: What the cloud costs in a month for all of it.
    """
    own, left = own_month(values).total, 1 - stays_home(values)
    return (
        Way(name="cloud", a_month=bill, cloud_share=1.0, same_quality=True),
        Way(name="hybrid", a_month=own + left * bill, cloud_share=left, same_quality=True),
        Way(name="local", a_month=own, cloud_share=0.0, same_quality=left <= 0),
    )


def months_text(months: float) -> str:
    """A number of months until something is paid back, which may be never."""
    return "never" if months >= _NEVER else f"{months:,.0f}"


def volume_text(mtok: float) -> str:
    """Million tokens a month from which owning costs less; there may be no such volume."""
    return f"{mtok:,.0f}" if mtok < float("inf") else "never"


def measured_share(hits: int, of: int) -> Spread:
    """A share that was counted, with what it may be elsewhere: Wilson's interval (1927), nine times of ten.

    Raises:
        ValueError: Nothing was counted.
    """
    if not 0 <= hits <= of or not of:
        raise ValueError(f"{hits} of {of} is no share")
    share, square = hits / of, _Z * _Z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = _Z / (1 + square / of) * (share * (1 - share) / of + square / (4 * of * of)) ** 0.5
    return Spread(low=min(share, max(0.0, middle - half)), mode=share, high=max(share, min(1.0, middle + half)))


def _advice(result: BreakEven) -> Advice:
    if result.pays >= SURE:
        return Advice.MOVE
    return Advice.STAY if result.pays <= 1 - SURE else Advice.UNDECIDED


def _reasons(result: BreakEven, demand: Demand, *, mtok: float) -> tuple[str, ...]:
    first = f"Owning pays in {result.pays:.1%} of {result.draws:,} draws, within a year in {result.pays_in_a_year:.1%}."
    needed = result.volume_mtok
    second = (
        f"It costs less from {volume_text(needed.p50)} M tokens a month on (one draw in ten: below"
        f" {volume_text(needed.p10)}; one in ten: above {volume_text(needed.p90)})."
        if needed.p50 < float("inf")
        else "In the middle case it costs less at no volume."
    )
    have = f"{mtok:,.0f}" if demand.mtok_a_month else f"about {mtok:,.0f}"
    per_s = mtok * _TOKENS_PER_MTOK / (HOURS_A_MONTH * _SECONDS_PER_HOUR)
    second += (
        f" You have {have}. If they came evenly, these were {per_s:,.0f} tokens a second; whether the hardware does so many"
        ' is not judged here ("freehold plan").'
    )
    months = result.payback_months.p50
    third = (
        "In the middle case it is never paid back."
        if months >= _NEVER
        else f"The middle case pays back in month {months:.0f}."
    )
    widest = result.tornado[0] if result.tornado else None
    fourth = (
        () if widest is None else (f"What decides most is {widest.name} ({ABOUT[widest.name]}): find that out first.",)
    )
    return (first, second, third, *fourth)
