"""Fitting a classifier on examples: regression, temperature, threshold, and how good all of it is.

Every example trains, and every number that is told is of examples that were left out: in each of five parts once, the
temperature too. Only the penalty is chosen on the same parts. The same examples give the same classifier, whatever
their order.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from freehold.routing.certificate import Aim, fixed_sequence, thresholds
from freehold.routing.classifier import Crossed, Head, Interval, edged, logits, nearest, unit
from freehold.routing.quality import measure_quality
from freehold.routing.softmax import least, log_loss, minimise, problem, softmax, temperature

EXAMPLES_MIN = 5
"""Least examples of a label."""
EXAMPLES_GOOD = 20
"""Fewer of a label are worth a warning."""
WITHOUT_NUMPY_MAX = 400_000
"""Most examples × numbers of a vector × labels that are fitted without numpy: about a minute."""

UNFAMILIAR_SHARE = 0.02
"""The share of texts like the examples that is called unlike them."""

_FOLDS = 5
_PENALTIES = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03)
"""Tried strictest first, each divided by the number of examples: a weaker one must do better to be taken."""
_BETTER = 0.01
"""By so much, in nats an example: a smaller gain is as likely luck."""
_MUCH_WORSE = 0.05
"""A loss that much above the best one: weaker penalties only make it worse."""
_OFFSET_PENALTY = 0.1
_Z = 1.96
_RESAMPLES = 100
_TAIL = 0.025
_DELTA = 0.1
_THRESHOLDS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One example: its text (for telling examples apart, and for the parts), what was measured on it, its class."""

    text: str
    values: Sequence[float]
    place: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What came out.

    Attributes:
        head: The numbers.
        crossed: How good they are.
        outcomes: Of every example: the likeliest label's probability where it was left out, and whether it was right.
    """

    head: Head
    crossed: Crossed
    outcomes: tuple[tuple[float, bool], ...]


def fit_vectors(examples: Sequence[Example], *, count: int, numpy: Any = None) -> Fitted:
    """A linear model on vectors.

    Args:
        examples: At least ``EXAMPLES_MIN`` of each class; ``values`` are embeddings.
        count: Classes.
        numpy: The module, where it is installed.
    """
    ordered = _in_order(examples)
    inputs, classes = [unit(each.values) for each in ordered], [each.place for each in ordered]
    folds = _folds(classes, count)
    fit = _Linear(inputs, classes, count=count, numpy=numpy)
    best: tuple[float, float, float, list[list[float]]] | None = None
    warm: list[Any] = [None] * _FOLDS
    for penalty in _PENALTIES:
        left_out: list[list[float]] = [[] for _ in ordered]
        for fold in range(_FOLDS):
            kept = [i for i, at in enumerate(folds) if at != fold]
            judged = [i for i, at in enumerate(folds) if at == fold]
            rows, warm[fold] = fit.rows(kept, penalty, warm[fold])
            for i, values in zip(judged, fit.values(rows, judged), strict=True):
                left_out[i] = values
        # Judged as it will be used: how sure it is of itself the temperature mends, what it mixes up nothing does.
        scale, loss = temperature(left_out, classes, numpy=numpy)
        if best is None or loss < best[0] - _BETTER:
            best = (loss, penalty, scale, left_out)
        elif loss > best[0] + _MUCH_WORSE:
            break
    if best is None:
        raise ValueError("no penalty to try")
    _, penalty, scale, left_out = best
    rows, _ = fit.rows(list(range(len(ordered))), penalty, None)
    scales = _crossed_temperatures(left_out, classes, folds, numpy)
    probabilities = [softmax([value / scales[at] for value in left_out[i]]) for i, at in enumerate(folds)]
    head = Head(
        rows=tuple(map(tuple, rows)),
        temperature=scale,
        n=len(ordered),
        centres=_centres(inputs, classes, count),
        familiar_min=_familiar_min(inputs, classes, folds, count),
    )
    return _told(head, probabilities, classes)


def fit_scores(examples: Sequence[Example], *, count: int) -> Fitted:
    """A temperature, and an offset for each label, on a chat model's scores; ``values`` are their logarithms."""
    ordered = _in_order(examples)
    inputs, classes = [each.values for each in ordered], [each.place for each in ordered]
    folds = _folds(classes, count)
    everything = _offsets(inputs, classes, count)
    probabilities: list[list[float]] = [[] for _ in ordered]
    for fold in range(_FOLDS):
        kept = [i for i, at in enumerate(folds) if at != fold]
        head = _offsets([inputs[i] for i in kept], [classes[i] for i in kept], count)
        for i, at in enumerate(folds):
            if at == fold:
                probabilities[i] = head.of_scores(inputs[i])
    return _told(everything, probabilities, classes)


