"""Multinomial logistic regression, and the temperature that makes its probabilities honest.

Pure Python; with numpy, where it is installed, the same in a hundredth of the time. Minimised by L-BFGS (Nocedal and
Wright, algorithm 7.5) with backtracking: the objective is strictly convex, so that every start ends at the same place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import mul
from typing import Any, Protocol

Vector = Any
"""A flat list of floats, or a flat array of numpy."""

_HISTORY = 10
_STEPS_MAX = 300
_HALVINGS_MAX = 30
_CONVERGED = 1e-4
_ENOUGH_DECREASE = 1e-4
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
_TEMPERATURES = (-3.0, 3.0)
"""Natural logarithms of the temperatures tried."""
_SECTIONS = 25


class Problem(Protocol):
    """What is minimised, and the arithmetic on its points."""

    def start(self) -> Vector:
        """A point to begin at."""
        ...

    def at(self, point: Vector) -> tuple[float, Vector]:
        """Value and gradient."""
        ...

    def dot(self, left: Vector, right: Vector) -> float:
        """Inner product."""
        ...

    def moved(self, point: Vector, by: float, along: Vector) -> Vector:
        """``point + by · along``."""
        ...

    def rows(self, point: Vector) -> list[list[float]]:
        """A point as one row of weights a class, the intercept last."""
        ...


def problem(
    inputs: Sequence[Sequence[float]], classes: Sequence[int], *, count: int, ridge: float, numpy: Any = None
) -> Problem:
    """Mean log loss of a linear model + ridge/2 · Σ weight² (intercepts are not penalised).

    Args:
        inputs: One row an example, all of one length.
        classes: The right class of each.
        count: How many classes there are.
        ridge: Penalty, positive.
        numpy: The module, where it is installed.
    """
    return (
        _Lists(inputs, classes, count=count, ridge=ridge)
        if numpy is None
        else _Arrays(inputs, classes, count=count, ridge=ridge, numpy=numpy)
    )


def minimise(of: Problem, start: Vector | None = None) -> Vector:
    """The point with the least value; ``start`` only makes it faster."""
    point = of.start() if start is None else start
    value, gradient = of.at(point)
    history: list[tuple[Vector, Vector, float]] = []
    for _ in range(_STEPS_MAX):
        steepness = of.dot(gradient, gradient)
        if steepness < _CONVERGED * _CONVERGED:
            break
        along = _direction(of, gradient, history)
        slope = of.dot(gradient, along)
        if slope >= 0:  # only by rounding, close to the end
            break
        length = 1.0 if history else min(1.0, 1.0 / math.sqrt(steepness))
        for _ in range(_HALVINGS_MAX):
            tried = of.moved(point, length, along)
            new_value, new_gradient = of.at(tried)
            if new_value <= value + _ENOUGH_DECREASE * length * slope:
                break
            length /= 2
        else:
            break
        change = of.moved(new_gradient, -1.0, gradient)
        step = of.moved(tried, -1.0, point)
        curvature = of.dot(step, change)
        if curvature > 0:
            history = [*history[-_HISTORY + 1 :], (step, change, curvature)]
        point, value, gradient = tried, new_value, new_gradient
    return point


def _direction(of: Problem, gradient: Vector, history: Sequence[tuple[Vector, Vector, float]]) -> Vector:
    """Downhill, bent by the curvature seen on the last steps."""
    bent = of.moved(gradient, 0.0, gradient)
    shares: list[float] = []
    for step, change, curvature in reversed(history):
        share = of.dot(step, bent) / curvature
        shares.append(share)
        bent = of.moved(bent, -share, change)
    if history:
        _, change, curvature = history[-1]
        bent = of.moved(bent, curvature / of.dot(change, change) - 1.0, bent)
    for (step, change, curvature), share in zip(history, reversed(shares), strict=True):
        bent = of.moved(bent, share - of.dot(change, bent) / curvature, step)
    return of.moved(bent, -2.0, bent)


class _Lists:
    """A point is one flat list: class after class, the intercept last in each."""

    def __init__(self, inputs: Sequence[Sequence[float]], classes: Sequence[int], *, count: int, ridge: float) -> None:
        self._inputs = [[*row, 1.0] for row in inputs]
        self._columns = list(zip(*self._inputs, strict=True))
        self._classes = classes
        self._count = count
        self._width = len(self._columns)
        self._ridge = ridge

    def start(self) -> list[float]:
        return [0.0] * (self._count * self._width)

    def rows(self, point: Vector) -> list[list[float]]:
        width = self._width
        return [point[low : low + width] for low in range(0, len(point), width)]

    def at(self, point: Vector) -> tuple[float, list[float]]:
        rows, n = self.rows(point), len(self._inputs)
        loss = 0.0
        slacks: list[list[float]] = []
        for row, right in zip(self._inputs, self._classes, strict=True):
            logits = [sum(map(mul, weights, row)) for weights in rows]
            expected = softmax(logits)
            loss -= math.log(max(expected[right], 1e-300))
            expected[right] -= 1.0
            slacks.append(expected)
        penalty = 0.0
        gradient: list[float] = []
        for weights, slack in zip(rows, zip(*slacks, strict=True), strict=True):
            slope = [sum(map(mul, slack, column)) / n for column in self._columns]
            held = [*weights[:-1], 0.0]
            penalty += sum(map(mul, held, held))
            gradient += [each + self._ridge * weight for each, weight in zip(slope, held, strict=True)]
        return loss / n + self._ridge / 2 * penalty, gradient

    def dot(self, left: Vector, right: Vector) -> float:
        return sum(map(mul, left, right))

    def moved(self, point: Vector, by: float, along: Vector) -> list[float]:
        return [each + by * other for each, other in zip(point, along, strict=True)]


class _Arrays:
    """The same with numpy."""

    def __init__(
        self, inputs: Sequence[Sequence[float]], classes: Sequence[int], *, count: int, ridge: float, numpy: Any
    ) -> None:
        self._np = numpy
        given = numpy.asarray(inputs, dtype=float)
        self._inputs = numpy.concatenate([given, numpy.ones((len(given), 1))], axis=1)
        self._right = (numpy.arange(len(given)), numpy.asarray(classes))
        self._shape = (count, self._inputs.shape[1])
        self._ridge = ridge

    def start(self) -> Vector:
        return self._np.zeros(self._shape[0] * self._shape[1])

    def rows(self, point: Vector) -> list[list[float]]:
        return point.reshape(self._shape).tolist()

    def at(self, point: Vector) -> tuple[float, Vector]:
        weights, n = point.reshape(self._shape), len(self._inputs)
        logits = self._inputs @ weights.T
        logits -= logits.max(axis=1, keepdims=True)
        expected = self._np.exp(logits)
        totals = expected.sum(axis=1, keepdims=True)
        loss = float(self._np.log(totals).sum() - logits[self._right].sum())
        expected /= totals
        expected[self._right] -= 1.0
        held = weights.copy()
        held[:, -1] = 0.0
        gradient = expected.T @ self._inputs / n + self._ridge * held
        return loss / n + self._ridge / 2 * float((held * held).sum()), gradient.ravel()

    def dot(self, left: Vector, right: Vector) -> float:
        return float(left @ right)

    def moved(self, point: Vector, by: float, along: Vector) -> Vector:
        return point + by * along


def softmax(logits: Sequence[float]) -> list[float]:
    """Probabilities that are proportional to the exponentials, without overflow."""
    highest = max(logits)
    grown = [math.exp(logit - highest) for logit in logits]
    total = math.fsum(grown)
    return [each / total for each in grown]


def temperature(logits: Sequence[Sequence[float]], classes: Sequence[int], *, numpy: Any = None) -> tuple[float, float]:
    """What logits are divided by so that their softmax fits the outcomes best (Guo et al. 2017), and the loss then.

    Args:
        logits: Of examples that the model was not fitted on.
        classes: The right class of each.
        numpy: The module, where it is installed.
    """
    loss = _loss_by_temperature(logits, classes, numpy)
    found = least(loss, *_TEMPERATURES)
    return math.exp(found), loss(found)


def log_loss(logits: Sequence[Sequence[float]], classes: Sequence[int]) -> float:
    """Mean of the negative logarithms of the right classes' probabilities."""
    total = 0.0
    for row, right in zip(logits, classes, strict=True):
        highest = max(row)
        total += math.log(sum(math.exp(each - highest) for each in row)) - (row[right] - highest)
    return total / len(logits)


def _loss_by_temperature(
    logits: Sequence[Sequence[float]], classes: Sequence[int], numpy: Any
) -> Callable[[float], float]:
    """The mean log loss as a function of the temperature's natural logarithm."""
    if numpy is None:
        return lambda log_t: log_loss([[each * math.exp(-log_t) for each in row] for row in logits], classes)
    shifted = numpy.asarray(logits, dtype=float)
    shifted -= shifted.max(axis=1, keepdims=True)
    right = shifted[numpy.arange(len(shifted)), numpy.asarray(classes)]

    def loss(log_t: float) -> float:
        scale = math.exp(-log_t)
        return float((numpy.log(numpy.exp(shifted * scale).sum(axis=1)) - right * scale).mean())

    return loss


def least(value: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one valley is least, by golden sections."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = value(left), value(right)
    for _ in range(_SECTIONS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = value(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = value(right)
    return (low + high) / 2
