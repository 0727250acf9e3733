"""Which deployment, or which pair of them, for what a right answer is worth? Decided from recorded outcomes. Pure.

Two stages are enough: choosing the best single deployment or pair for each price cuts the error-cost area of published
chains of three to five models by 9 to 17 % (``bench/routing/error_cost.py``; the same finding as in Bouchard 2026). A
pair stops at an answer when the chance that it is right is at least what going on is worth: a ridge regression of the
second one's outcome on the first one's probability and its square, less what the second one costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from freehold.routing.linear import solve

OUTCOMES_MIN = 60
"""Fewest questions that a pair is chosen from."""

_RIDGE = 1.0
_STEPS = 1000
"""Thresholds are looked for in thousandths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One deployment's recorded answers, to the same questions in the same order as the others'.

    Attributes:
        name: The deployment's.
        cost: Mean cost of one of its answers, in the unit of ``worth``.
        right: 1 where its answer was right, else 0; or a quality between.
        probability: How sure it was, calibrated on other questions; empty where it says nothing, so that nothing can be
            decided after it.
    """

    name: str
    cost: float
    right: Sequence[float]
    probability: Sequence[float] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One deployment, or two of which the second is asked where the first is not sure enough.

    Attributes:
        first: Asked first.
        second: Asked where the first one's probability is below ``accept_at``; empty for a single one.
        accept_at: 0 for a single one; above 1 where the first one's answer is never good enough.
        cost: Mean cost of a question, on the outcomes that it was chosen from.
        quality: Mean quality there.
        escalated: Share that went on to the second one there.
    """

    first: str
    second: str = ""
    accept_at: float = 0.0
    cost: float
    quality: float
    escalated: float = 0.0


def choose(rungs: Sequence[Rung], *, worth: float, first: Collection[str] = ()) -> Choice:
    """The single one or pair with the most ``worth * quality - cost``.

    Args:
        rungs: In the order in which they may be asked: a pair keeps it.
        worth: What a right answer is worth, in the unit of the costs; above 0.
        first: Which may be asked first; any if empty.

    Raises:
        ValueError: Too few questions, sequences of different lengths, or nothing to choose from.
    """
    return _best(_candidates(_checked(rungs), first), worth)


def envelope(rungs: Sequence[Rung], worths: Iterable[float]) -> tuple[tuple[float, Choice], ...]:
    """``choose`` for each worth, in their order, much faster than one by one.

    Raises:
        ValueError: As ``choose``.
    """
    candidates = _candidates(_checked(rungs))
    return tuple((worth, _best(candidates, worth)) for worth in worths)


_Candidate = Callable[[float], Choice]


def _best(candidates: Sequence[_Candidate], worth: float) -> Choice:
    """Of equals the first: singles stand before pairs, so that nothing is asked twice for nothing."""
    if worth <= 0 or not math.isfinite(worth):
        raise ValueError(f"a right answer must be worth more than 0, not {worth}")
    return max((candidate(worth) for candidate in candidates), key=lambda each: worth * each.quality - each.cost)


def _checked(rungs: Sequence[Rung]) -> Sequence[Rung]:
    if not rungs:
        raise ValueError("nothing to choose from")
    n = len(rungs[0].right)
    for rung in rungs:
        if len(rung.right) != n or len(rung.probability) not in {0, n}:
            raise ValueError(f"{rung.name} has outcomes of other questions than {rungs[0].name}")
    if n < OUTCOMES_MIN:
        raise ValueError(f"{n} questions, at least {OUTCOMES_MIN} are needed")
    return rungs


def _candidates(rungs: Sequence[Rung], first: Collection[str] = ()) -> list[_Candidate]:
    found = [_single(rung) for rung in rungs if not first or rung.name in first]
    return found + [_pair(a, b) for a, b in combinations(rungs, 2) if a.probability and (not first or a.name in first)]


def _single(rung: Rung) -> _Candidate:
    choice = Choice(first=rung.name, cost=rung.cost, quality=math.fsum(rung.right) / len(rung.right))
    return lambda _: choice


def _pair(first: Rung, second: Rung) -> _Candidate:
    """A pair at any worth. Sums over the first one's probabilities in order make each threshold a look-up."""
    n = len(first.right)
    going_on = continuation(first.probability, second.right)
    ordered = sorted(zip(first.probability, first.right, second.right, strict=True))
    quality = math.fsum(first.right)
    qualities = [quality]  # when the k least sure go on
    for _, own, other in ordered:
        qualities.append(qualities[-1] - own + other)

    def at(worth: float) -> Choice:
        threshold = stop_at(going_on, second.cost / worth)
        count = _below(ordered, threshold)
        return Choice(
            first=first.name,
            second=second.name,
            accept_at=threshold,
            cost=first.cost + second.cost * count / n,
            quality=qualities[count] / n,
            escalated=count / n,
        )

    return at


def continuation(probability: Sequence[float], right: Sequence[float]) -> tuple[float, float, float]:
    """How right a second deployment is where the first one's probability is p: ``a + b·p + c·p²``, by ridge regression.

    Args:
        probability: The first one's.
        right: The second one's outcomes, to the same questions.
    """
    rows = [(1.0, p, p * p) for p in probability]
    matrix = [[math.fsum(row[i] * row[j] for row in rows) for j in range(3)] for i in range(3)]
    matrix[1][1] += _RIDGE
    matrix[2][2] += _RIDGE
    matrix[0][0] += 1e-9  # equal probabilities everywhere leave it without a unique answer
    sums = [math.fsum(row[i] * y for row, y in zip(rows, right, strict=True)) for i in range(3)]
    a, b, c = solve(matrix, sums)
    return a, b, c


def stop_at(going_on: tuple[float, float, float], price: float) -> float:
    """The least probability from which on stopping is worth more than going on, at every higher one too.

    Args:
        going_on: From ``continuation``.
        price: What going on costs, as a share of what a right answer is worth.

    Returns:
        0 where stopping always is; above 1 where it never is.
    """
    a, b, c = going_on
    for step in range(_STEPS, -1, -1):
        p = step / _STEPS
        if p < a + b * p + c * p * p - price:
            return (step + 1) / _STEPS
    return 0.0


def _below(ordered: Sequence[tuple[float, float, float]], threshold: float) -> int:
    """How many of the first one's answers are not sure enough."""
    low, high = 0, len(ordered)
    while low < high:
        middle = (low + high) // 2
        if ordered[middle][0] < threshold:
            low = middle + 1
        else:
            high = middle
    return low
