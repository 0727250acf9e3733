"""Logistic regression drawn towards given weights, and the two maps from a score to a probability.

Pure Python; with numpy, where it is installed, the same in a sixth of the time.

Sources: Newton's method for logistic regression (Hastie, Tibshirani, Friedman, section 4.4.1), each step halved until it
leads down; Platt scaling with smoothed targets (Platt 1999; Lin, Lin and Weng 2007); pool adjacent violators (Ayer et
al. 1955).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import mul
from typing import Any

from freehold.routing.calibration import logistic
from freehold.routing.linear import solve

_STEPS_MAX = 25
_HALVINGS_MAX = 30
_ROUNDING = 1e-12
"""Of the loss: steps that seem to lead up by less are let pass, since no smaller one could tell either."""
_CONVERGED = 1e-7
_SPREAD_MIN = 1e-9


_Likelihood = Callable[[Sequence[float]], tuple[float, list[float], list[list[float]]]]
"""From weights to the log loss, the gradient of its negative and its Hessian (the lower triangle counts)."""


class Design:
    """Inputs and outcomes of answers, for regressions on parts of them.

    Args:
        rows: One row an answer, all of one length; the first number is 1, its weight the intercept.
        outcomes: Of each, 0 to 1.
        numpy: The module, where it is installed.
    """

    def __init__(self, rows: Sequence[Sequence[float]], outcomes: Sequence[float], *, numpy: Any = None) -> None:
        self._numpy = numpy
        self._rows: Any = rows if numpy is None else numpy.asarray(rows, dtype=float)
        self._outcomes: Any = outcomes if numpy is None else numpy.asarray(outcomes, dtype=float)

    def fit(
        self,
        places: Sequence[int],
        *,
        penalties: Sequence[float],
        centre: Sequence[float],
        start: Sequence[float] | None = None,
    ) -> list[float]:
        """Weights that minimise log loss + Σ penalty/2 · (weight - centre)² over the answers at ``places``.

        Args:
            places: Which answers.
            penalties: One a weight, not negative; all of them positive, or the inputs neither constant nor each other's.
            centre: What weights are drawn to.
            start: Where to begin; it only makes it faster.
        """
        at = self._likelihood(places)

        def seen(weights: Sequence[float]) -> tuple[float, list[float], list[list[float]]]:
            value, gradient, hessian = at(weights)
            for i, penalty in enumerate(penalties):
                value += penalty / 2 * (weights[i] - centre[i]) ** 2
                gradient[i] -= penalty * (weights[i] - centre[i])
                hessian[i][i] += penalty
            return value, gradient, hessian

        weights = list(centre if start is None else start)
        value, gradient, hessian = seen(weights)
        for _ in range(_STEPS_MAX):
            step = solve(hessian, gradient)
            if max(map(abs, step)) < _CONVERGED:
                break
            for halved in range(_HALVINGS_MAX):
                tried = [weight + move * 0.5**halved for weight, move in zip(weights, step, strict=True)]
                there = seen(tried)
                if there[0] <= value + _ROUNDING * (1.0 + abs(value)):
                    break
            else:
                break
            weights, (value, gradient, hessian) = tried, there
        return weights

    def scores(self, weights: Sequence[float], places: Sequence[int]) -> list[float]:
        """The linear scores of the answers at ``places``."""
        if self._numpy is None:
            return [sum(map(mul, weights, self._rows[place])) for place in places]
        return (self._rows[list(places)] @ self._numpy.asarray(weights)).tolist()

    def _likelihood(self, places: Sequence[int]) -> _Likelihood:
        if self._numpy is None:
            rows = [self._rows[place] for place in places]
            return _of_lists(rows, [self._outcomes[place] for place in places])
        at = list(places)
        return _of_arrays(self._rows[at], self._outcomes[at], self._numpy)


def _of_lists(rows: Sequence[Sequence[float]], outcomes: Sequence[float]) -> _Likelihood:
    columns = list(zip(*rows, strict=True))

    def at(weights: Sequence[float]) -> tuple[float, list[float], list[list[float]]]:
        scores = [sum(map(mul, weights, row)) for row in rows]
        loss = math.fsum(max(0.0, each) + math.log1p(math.exp(-abs(each))) for each in scores)
        expected = list(map(logistic, scores))
        slacks = [outcome - each for outcome, each in zip(outcomes, expected, strict=True)]
        spreads = [max(_SPREAD_MIN, each * (1.0 - each)) for each in expected]
        hessian: list[list[float]] = []
        for i, column in enumerate(columns):
            scaled = list(map(mul, spreads, column))
            hessian.append([sum(map(mul, scaled, columns[j])) for j in range(i + 1)])
        gradient: list[float] = [sum(map(mul, slacks, column)) for column in columns]
        return loss - math.fsum(map(mul, outcomes, scores)), gradient, hessian

    return at


def _of_arrays(rows: Any, outcomes: Any, numpy: Any) -> _Likelihood:
    turned = rows.T.copy()

    def at(weights: Sequence[float]) -> tuple[float, list[float], list[list[float]]]:
        scores = numpy.clip(rows @ numpy.asarray(weights), -700.0, 700.0)
        loss = float(
            (numpy.maximum(scores, 0.0) + numpy.log1p(numpy.exp(-numpy.abs(scores))) - outcomes * scores).sum()
        )
        expected = 1.0 / (1.0 + numpy.exp(-scores))
        spreads = numpy.maximum(_SPREAD_MIN, expected * (1.0 - expected))
        return loss, (turned @ (outcomes - expected)).tolist(), ((turned * spreads) @ rows).tolist()

    return at


def log_losses(scores: Sequence[float], outcomes: Sequence[bool]) -> list[float]:
    """log(1 + exp(∓score)) of each, without overflow."""
    signed = (-value if right else value for value, right in zip(scores, outcomes, strict=True))
    return [max(0.0, value) + math.log1p(math.exp(-abs(value))) for value in signed]


def platt(
    scores: Sequence[float], outcomes: Sequence[bool], *, identity: float | None = None, numpy: Any = None
) -> tuple[float, float]:
    """Slope (never negative) and offset of the log odds. Targets are smoothed, so that no score is mapped to 0 or 1.

    Args:
        scores: Of answers that the score was not fitted on.
        outcomes: Whether each was right.
        identity: Penalty that draws the slope to 1 and the offset to 0, for scores that are log odds already; ``None``
            for scores of any scale.
        numpy: The module, where it is installed.
    """
    right = sum(map(int, outcomes))
    penalty, slope_at = (1e-3, 0.0) if identity is None else (identity, 1.0)
    if identity is None:
        high, low = (right + 1) / (right + 2), 1 / (len(outcomes) - right + 2)
    else:
        high, low = 1.0, 0.0  # the penalty keeps the map finite
    targets = [high if outcome else low for outcome in outcomes]
    offset, slope = Design([[1.0, value] for value in scores], targets, numpy=numpy).fit(
        range(len(scores)),
        penalties=(0.0 if identity is None else penalty, penalty),
        centre=(0.0, slope_at),
    )
    if slope >= 0:
        return slope, offset
    share = (right + 1) / (len(outcomes) + 2)
    return 0.0, math.log(share / (1 - share))


def isotonic(scores: Sequence[float], outcomes: Sequence[bool]) -> tuple[tuple[float, float], ...]:
    """Pool adjacent violators; one knot a block, at its mean score."""
    blocks: list[tuple[float, float, int]] = []
    for value, outcome in sorted(zip(scores, outcomes, strict=True)):
        blocks.append((value, float(outcome), 1))
        while len(blocks) > 1 and (
            blocks[-2][1] / blocks[-2][2] >= blocks[-1][1] / blocks[-1][2]
            or blocks[-2][0] / blocks[-2][2] >= blocks[-1][0] / blocks[-1][2]
        ):
            (a, b, c), (d, e, f) = blocks.pop(), blocks.pop()
            blocks.append((a + d, b + e, c + f))
    return tuple((total / count, right / count) for total, right, count in blocks)