def threshold_for(outcomes: Sequence[tuple[float, bool]], risk: float) -> float | None:
    """The least probability from which on at most the share ``risk`` is wrong, with nine to one odds.

    A fixed sequence of exact binomial tests, strict to lax: the first one that fails ends it (Angelopoulos et al.
    2021). ``None`` where not even the surest quarter passes.

    Args:
        outcomes: Probability and whether it was right, of examples that were left out.
        risk: Between 0 and 1.
    """
    scores = [probability for probability, _ in outcomes]
    aim = Aim(risk_max=risk, delta=_DELTA)
    passed, _ = fixed_sequence(scores, [not right for _, right in outcomes], thresholds(scores, count=_THRESHOLDS), aim)
    return None if passed is None else passed.at


def wilson(right: int, n: int) -> Interval:
    """A share with its Wilson interval."""
    share, z2 = right / n, _Z * _Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return Interval(value=share, low=max(0.0, middle - half), high=min(1.0, middle + half))


class _Linear:
    """Regressions on parts of the same examples: centred and scaled, which the weights that come out are not."""

    def __init__(self, inputs: Sequence[Sequence[float]], classes: Sequence[int], *, count: int, numpy: Any) -> None:
        n = len(inputs)
        self._given = inputs
        self._mean = [math.fsum(column) / n for column in zip(*inputs, strict=True)]
        centred = [[value - mean for value, mean in zip(row, self._mean, strict=True)] for row in inputs]
        spread = math.fsum(value * value for row in centred for value in row) / n
        self._scale = 1.0 / math.sqrt(spread) if spread > 0 else 1.0
        self._inputs = [[value * self._scale for value in row] for row in centred]
        self._classes, self._count, self._numpy = classes, count, numpy

    def rows(self, kept: Sequence[int], penalty: float, start: Any) -> tuple[list[list[float]], Any]:
        """Weights for the inputs as they came, and the point they are at, to begin the next one from."""
        of = problem(
            [self._inputs[i] for i in kept],
            [self._classes[i] for i in kept],
            count=self._count,
            ridge=penalty / len(kept),
            numpy=self._numpy,
        )
        point = minimise(of, start)
        found: list[list[float]] = []
        for row in of.rows(point):
            weights = [weight * self._scale for weight in row[:-1]]
            shift = math.fsum(weight * mean for weight, mean in zip(weights, self._mean, strict=True))
            found.append([*weights, row[-1] - shift])
        return found, point

    def values(self, rows: Sequence[Sequence[float]], places: Sequence[int]) -> list[list[float]]:
        """What a model says of some of the inputs."""
        if self._numpy is None:
            return [logits(rows, self._given[place]) for place in places]
        weights = self._numpy.asarray(rows)
        given = self._numpy.asarray([self._given[place] for place in places])
        return (given @ weights[:, :-1].T + weights[:, -1]).tolist()


def _centres(inputs: Sequence[Sequence[float]], classes: Sequence[int], count: int) -> tuple[tuple[float, ...], ...]:
    """The middle of each class's vectors, with length 1."""
    found: list[tuple[float, ...]] = []
    for place in range(count):
        columns = zip(*(row for row, at in zip(inputs, classes, strict=True) if at == place), strict=True)
        found.append(tuple(unit([math.fsum(column) for column in columns])))
    return tuple(found)


def _familiar_min(inputs: Sequence[Sequence[float]], classes: Sequence[int], folds: Sequence[int], count: int) -> float:
    """The cosine to the nearest centre that all but few examples have which had no part in the centres."""
    cosines: list[float] = []
    for fold in range(_FOLDS):
        kept = [i for i, at in enumerate(folds) if at != fold]
        centres = _centres([inputs[i] for i in kept], [classes[i] for i in kept], count)
        cosines += [nearest(centres, inputs[i]) for i, at in enumerate(folds) if at == fold]
    return sorted(cosines)[math.floor(len(cosines) * UNFAMILIAR_SHARE)]


