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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

_AREA_POINTS = 200
_CROSSING_POINTS = 2_000
_TAIL = 0.025


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A number and where 95 % of resamples put it."""

    value: float
    low: float
    high: float


class Curve:
    """Quality by the share of strong calls.

    Args:
        scores: How much each question needs the strong model.
        weak: Quality of the weak model's answer to each, for example 1 where it is right and 0 where not.
        strong: The same of the strong model's.

    Attributes:
        weak: Mean quality of the weak model.
        strong: Mean quality of the strong model.
    """

    def __init__(self, scores: Sequence[float], weak: Sequence[float], strong: Sequence[float]) -> None:
        n = len(scores)
        if not n:
            raise ValueError("a curve of no questions")
        order = sorted(range(n), key=scores.__getitem__, reverse=True)
        gains = [strong[i] - weak[i] for i in order]
        start = 0
        for place in range(1, n + 1):
            if place == n or scores[order[place]] != scores[order[start]]:
                mean = math.fsum(gains[start:place]) / (place - start)
                gains[start:place] = [mean] * (place - start)
                start = place
        self.weak = math.fsum(weak) / n
        self.strong = math.fsum(strong) / n
        self._n = n
        self._sums = [0.0]
        for gain in gains:
            self._sums.append(self._sums[-1] + gain)

    def quality(self, share: float) -> float:
        """Mean quality when the share ``share`` (0 to 1) of questions goes to the strong model."""
        at = min(max(share, 0.0), 1.0) * self._n
        below = min(math.floor(at), self._n - 1)
        low, high = self._sums[below], self._sums[below + 1]
        return self.weak + (low + (at - below) * (high - low)) / self._n

    def pgr(self, share: float) -> float:
        """Performance gap recovered: 0 at the weak model's quality, 1 at the strong one's.

        Raises:
            ValueError: The strong model is not better: there is no gap.
        """
        gap = self.strong - self.weak
        if gap <= 0:
            raise ValueError(f"no gap: the strong model's quality is {self.strong:.4f}, the weak one's {self.weak:.4f}")
        return (self.quality(share) - self.weak) / gap

    def apgr(self) -> float:
        """Mean of ``pgr`` over all shares, by the trapezoid rule: 0.5 for a router that guesses.

        Raises:
            ValueError: As ``pgr``.
        """
        values = [self.pgr(point / _AREA_POINTS) for point in range(_AREA_POINTS + 1)]
        return (math.fsum(values) - (values[0] + values[-1]) / 2) / _AREA_POINTS

    def cpt(self, wanted: float) -> float | None:
        """The least share of strong calls at which ``pgr`` is ``wanted`` (0.5 for CPT50); ``None`` where it never is.

        Raises:
            ValueError: As ``pgr``.
        """
        return self._first(lambda share: self.pgr(share) >= wanted)

    def share_for(self, of_strong: float) -> float | None:
        """The least share of strong calls that gives ``of_strong`` (0.98…) of the strong model's quality."""
        wanted = of_strong * self.strong
        return self._first(lambda share: self.quality(share) >= wanted - 1e-12)

    def _first(self, holds: Callable[[float], bool]) -> float | None:
        for point in range(_CROSSING_POINTS + 1):
            if holds(point / _CROSSING_POINTS):
                return point / _CROSSING_POINTS
        return None


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
    inner = [x for x, _ in ordered if low < x < high]
    corners = [(x, _height(ordered, x)) for x in (low, *inner, high)]
    area = math.fsum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(corners))
    return area / (high - low)


def bootstrap(count: int, measure: Callable[[Sequence[int]], float], *, seed: int, draws: int = 200) -> Interval:
    """``measure`` of all of ``count`` questions, with the interval that drawing them again (with replacement) gives.

    Args:
        count: How many questions.
        measure: Of the places of questions, which may repeat.
        seed: The same one gives the same interval.
        draws: Resamples.
    """
    value = measure(range(count))
    state, found = seed & _MASK, list[float]()
    for _ in range(draws):
        places: list[int] = []
        for _ in range(count):
            state = (state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) & _MASK
            places.append((state >> 33) * count >> 31)
        found.append(measure(places))
    found.sort()
    low, high = found[round(_TAIL * (draws - 1))], found[round((1 - _TAIL) * (draws - 1))]
    return Interval(value=value, low=min(low, value), high=max(high, value))


_MASK = (1 << 64) - 1


def _is_below(left: tuple[float, float], middle: tuple[float, float], right: tuple[float, float]) -> bool:
    """Whether ``middle`` is on or below the line from ``left`` to ``right``."""
    (x0, y0), (x1, y1), (x2, y2) = left, middle, right
    return (y1 - y0) * (x2 - x0) <= (y2 - y0) * (x1 - x0)


def _height(ordered: Sequence[tuple[float, float]], x: float) -> float:
    if x <= ordered[0][0]:
        return ordered[0][1]
    for (x0, y0), (x1, y1) in pairwise(ordered):
        if x <= x1:
            return y1 if x1 == x0 else y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return ordered[-1][1]
