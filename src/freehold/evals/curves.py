"""How good is a router? Its quality as a function of what goes to the strong model. One definition of each number.

Scores say how much a question needs the strong model: the higher, the sooner it goes there. All questions get one, and
at a share ``c`` of strong calls the ``c`` with the highest scores go there. Questions of one score have no order: their
gains are taken in expectation.

Sources: PGR, APGR and CPT after RouteLLM (Ong et al. 2024, arXiv 2406.18665, section 3.3), with integrals on 201 and
first crossings on 2,001 points, since its own 11-point curve is noisy; AIQ after RouterBench (Hu et al. 2024, arXiv
2403.12031, section 3.2).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from freehold.evals.arrays import Arrays, PlainArrays, Row, arrays

_AREA_POINTS = 200
_CROSSING_POINTS = 2_000
_STRIDE = _CROSSING_POINTS // _AREA_POINTS
_TAIL = 0.025
_ROUNDING = 1e-12
"""A sum of as many numbers as there are questions does not meet the strong model's own quality exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A number and where 95 % of resamples put it."""

    value: float
    low: float
    high: float


class Ranking:
    """Questions by falling score, once, to be measured under many weights.

    Args:
        scores: One a question.
        on: What to compute with.

    Attributes:
        count: How many questions.
        on: What to compute with.
    """

    def __init__(self, scores: Sequence[float], on: Arrays | None = None) -> None:
        self.on = on or PlainArrays()
        values = list(scores)
        order = sorted(range(len(values)), key=values.__getitem__, reverse=True)
        # Within a block of equal scores order says nothing: only the ends of blocks are points of a curve.
        ends = [0, *(at for at in range(1, len(order)) if values[order[at]] != values[order[at - 1]]), len(order)]
        self.count = len(order)
        self._order = self.on.places(order)
        self._ends = self.on.places(ends)

    def sums(self, row: Row) -> Row:
        """Sums of ``row`` (one a question) over the questions with the highest scores: none, then a block more each."""
        return self.on.take(self.on.running(self.on.take(row, self._order)), self._ends)


class Curve:
    """Quality by the share of strong calls.

    Args:
        scores: How much each question needs the strong model; or a ranking by that.
        weak: Quality of the weak model's answer to each, for example 1 where it is right and 0 where not.
        strong: The same of the strong model's.
        weights: How many questions each stands for, fractions allowed; one each if not given.
        numpy: The module, which makes it faster and changes no number.

    Attributes:
        weak: Mean quality of the weak model.
        strong: Mean quality of the strong model.
    """

    def __init__(
        self,
        scores: Sequence[float] | Ranking,
        weak: Sequence[float],
        strong: Sequence[float],
        weights: Sequence[float] | None = None,
        *,
        numpy: Any = None,
    ) -> None:
        ranking = scores if isinstance(scores, Ranking) else Ranking(scores, arrays(numpy))
        if not ranking.count:
            raise ValueError("a curve of no questions")
        on = ranking.on
        low, high = on.row(weak), on.row(strong)
        weight = on.row([1.0] * ranking.count if weights is None else weights)
        self._on = on
        self._shares = ranking.sums(weight)
        lows, highs = ranking.sums(on.times(low, weight)), ranking.sums(on.times(high, weight))
        self._gains = on.minus(highs, lows)
        self._all = float(self._shares[-1])
        if self._all <= 0:
            raise ValueError("a curve of no questions")
        self.weak, self.strong = float(lows[-1]) / self._all, float(highs[-1]) / self._all
        self._grid: list[float] | None = None
        self._best: list[float] | None = None

    def quality(self, share: float) -> float:
        """Mean quality when the share ``share`` (0 to 1) of questions goes to the strong model."""
        at = min(max(share, 0.0), 1.0) * self._all
        return self.weak + float(self._on.heights(self._on.row([at]), self._shares, self._gains)[0]) / self._all

    def sampled(self) -> list[tuple[float, float]]:
        """The curve at the 201 shares that areas are taken over: share of strong calls, and quality."""
        return [(point / _AREA_POINTS, quality) for point, quality in enumerate(self._qualities()[::_STRIDE])]

    def points(self) -> list[tuple[float, float]]:
        """The corners of the curve: share of strong calls, and quality; between two of them it is a straight line."""
        return [
            (float(share) / self._all, self.weak + float(gain) / self._all)
            for share, gain in zip(self._shares, self._gains, strict=True)
        ]

    def pgr(self, share: float) -> float:
        """Performance gap recovered: 0 at the weak model's quality, 1 at the strong one's.

        Raises:
            ValueError: The strong model is not better: there is no gap.
        """
        return (self.quality(share) - self.weak) / self._gap()

    def apgr(self) -> float:
        """Mean of ``pgr`` over all shares, by the trapezoid rule: 0.5 for a router that guesses.

        Raises:
            ValueError: As ``pgr``.
        """
        gap = self._gap()
        values = [(quality - self.weak) / gap for quality in self._qualities()[::_STRIDE]]
        return (math.fsum(values) - (values[0] + values[-1]) / 2) / _AREA_POINTS

    def cpt(self, wanted: float) -> float | None:
        """The least share of strong calls at which ``pgr`` is ``wanted`` (0.5 for CPT50); ``None`` where it never is.

        Raises:
            ValueError: As ``pgr``.
        """
        gap = self._gap()
        return self._first(lambda quality: (quality - self.weak) / gap >= wanted)

    def share_for(self, of_strong: float) -> float | None:
        """The least share of strong calls that gives ``of_strong`` (0.98…) of the strong model's quality."""
        wanted = of_strong * self.strong - _ROUNDING
        return self._first(lambda quality: quality >= wanted)

    def _gap(self) -> float:
        gap = self.strong - self.weak
        if gap <= 0:
            raise ValueError(f"no gap: the strong model's quality is {self.strong:.4f}, the weak one's {self.weak:.4f}")
        return gap

    def _qualities(self) -> list[float]:
        """Quality at each of the shares among which a crossing is looked for."""
        if self._grid is None:
            at = self._on.row([point / _CROSSING_POINTS * self._all for point in range(_CROSSING_POINTS + 1)])
            self._grid = [
                self.weak + float(gain) / self._all for gain in self._on.heights(at, self._shares, self._gains)
            ]
        return self._grid

    def _first(self, holds: Callable[[float], bool]) -> float | None:
        """The least share whose quality ``holds``, which every higher quality does too."""
        if self._best is None:
            self._best = list(accumulate(self._qualities(), max))
        point = bisect_left(self._best, x=True, key=holds)
        return point / _CROSSING_POINTS if point <= _CROSSING_POINTS else None


