"""Blending scores that were made out of sample into one, and keeping it only where it is surely no worse.

Source of the weights: stacked regression (Breiman 1996): least squares on out-of-sample scores, no weight below zero,
since a score that helps only the wrong way round helps by accident. Weights are drawn towards equal ones, which few
outcomes cannot tell from better ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

_DRAWN_SHARE = 0.15
"""How much equal weights count: as many outcomes as this share of those there are."""

_SWEEPS = 300
_SURE_Z = 1.645
"""One-sided 5 % of the normal distribution."""


def blend(columns: Sequence[Sequence[float]], gains: Sequence[float]) -> list[float]:
    """A weight for each column, none negative; all 0 where nothing explains the gains.

    Args:
        columns: Scores by column: out of sample, that is made without the outcome that they are held against.
        gains: What is explained, one an example.
    """
    scaled, scales = _standardised(columns)
    wanted = _centred(gains)
    size = len(scaled)
    products = [[_dot(left, right) for right in scaled] for left in scaled]
    reached = [_dot(column, wanted) for column in scaled]
    whole = sum(map(sum, products))
    equal = max(0.0, sum(reached) / whole) if whole > 0 else 0.0
    drawn = _DRAWN_SHARE * len(gains)
    weights = [equal] * size
    for _ in range(_SWEEPS):
        for at, line in enumerate(products):
            slack = reached[at] + drawn * equal - _dot(line, weights) - drawn * weights[at]
            weights[at] = max(0.0, weights[at] + slack / (line[at] + drawn)) if line[at] > 0 else 0.0
    return [weight / scale if scale else 0.0 for weight, scale in zip(weights, scales, strict=True)]


def guarded(columns: Sequence[Sequence[float]], gains: Sequence[float]) -> list[float]:
    """``blend``, unless the best single column cannot be told from it: then that column alone, with weight 1.

    Told apart they are where the blend's squared errors are lower in a paired test at 5 %: otherwise a blend only adds
    what may go wrong on the next question.
    """
    wanted = _centred(gains)
    singles = [_errors(column, wanted) for column in columns]
    best = min(range(len(columns)), key=lambda at: math.fsum(singles[at]))
    weights = blend(columns, gains)
    mixed = [sum(map(mul, weights, row)) for row in zip(*columns, strict=True)]
    gained = [single - each for single, each in zip(singles[best], _errors(mixed, wanted), strict=True)]
    if paired_z(gained) >= _SURE_Z:
        return weights
    return [float(at == best) for at in range(len(columns))]


def paired_z(differences: Sequence[float]) -> float:
    """Mean difference over its standard error; 0 where there are fewer than two or all are 0, ±inf where all are alike."""
    n = len(differences)
    if n < 2:
        return 0.0
    mean = math.fsum(differences) / n
    spread = math.sqrt(math.fsum((each - mean) ** 2 for each in differences) / (n - 1) / n)
    if spread > 0:
        return mean / spread
    return math.copysign(math.inf, mean) if mean else 0.0


def _errors(column: Sequence[float], wanted: Sequence[float]) -> list[float]:
    """Squared errors of the best line through a column that rises."""
    centred = _centred(column)
    square = _dot(centred, centred)
    slope = max(0.0, _dot(centred, wanted) / square) if square > 0 else 0.0
    return [(value - slope * at) ** 2 for at, value in zip(centred, wanted, strict=True)]


def _standardised(columns: Sequence[Sequence[float]]) -> tuple[list[list[float]], list[float]]:
    centred = [_centred(column) for column in columns]
    scales = [math.sqrt(_dot(column, column) / len(column)) for column in centred]
    scales = [scale if scale > 1e-12 else 0.0 for scale in scales]
    return [
        [each / scale if scale else 0.0 for each in column] for column, scale in zip(centred, scales, strict=True)
    ], scales


def _centred(values: Sequence[float]) -> list[float]:
    mean = math.fsum(values) / len(values)
    return [each - mean for each in values]


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(map(mul, left, right))
