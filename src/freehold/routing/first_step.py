"""Which deployment at home is asked first, by what its answers to questions like this one were worth? Pure.

On a route that says what a right answer is worth, the one asked first need not be the same for all questions: what none
of them knows is cheapest asked of the smallest, and what only the largest knows is best asked of it at once. For the
nearest of the tenant's own questions it is known who was right and how much each had to read and write. The one with the
most expected ``worth * right - cost`` is asked first, where its lead over the plan's own first is more than one standard
error: unsure, the plan stays.

Means are over the nearest ones, nearer ones counting more (Nadaraya 1964, Watson 1964; a Gaussian kernel in the angle,
since vectors have length 1), and drawn to the mean of all by a few questions' worth. Angles are read off the signs
(Charikar 2002): the share of bits that differ is the angle over π.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from freehold.domain.deployment import Deployment
from freehold.routing.neighbours import AT_HOME, NEIGHBOURS_MIN, Judged, Known, Overall, signs

_SHARPNESS = 8.0
"""Of the kernel ``exp(8 cos)``: a question at 60° counts a fiftieth of the same one."""

_PRIOR = 3.0
"""Questions' worth of the mean of all, each as far as two unrelated ones are."""

_UNRELATED = 0.3
"""Cosine of two questions that have nothing but their form in common, mean taken off."""

_SURE_Z = 1.0
"""Standard errors by which another first step must lead. It stays at home either way, so that little is at stake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStep:
    """Who is asked first, and what asking costs for this very question.

    Attributes:
        steps: The plan's, in the order in which they are tried: at home only such as cost no less than the first one.
        spare: The others, for where all else fails.
        gains: As ``Route.gains``, for as much as is read and written for questions like this one.
        why: In a few words; empty where the plan's own first step stays.
    """

    steps: tuple[Deployment, ...]
    spare: tuple[Deployment, ...] = ()
    gains: tuple[tuple[str, float], ...]
    why: str = ""


def first_step(
    known: Known, vector: Sequence[float], steps: Sequence[Deployment], gains: Mapping[str, float]
) -> FirstStep | None:
    """Choose among the steps at home, where enough is known of questions like this one.

    Args:
        known: Of the tenant that asks.
        vector: Of its question, by the model that made the vectors of ``known``.
        steps: The plan's, in its order, not empty.
        gains: ``Route.gains``: what an answer costs in the mean, as a share of what a right one is worth.

    Returns:
        ``None`` where too little is known, or the question is unlike all known ones.
    """
    default = steps[0]
    judged = known.judged.get(default.name)
    if judged is None or default.zone not in AT_HOME or default.name not in gains:
        return None
    if len(vector) != len(known.centre) or len(judged.codes) < NEIGHBOURS_MIN:
        return None
    code = signs(vector, known.centre)
    if known.is_strange(code):
        return None
    near = _Near(judged, code, width=len(vector))
    costs = {name: gain * near.length_of(name) for name, gain in gains.items()}
    best, lead, more = default, 0.0, 0.0
    for step in steps[1:]:
        if step.zone not in AT_HOME or step.name not in costs:
            continue
        found = near.more_often_right(step.name)
        if found is None:
            continue
        mean, error = found
        ahead = mean - _SURE_Z * error - (costs[step.name] - costs[default.name])
        if ahead > lead:
            best, lead, more = step, ahead, mean
    scaled = tuple(costs.items())
    if best is default:
        return FirstStep(steps=tuple(steps), gains=scaled)
    at_most = costs[best.name]
    cheaper = [each for each in steps if each.zone in AT_HOME and costs.get(each.name, math.inf) < at_most]
    others = [each for each in steps if each is not best and each not in cheaper]
    times = costs[best.name] / costs[default.name] if costs[default.name] > 0 else math.inf
    return FirstStep(
        steps=(best, *others),
        spare=tuple(cheaper),
        gains=scaled,
        why=f"right {100 * more:+.0f} points more often on questions like it, at {times:.2g} times the cost",
    )


class _Near:
    """The plan's first step's answers to the questions nearest to one, and how much each counts."""

    def __init__(self, judged: Judged, code: int, *, width: int) -> None:
        self._judged = judged
        self._weights = {
            at: judged.weights[at] * math.exp(_SHARPNESS * math.cos(math.pi * distance / width))
            for at, distance in judged.nearest(code).items()
        }

    def more_often_right(self, name: str) -> tuple[float, float] | None:
        """How much more often a deployment is right than the plan's first, and the standard error of that.

        ``None`` where too few questions were answered by both.
        """
        overall = self._judged.overall.get(name)
        if overall is None or overall.pairs < NEIGHBOURS_MIN:
            return None
        gain = self._judged.gain
        close = [(found, weight) for at, weight in self._weights.items() if (found := gain(name, at)) is not None]
        return _mean(close, overall.gain), _error(close, overall)

    def length_of(self, name: str) -> float:
        """What a deployment reads and writes for questions like this one, over what it does for all: 1 where unknown."""
        overall, tokens = self._judged.overall.get(name), self._judged.tokens.get(name)
        if overall is None or tokens is None or overall.tokens <= 0:
            return 1.0
        close = [(found, weight) for at, weight in self._weights.items() if (found := tokens[at]) is not None]
        return _mean(close, overall.tokens) / overall.tokens


def _mean(close: Sequence[tuple[float, float]], overall: float) -> float:
    """The weighted mean of near ones, drawn to that of all."""
    prior = _PRIOR * math.exp(_SHARPNESS * _UNRELATED)
    total = math.fsum(weight for _, weight in close)
    return (math.fsum(value * weight for value, weight in close) + prior * overall) / (total + prior)


def _error(close: Sequence[tuple[float, float]], overall: Overall) -> float:
    """The standard error of ``_mean``.

    The variance is that of the near ones drawn to that of all in the same way, over how many equal weights would tell as
    much (Kish 1965) and the prior's few questions: two neighbours that agree by chance are not sure of anything.
    """
    total = math.fsum(weight for _, weight in close)
    if total <= 0:
        return math.sqrt(overall.spread / _PRIOR)
    effective = total * total / math.fsum(weight * weight for _, weight in close)
    mean = _mean(close, overall.gain)
    own = math.fsum(weight * (value - mean) ** 2 for value, weight in close) / total
    return math.sqrt((effective * own + _PRIOR * overall.spread) / (effective + _PRIOR) / (effective + _PRIOR))
