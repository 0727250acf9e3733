"""Is a new version as good as the one that serves, looked at as often as anybody likes while answers come in?

Bets on the differences of right answers, new less old, one after the other. Against "the mean is at most m" a bettor who
always puts the share c of its money on more has ``(1 - c) + c (1 + x) / (1 + m)`` times as much after a difference x.
While the mean is at most m that is no gain in the mean, so that the money is a supermartingale, and so is that of
several bettors together: it ever reaches 1/alpha with a chance of at most alpha (Ville's inequality). The largest m
against which it has is a lower bound that holds at all looks together, at whatever moment anybody stops, and whatever
loss is chosen to be borne.

What was refuted underway counts only while it still is: bounds may be intersected over looks, but then some easy
questions at the beginning would decide, whatever comes after them. So the order of answers does not matter.

Sources: Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting", Journal of the Royal
Statistical Society B 86(1), section 4 (the capital process and its confidence sequence); Robbins 1970, Annals of
Mathematical Statistics 41:1397 (mixtures; here of five constant bets).

Where nobody knows the right answer, a pair counts as ``routing.canary`` says: at the lower bound with the calibrated
probability of the old answer as lost, at the upper one with the rest as won. The mean of what is really lost is no more.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from freehold.routing.canary import (
    ALPHA,
    DELTA,
    Counts,
    Finding,
    Pair,
    check_shares,
    finding,
)

_BETS: Final = ((0.93, 0.28), (0.5, 0.28), (0.26, 0.22), (0.12, 0.14), (0.04, 0.08))
"""Share of its money that each bettor puts, and with what part of all money it begins.

The best one for a loss d borne and a share s of questions that differ puts about d / s: 0.12 to 0.93 are those of 5 points
and shares of 40 to 5 %. Of grids of three to five that were tried none was better by more than one in ten.
"""

_HALVINGS: Final = 20
"""The bounds are exact to two in a million."""


def compare_so_far(pairs: Iterable[Pair], *, delta: float = DELTA, alpha: float = ALPHA) -> Finding:
    """Hold the answers against each other, as many as there are by now.

    Args:
        pairs: One for each question. A later look has those of an earlier one, too, whatever they said.
        delta: The loss that is borne, above 0 and below 1.
        alpha: Chance that either bound is ever wrong, above 0 and below 1.

    Raises:
        ValueError: ``delta`` or ``alpha`` is no such share.
    """
    check_shares(delta=delta, alpha=alpha)
    questions = lost = won = unknown = 0
    least: Counter[float] = Counter()
    most: Counter[float] = Counter()
    for pair in pairs:
        questions += 1
        below, above = _worth(pair)
        least[below] += 1
        most[-above] += 1
        if pair.old is not None and pair.new is not None:
            lost += pair.old and not pair.new
            won += pair.new and not pair.old
        else:
            unknown += pair.alike is not True
    low, high = lower_bound(least, alpha=alpha), -lower_bound(most, alpha=alpha)
    counts = Counts(questions=questions, lost=lost, won=won, unknown=unknown)

    def shows(lost: int, won: int, n: int) -> bool:
        return money({-1.0: lost, 0.0: n - lost - won, 1.0: won}, -delta) >= -math.log(alpha)

    return finding(counts, low=low, high=high, delta=delta, alpha=alpha, shows=shows)


def lower_bound(differences: Mapping[float, int], *, alpha: float) -> float:
    """The largest mean that is refuted as too small; -1 where none is.

    Args:
        differences: How often each was seen, from -1 to 1.
        alpha: Chance that it is ever wrong.
    """
    low, high, enough = -1.0, 1.0, -math.log(alpha)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if money(differences, middle) >= enough else (low, middle)
    return low


def money(differences: Mapping[float, int], mean: float) -> float:
    """Logarithm of what the bettors have together against ``mean``, of 1 at the beginning.

    It falls where ``mean`` rises: each bettor's does.
    """
    have = [
        math.log(part)
        + math.fsum(
            count * math.log1p(bet * ((1.0 + each) / (1.0 + mean) - 1.0)) for each, count in differences.items()
        )
        for bet, part in _BETS
    ]
    most = max(have)
    return most + math.log(math.fsum(math.exp(each - most) for each in have))


def _worth(pair: Pair) -> tuple[float, float]:
    """What a pair adds to the difference: at least, and at most."""
    if pair.old is not None and pair.new is not None:
        worth = float(pair.new) - float(pair.old)
        return worth, worth
    if pair.alike is True:
        return 0.0, 0.0
    if pair.old_chance is None:
        return -1.0, 1.0
    return -pair.old_chance, 1.0 - pair.old_chance
