"""Exact probabilities of counts, and the bounds that follow from them. No normal approximation anywhere.

Safe for up to 100,000 trials: a tail is summed from its largest term outwards, so that it costs as many terms as the
distribution is wide, and nothing that matters underflows.

Sources: Clopper and Pearson 1934 (interval); the tail is the p-value of Angelopoulos et al. 2021 (arXiv 2110.01052,
section 2.2) for losses that are 0 or 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from freehold.routing.classifier import Interval

_NEGLIGIBLE = 1e-18
_HALVINGS = 60


def binomial_tail(most: int, n: int, share: float) -> float:
    """P(at most ``most`` of ``n`` | each with probability ``share``), to ten digits.

    Args:
        most: Negative gives 0, ``n`` or more gives 1.
        n: Trials, at least 0.
        share: 0 to 1.

    Raises:
        ValueError: ``share`` is not between 0 and 1, or ``n`` is negative.
    """
    if not 0.0 <= share <= 1.0 or n < 0:
        raise ValueError(f"no binomial distribution has n = {n} and a share of {share}")
    if most < 0:
        return 0.0
    if most >= n or share <= 0.0:
        return 1.0
    if share >= 1.0:
        return 0.0
    if most <= n * share:
        return min(1.0, _summed(most, n, share))
    # P(at most k yes) is 1 - P(at most n-k-1 no): what is summed is the smaller half, so that nothing cancels.
    return max(0.0, 1.0 - _summed(n - most - 1, n, 1.0 - share))


def _summed(most: int, n: int, share: float) -> float:
    """The lower tail at or below the mean, where each term is smaller than the one above it."""
    ways = math.lgamma(n + 1) - math.lgamma(most + 1) - math.lgamma(n - most + 1)
    log_largest = ways + most * math.log(share) + (n - most) * math.log1p(-share)
    odds = (1.0 - share) / share
    term = total = 1.0
    for k in range(most, 0, -1):
        term *= k / (n - k + 1) * odds
        total += term
        if term < _NEGLIGIBLE * total:
            break
    return math.exp(log_largest + math.log(total))


def share_at_most(yes: int, n: int, delta: float) -> float:
    """Clopper and Pearson's upper bound: a true share above it gives ``yes`` or fewer with a chance of at most ``delta``.

    1 where there were no trials.
    """
    if yes >= n:
        return 1.0
    return _crossing(lambda share: binomial_tail(yes, n, share) > delta)


def share_at_least(yes: int, n: int, delta: float) -> float:
    """Clopper and Pearson's lower bound; 0 where there were no trials."""
    return 1.0 - share_at_most(n - yes, n, delta)


def clopper_pearson(yes: int, n: int, *, delta: float = 0.05) -> Interval:
    """A share and the interval that misses the true one with a chance of at most ``delta``. ``n`` is at least 1."""
    return Interval(value=yes / n, low=share_at_least(yes, n, delta / 2), high=share_at_most(yes, n, delta / 2))


def smallest_sample(errors: int, risk: float, delta: float) -> int:
    """The fewest answers of which ``errors`` wrong ones still prove a share of at most ``risk`` wrong.

    Proof means that ``binomial_tail(errors, n, risk) <= delta``.
    """
    high = errors + 1
    while binomial_tail(errors, high, risk) > delta:
        high *= 2
    low = errors
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if binomial_tail(errors, middle, risk) > delta else (low, middle)
    return high


def later_tail(count: int, n: int, *, rank: int, seen: int) -> float:
    """P(at least ``count`` of ``n`` later values lie below the ``rank``-th smallest of ``seen`` earlier ones).

    Exact where earlier and later values come from one continuous distribution, whatever that is: the count is
    beta-binomial with parameters ``rank`` and ``seen + 1 - rank``. Ties make it smaller.
    """
    low, high = float(rank), float(seen + 1 - rank)
    whole = _log_beta(low, high)
    terms = (math.exp(_log_ways(n, k) + _log_beta(k + low, n - k + high) - whole) for k in range(max(count, 0), n + 1))
    return min(1.0, math.fsum(terms))


def fisher_tail(count: int, n: int, *, before: int, seen: int) -> float:
    """P(at least ``count`` of ``n`` | the ``before`` of ``seen`` came from the same distribution). Fisher's exact test."""
    yes, whole = count + before, _log_ways(n + seen, n)
    terms = (
        math.exp(_log_ways(yes, k) + _log_ways(n + seen - yes, n - k) - whole)
        for k in range(max(count, n - (n + seen - yes)), min(n, yes) + 1)
    )
    return min(1.0, math.fsum(terms))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log_ways(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _crossing(is_below: Callable[[float], bool]) -> float:
    """Where a condition that holds at 0 stops to; on the side where it does not hold."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return high