def aiq(points: Sequence[tuple[float, float]]) -> float:
    """Average improvement in quality: area under the non-decreasing convex hull of (cost, quality) over its cost range.

    Raises:
        ValueError: Fewer than two costs.
    """
    hull: list[tuple[float, float]] = []
    for cost, quality in sorted(points):
        if hull and cost == hull[-1][0]:
            if quality <= hull[-1][1]:
                continue
            hull.pop()
        while len(hull) > 1 and _is_below(hull[-2], hull[-1], (cost, quality)):
            hull.pop()
        hull.append((cost, quality))
    if len(hull) < 2:
        raise ValueError("a range of costs needs two of them")
    best, rising = -math.inf, list[tuple[float, float]]()
    for cost, quality in hull:
        best = max(best, quality)
        rising.append((cost, best))
    return mean_over(rising, rising[0][0], rising[-1][0])


def mean_over(points: Sequence[tuple[float, float]], low: float, high: float) -> float:
    """Mean height over ``low`` to ``high`` of the broken line through ``points``, which goes on level beyond its ends.

    Of mean error by cost this is the error-cost area (Zellinger et al. 2025): lower is better.

    Raises:
        ValueError: No points, or ``high`` is not above ``low``.
    """
    if not points or high <= low:
        raise ValueError(f"no area from {low} to {high} under {len(points)} points")
    ordered = sorted(points)
    (first, at_first), (last, at_last) = ordered[0], ordered[-1]
    line = [(min(low, first), at_first), *ordered, (max(high, last), at_last)]
    pieces = (_piece(left, right, low, high) for left, right in pairwise(line))
    return math.fsum(pieces) / (high - low)


def bootstrap(
    count: int,
    measure: Callable[[Sequence[int]], float],
    *,
    seed: int,
    draws: int = 200,
    numpy: Any = None,
) -> Interval:
    """``measure`` of all of ``count`` questions, with the interval that drawing them again (with replacement) gives.

    Args:
        count: How many questions.
        measure: Of the places of questions, which may repeat.
        seed: The same one gives the same interval.
        draws: Resamples.
        numpy: The module, which draws faster and gives ``measure`` arrays.
    """
    value = measure(range(count))
    found = [measure(places) for places in arrays(numpy).draws(count, seed=seed, times=draws)]
    return interval_of(value, found)


def interval_of(value: float, resampled: Sequence[float]) -> Interval:
    """``value`` with the middle 95 % of what resamples gave."""
    found = sorted(resampled)
    low, high = found[round(_TAIL * (len(found) - 1))], found[round((1 - _TAIL) * (len(found) - 1))]
    return Interval(value=value, low=min(low, value), high=max(high, value))


def _is_below(left: tuple[float, float], middle: tuple[float, float], right: tuple[float, float]) -> bool:
    """Whether ``middle`` is on or below the line from ``left`` to ``right``."""
    (x0, y0), (x1, y1), (x2, y2) = left, middle, right
    return (y1 - y0) * (x2 - x0) <= (y2 - y0) * (x1 - x0)


def _piece(left: tuple[float, float], right: tuple[float, float], low: float, high: float) -> float:
    """Area under the line from ``left`` to ``right``, between ``low`` and ``high``."""
    (x0, y0), (x1, y1) = left, right
    begin, end = max(x0, low), min(x1, high)
    if end <= begin:
        return 0.0
    middle = y0 + (y1 - y0) * ((begin + end) / 2 - x0) / (x1 - x0)
    return (end - begin) * middle