def _offsets(scores: Sequence[Sequence[float]], classes: Sequence[int], count: int) -> Head:
    """Offsets and temperature in turn, until neither moves: each step is convex, and so is the whole."""
    offsets, scale = [0.0] * count, 1.0
    for _ in range(20):
        scale = _temperature_beside(scores, classes, offsets)
        offsets, before = _best_offsets([[s / scale for s in row] for row in scores], classes, count), offsets
        if max(abs(a - b) for a, b in zip(offsets, before, strict=True)) < 1e-4:
            break
    return Head(rows=tuple((offset,) for offset in offsets), temperature=scale, n=len(scores))


def _temperature_beside(scores: Sequence[Sequence[float]], classes: Sequence[int], offsets: Sequence[float]) -> float:
    """As ``softmax.temperature``, with offsets that are added behind it."""
    if not any(offsets):
        return temperature(scores, classes)[0]

    def loss(log_t: float) -> float:
        scale = math.exp(-log_t)
        rows = [[s * scale + b for s, b in zip(row, offsets, strict=True)] for row in scores]
        return log_loss(rows, classes)

    return math.exp(least(loss, -3.0, 3.0))


def _best_offsets(scores: Sequence[Sequence[float]], classes: Sequence[int], count: int) -> list[float]:
    """By Newton's method on the diagonal, damped; pulled towards 0, so that few examples move them little."""
    n = len(scores)
    offsets = [0.0] * count
    wanted = [classes.count(place) for place in range(count)]
    for _ in range(100):
        totals, spreads = [0.0] * count, [0.0] * count
        for row in scores:
            for place, share in enumerate(softmax([s + b for s, b in zip(row, offsets, strict=True)])):
                totals[place] += share
                spreads[place] += share * (1.0 - share)
        steps = [
            (wanted[i] - totals[i] - _OFFSET_PENALTY * n * offsets[i] / count)
            / (2.0 * spreads[i] + _OFFSET_PENALTY * n / count + 1e-9)
            for i in range(count)
        ]
        offsets = [offset + step for offset, step in zip(offsets, steps, strict=True)]
        if max(map(abs, steps)) < 1e-6:
            break
    return offsets


def _in_order(examples: Sequence[Example]) -> list[Example]:
    """Without repetitions, in an order that looks at the texts alone."""
    unique = {(each.text, each.place): each for each in examples}
    return sorted(unique.values(), key=lambda each: (hashlib.sha256(each.text.encode()).digest(), each.place))


def _folds(classes: Sequence[int], count: int) -> list[int]:
    """The part of each example; every part has the same share of each class."""
    seen = [0] * count
    folds: list[int] = []
    for place in classes:
        folds.append((seen[place] + place) % _FOLDS)
        seen[place] += 1
    return folds


def _crossed_temperatures(
    left_out: Sequence[Sequence[float]], classes: Sequence[int], folds: Sequence[int], numpy: Any
) -> list[float]:
    """Of every part the temperature that the other parts ask for."""
    scales: list[float] = []
    for fold in range(_FOLDS):
        others = [i for i, at in enumerate(folds) if at != fold]
        scale, _ = temperature([left_out[i] for i in others], [classes[i] for i in others], numpy=numpy)
        scales.append(scale)
    return scales


def _told(head: Head, probabilities: Sequence[Sequence[float]], classes: Sequence[int]) -> Fitted:
    outcomes: list[tuple[float, bool]] = []
    for row, right in zip(probabilities, classes, strict=True):
        likeliest = max(range(len(row)), key=row.__getitem__)
        outcomes.append((edged(row, head.n)[likeliest], likeliest == right))
    n_right = sum(right for _, right in outcomes)
    crossed = Crossed(n=len(outcomes), accuracy=wilson(n_right, len(outcomes)), ece=_ece(outcomes))
    return Fitted(head=head, crossed=crossed, outcomes=tuple(outcomes))


def _ece(outcomes: Sequence[tuple[float, bool]]) -> Interval:
    """The calibration error with the interval that drawing the examples again gives."""

    def error(pairs: Sequence[tuple[float, bool]]) -> float:
        return measure_quality([probability for probability, _ in pairs], [right for _, right in pairs]).ece

    drawn: list[float] = []
    state, n = 1, len(outcomes)
    for _ in range(_RESAMPLES):
        sample: list[tuple[float, bool]] = []
        for _ in range(n):
            state = (state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % (1 << 64)
            sample.append(outcomes[(state >> 33) % n])
        drawn.append(error(sample))
    drawn.sort()
    low, high = drawn[round(_TAIL * (_RESAMPLES - 1))], drawn[round((1 - _TAIL) * (_RESAMPLES - 1))]
    value = error(outcomes)
    return Interval(value=value, low=min(low, value), high=max(high, value))
