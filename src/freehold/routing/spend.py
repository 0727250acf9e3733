"""A threshold that holds a month's spend: how unsure must an answer be, so that the money lasts? Pure.

Money that is left over the time that is left is the rate that may be spent; over what an escalation costs it is how many
may be made; over how many answers come it is their share; and the answers below that quantile of recent probabilities
are the ones that need it most. Spending more or less than that changes what is left, and so corrects itself: no gain has
to be tuned, and no forecast is believed for longer than until the next look.

It holds money. It promises nothing of how often an accepted answer is wrong: that is a certificate's word.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

PROBABILITIES_MIN = 20
"""With fewer recent answers their quantiles say little: spending is held by its rate alone."""

_LAST_SHARE = 0.02
"""Of the month: what is left near its end is spread over no less than this, so that little money is not burnt at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """How a month goes.

    Attributes:
        budget_micros: What may be spent in the month.
        spent_micros: What was.
        elapsed: Share of the month that is over, 0 to 1.
        answers: Answers judged per month, at the rate of late.
        escalation_micros: Mean cost of an escalation of late.
        probabilities: Of recent answers, accepted or not, in any order.
    """

    budget_micros: int
    spent_micros: int
    elapsed: float
    answers: float
    escalation_micros: float
    probabilities: Sequence[float]


def spend_threshold(spending: Spending) -> float | None:
    """The probability below which an answer may be escalated for money.

    Returns:
        0 where nothing may be spent any more; ``None`` where all that would be escalated can be paid.
    """
    left = spending.budget_micros - spending.spent_micros
    if left <= 0:
        return 0.0
    share = affordable_share(spending)
    if share >= 1.0:
        return None
    known = sorted(spending.probabilities)
    if len(known) < PROBABILITIES_MIN:
        return share  # as if all probabilities were equally common
    at = share * len(known)
    return known[min(len(known) - 1, math.floor(at))]


def affordable_share(spending: Spending) -> float:
    """Of the answers to come, the share whose escalation what is left pays for; may be above 1."""
    remaining = max(1.0 - min(max(spending.elapsed, 0.0), 1.0), _LAST_SHARE)
    wanted = spending.answers * remaining * spending.escalation_micros
    left = max(0, spending.budget_micros - spending.spent_micros)
    return math.inf if wanted <= 0 else left / wanted
