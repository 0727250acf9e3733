"""Before the first attempt: is a local try hopeless, by what became of questions like this one?

It looks at the nearest of the tenant's own questions whose answers were judged, and only ever leaves local steps out of
a plan that policy made: one whose success among the neighbours is surely low, where the step behind it did surely
better on the same questions (a paired test). Where little is known, or the question is far from all known ones, the
plan stays as it is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from freehold.domain.deployment import Deployment
from freehold.routing.neighbours import AT_HOME, NEIGHBOURS_MIN, Known, signs

_HOPELESS_BELOW = 0.5
"""A local try is hopeless where it is surely more often wrong than right."""

_SURE_Z = 3.090
"""One-sided 0.1 %: a history has dozens of neighbourhoods, and the worst of them looks worse than it is."""

_BOUND_Z = 1.645
"""One-sided 5 %."""

_BETTER_BY = 0.15
"""A larger local model is chosen instead of a smaller one where it is right so much more often."""

_CLASS_NEIGHBOURS = 25
_CLASS_SHARE = 0.8
_NOTHING: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """A step that is left out, and why in a few words."""

    deployment: str
    to: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prerouted:
    """What became of a plan.

    Attributes:
        steps: In the order in which they are tried: those of the plan, perhaps without some of its first.
        spare: Steps left out, for where all others fail.
        skips: Why.
    """

    steps: tuple[Deployment, ...]
    spare: tuple[Deployment, ...] = ()
    skips: tuple[Skip, ...] = ()


def preroute(
    known: Known,
    vector: Sequence[float],
    steps: Sequence[Deployment],
    *,
    attempts_max: int,
    accept_at: float,
    gains: Mapping[str, float] = _NOTHING,
) -> Prerouted:
    """Leave out what is hopeless of a plan's first steps.

    Args:
        known: Of the tenant that asks.
        vector: Of its question, by the model that made the vectors of ``known``.
        steps: The plan's, in its order.
        attempts_max: As the route says: nothing is left out for a step that the plan could not have come to.
        accept_at: What the route accepts.
        gains: ``Route.gains``: where an answer's worth is known, a step farther out must be so much more often right, and
            between steps at home ``routing.first_step`` decides.
    """
    steps = tuple(steps)
    if len(vector) != len(known.centre):
        return Prerouted(steps=steps)
    code = signs(vector, known.centre)
    if known.is_strange(code):
        return Prerouted(steps=steps)
    skips: list[Skip] = []
    for step, following in pairwise(steps[:attempts_max]):
        if gains and following.zone in AT_HOME:
            break
        why = _why_skip(known, code, step, following, accept_at, gain_min=gains.get(following.name, 0.0))
        if not why:
            break
        skips.append(Skip(deployment=step.name, to=following.name, why=why))
    left_out = len(skips)
    return Prerouted(steps=steps[left_out:], spare=steps[:left_out], skips=tuple(skips))


def workload_of(known: Known, vector: Sequence[float], among: Iterable[str]) -> str:
    """Which of some kinds of task a question is, where four fifths of its neighbours are; else empty."""
    if len(vector) != len(known.centre):
        return ""
    code = signs(vector, known.centre)
    wanted = frozenset(among)
    distances = [(code ^ other).bit_count() for other in known.codes]
    within = sorted(distances)[min(len(distances), _CLASS_NEIGHBOURS) - 1]
    if within > known.reach:
        return ""
    near = [kind for kind, distance in zip(known.workloads, distances, strict=True) if distance <= within]
    kind, count = Counter(near).most_common(1)[0]
    return kind if kind in wanted and count >= _CLASS_SHARE * len(near) else ""


def _why_skip(
    known: Known, code: int, step: Deployment, following: Deployment, accept_at: float, *, gain_min: float
) -> str:
    """Why ``step`` need not be tried before ``following``; empty where it is to be tried."""
    judged = known.judged.get(step.name)
    if judged is None or step.zone not in AT_HOME or len(judged.codes) < NEIGHBOURS_MIN:
        return ""
    if following.name not in judged.others:
        return ""
    near = list(judged.nearest(code))
    share, effective = _mean([judged.right[at] for at in near], [judged.weights[at] for at in near])
    paired = {at: gain for at in near if (gain := judged.gain(following.name, at)) is not None}
    gains, weights = list(paired.values()), [judged.weights[at] for at in paired]
    gain, pairs = _mean(gains, weights)
    if min(effective, pairs) < NEIGHBOURS_MIN or _weighted_z(gains, weights) < _SURE_Z or gain < gain_min:
        return ""
    most = _upper(share, effective)
    told = f"right in {share:.0%} of {len(near)} questions like it, {following.name} in {gain:.0%} more"
    if most < _HOPELESS_BELOW:
        return told
    is_choice = following.zone in AT_HOME and gain >= _BETTER_BY and most < accept_at
    return told if is_choice else ""


def _mean(values: Sequence[float], weights: Sequence[float]) -> tuple[float, float]:
    """Weighted mean, and how many equal weights would tell as much (Kish 1965)."""
    total = math.fsum(weights)
    if total <= 0:
        return 0.0, 0.0
    mean = math.fsum(value * weight for value, weight in zip(values, weights, strict=True)) / total
    return mean, total * total / math.fsum(weight * weight for weight in weights)


def _weighted_z(values: Sequence[float], weights: Sequence[float]) -> float:
    mean, effective = _mean(values, weights)
    if effective < 2:
        return 0.0
    total = math.fsum(weights)
    spread = math.fsum((weight * (value - mean)) ** 2 for value, weight in zip(values, weights, strict=True))
    error = math.sqrt(spread) / total
    return mean / error if error > 0 else math.copysign(math.inf, mean) if mean else 0.0


def _upper(share: float, n: float) -> float:
    """Upper end of Wilson's interval, one-sided 95 %."""
    z2 = _BOUND_Z * _BOUND_Z
    middle = share + z2 / (2 * n)
    return (middle + _BOUND_Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
