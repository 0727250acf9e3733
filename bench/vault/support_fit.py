"""Learning how likely it is that passages hold an answer (``vault.support``), from searches of which that is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from freehold.routing.calibration import logistic
from freehold.routing.quality import measure_quality
from freehold.routing.regression import Design, platt
from freehold.vault.support import SupportModel, probability

_RIDGE = 3.0
_KNOTS = 41


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """A search of which it is known whether the answer was there.

    Attributes:
        numbers: Of ``vault.support.features``.
        answerable: Whether it was.
    """

    numbers: Mapping[str, float]
    answerable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportQuality:
    """How well support tells answerable from unanswerable questions.

    Attributes:
        n: Searches.
        auc: Chance that an answerable one scores higher than an unanswerable one.
        abstained: Share of unanswerable ones below the threshold.
        answered: Share of answerable ones at or above it.
        ece: Expected calibration error, in ten bins of equal numbers.
        threshold: The one used.
    """

    n: int
    auc: float
    abstained: float
    answered: float
    ece: float
    threshold: float


def fit_support(
    searches: Sequence[Searched], *, embedder: str, calibrated_on: str, numpy: Any = None, without: Sequence[str] = ()
) -> SupportModel:
    """Learn from searches.

    Args:
        searches: With and without the answer.
        embedder: Model of their vectors; empty for none.
        calibrated_on: What they are, for whoever asks later.
        numpy: The module, where it is installed; it only makes it faster.
        without: Numbers that are not used.

    Raises:
        ValueError: All of them have the answer, or none has.
    """
    outcomes = [float(each.answerable) for each in searches]
    if not 0.0 < sum(outcomes) < len(outcomes):
        raise ValueError("support is learned from searches with and without an answer")
    names = sorted({name for each in searches for name in each.numbers} - set(without))
    known = [[each.numbers[name] for each in searches if name in each.numbers] for name in names]
    means = [math.fsum(column) / len(column) for column in known]
    scales = [
        max(1e-9, math.sqrt(math.fsum((value - mean) ** 2 for value in column) / len(column)))
        for column, mean in zip(known, means, strict=True)
    ]
    bare = SupportModel(
        embedder=embedder,
        features=tuple((name, mean, scale, 1.0) for name, mean, scale in zip(names, means, scales, strict=True)),
        intercept=0.0,
        knots=((0.0, 0.5),),
        calibrated_on=calibrated_on,
        measured={},
    )
    rows = [[1.0, *_standardised(bare, each.numbers)] for each in searches]
    design = Design(rows, outcomes, numpy=numpy)
    places = range(len(rows))
    penalties = [1e-6, *([_RIDGE] * len(names))]
    weights = design.fit(places, penalties=penalties, centre=[0.0] * len(penalties))
    scores = [float(each) for each in design.scores(weights, places)]
    slope, offset = platt(scores, [each.answerable for each in searches])
    return SupportModel(
        embedder=embedder,
        features=tuple(
            (name, round(mean, 6), round(scale, 6), round(float(weight), 5))
            for name, mean, scale, weight in zip(names, means, scales, weights[1:], strict=True)
        ),
        intercept=round(float(weights[0]), 5),
        knots=_knots(scores, slope, offset),
        calibrated_on=calibrated_on,
        measured={},
    )


def _standardised(model: SupportModel, numbers: Mapping[str, float]) -> list[float]:
    return [max(-4.0, min(4.0, (numbers.get(name, mean) - mean) / scale)) for name, mean, scale, _ in model.features]


def _knots(scores: Sequence[float], slope: float, offset: float) -> tuple[tuple[float, float], ...]:
    """The logistic curve as a line from point to point, never more sure than the searches can support."""
    low, high = min(scores), max(scores)
    edge = 1.0 / (len(scores) + 2)
    places = [round(low + (high - low) * step / (_KNOTS - 1), 5) for step in range(_KNOTS)]
    curve = [(at, round(max(edge, min(1 - edge, logistic(slope * at + offset))), 5)) for at in places]
    return (curve[0], *(b for a, b in pairwise(curve) if b[0] > a[0]))


def support_quality(model: SupportModel, searches: Sequence[Searched], *, threshold: float) -> SupportQuality:
    """How good a model is on searches; those should have had no part in it."""
    told = [probability(model, each.numbers) for each in searches]
    quality = measure_quality(told, [each.answerable for each in searches])
    yes = [value for value, each in zip(told, searches, strict=True) if each.answerable]
    no = [value for value, each in zip(told, searches, strict=True) if not each.answerable]
    return SupportQuality(
        n=quality.n,
        auc=quality.auroc,
        abstained=sum(value < threshold for value in no) / max(1, len(no)),
        answered=sum(value >= threshold for value in yes) / max(1, len(yes)),
        ece=quality.ece,
        threshold=threshold,
    )


def threshold_for(model: SupportModel, searches: Sequence[Searched], *, abstained: float) -> float:
    """The lowest threshold at which this share of the unanswerable ones is below it."""
    no = sorted(probability(model, each.numbers) for each in searches if not each.answerable)
    return no[min(len(no) - 1, math.ceil(abstained * len(no)))] if no else 0.5


def fair_threshold(
    model: SupportModel, groups: Sequence[Sequence[Searched]], *, abstained: float = 0.8, answered: float = 0.7
) -> float:
    """The threshold at which the worst of the groups (languages, say) is furthest above both shares that are wanted."""

    def margin(threshold: float) -> float:
        found = [support_quality(model, each, threshold=threshold) for each in groups]
        return min(min(each.abstained - abstained, each.answered - answered) for each in found)

    return max((step / 40 for step in range(8, 37)), key=margin)
