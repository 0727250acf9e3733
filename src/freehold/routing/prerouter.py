"""Before the first attempt: is a local try hopeless, by what became of questions like this one?

It looks at the nearest of the tenant's own questions whose answers were judged, and only ever leaves local steps out of
a plan that policy made: one whose success among the neighbours is surely low, where the step behind it did surely
better on the same questions (a paired test). Where little is known, or the question is far from all known ones, the
plan stays as it is. Distances are Hamming distances of signs, which takes a ten-thousandth of a millisecond for each
known question and needs no numpy; they find nearly the same neighbours as cosines do.

Outcomes that were labelled by chance count by the inverse of that chance (Horvitz and Thompson 1952): escalated answers
are all labelled and accepted ones are not, so that a plain mean would call every local model hopeless.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from freehold.domain.certificates import LabelKind
from freehold.domain.deployment import Deployment
from freehold.domain.outcomes import AnswerOutcome
from freehold.domain.zones import DEVICE, LAN

KNOWN_MAX = 4_000
"""Newest questions of a tenant that are remembered: more would take more of the few milliseconds there are."""

NEIGHBOURS = 100
NEIGHBOURS_MIN = 40
"""Judged answers among them, in effect, below which nothing is decided."""

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
_REACH_RANK = 10
_REACH_SHARE = 0.95
_REACH_SAMPLE = 200
_WEIGHT_MAX = 20.0
"""Of one outcome, so that no single one decides."""

_AT_HOME = frozenset({DEVICE, LAN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One deployment's answers that were judged, with what else is known of the same questions.

    Attributes:
        codes: Signs of the questions' vectors.
        right: 1 where the answer was right, 0 where not.
        weights: How much each counts.
        others: By deployment, the same of its answer to each of the questions; ``None`` where that is not known.
        supposed: Whether the answer was accepted and nobody would ever look at it: it is taken for right, and for as
            good as any other, so that nothing is called hopeless for want of labels.
    """

    codes: list[int] = field(default_factory=list[int])
    right: list[float] = field(default_factory=list[float])
    weights: list[float] = field(default_factory=list[float])
    others: dict[str, list[float | None]] = field(default_factory=dict[str, "list[float | None]"])
    supposed: list[bool] = field(default_factory=list[bool])


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a tenant's outcomes say, made for being asked quickly.

    Attributes:
        centre: Mean of the questions' vectors.
        codes: Signs of all questions.
        workloads: Their kinds of task.
        judged: By deployment.
        reach: Farther than this from its tenth-nearest known question, a question is unlike all of them.
    """

    centre: tuple[float, ...]
    codes: tuple[int, ...]
    workloads: tuple[str, ...]
    judged: Mapping[str, Judged]
    reach: int


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
        workload: What kind of task it surely is, of those asked about; empty where that is not sure.
    """

    steps: tuple[Deployment, ...]
    spare: tuple[Deployment, ...] = ()
    skips: tuple[Skip, ...] = ()
    workload: str = ""


def remember(outcomes: Sequence[AnswerOutcome], *, question_model: str) -> Known | None:
    """What outcomes of one tenant say; ``None`` where there are too few with vectors of that model.

    Args:
        outcomes: Of one tenant, oldest first. Only the newest 4,000 questions count.
        question_model: Digest of what makes vectors.
    """
    for known in remembering(outcomes, question_model=question_model):
        if known is not None:
            return known
    return None


def remembering(outcomes: Sequence[AnswerOutcome], *, question_model: str) -> Iterator[Known | None]:
    """``remember`` in steps of a millisecond or so: yields ``None`` until it yields what it made, if it makes anything.

    It takes tenths of a second for thousands of outcomes, and the event loop has other things to do meanwhile.
    """
    asked: dict[str, list[AnswerOutcome]] = {}
    for each in outcomes:
        if each.question and each.question_model == question_model:
            asked.setdefault(each.request_id, []).append(each)
    questions = list(asked.values())[-KNOWN_MAX:]
    if len(questions) < NEIGHBOURS_MIN:
        return
    yield None
    width = len(questions[0][0].question)
    sums = [0.0] * width
    for place, group in enumerate(questions):
        sums = [total + each for total, each in zip(sums, group[0].question, strict=True)]
        if place % 50 == 0:
            yield None
    centre = tuple(total / len(questions) for total in sums)
    codes: list[int] = []
    judged: dict[str, Judged] = {}
    for place, group in enumerate(questions):
        codes.append(signs(group[0].question, centre))
        _file(group, codes[-1], judged)
        if place % 50 == 0:
            yield None
    reaches: list[int] = []
    every = max(1, len(codes) // _REACH_SAMPLE)
    for code in codes[::every]:
        reaches.append(_rank_distance(code, codes, _REACH_RANK + 1))  # itself is among them
        yield None
    reaches.sort()
    yield Known(
        centre=centre,
        codes=tuple(codes),
        workloads=tuple(group[0].scored_on.workload for group in questions),
        judged=judged,
        reach=reaches[min(len(reaches) - 1, int(_REACH_SHARE * len(reaches)))],
    )


def preroute(
    known: Known, vector: Sequence[float], steps: Sequence[Deployment], *, attempts_max: int, accept_at: float
) -> Prerouted:
    """Leave out what is hopeless of a plan's first steps.

    Args:
        known: Of the tenant that asks.
        vector: Of its question, by the model that made the vectors of ``known``.
        steps: The plan's, in its order.
        attempts_max: As the route says: nothing is left out for a step that the plan could not have come to.
        accept_at: What the route accepts.
    """
    steps = tuple(steps)
    if len(vector) != len(known.centre):
        return Prerouted(steps=steps)
    code = signs(vector, known.centre)
    if _rank_distance(code, known.codes, _REACH_RANK) > known.reach:
        return Prerouted(steps=steps)
    skips: list[Skip] = []
    for step, following in pairwise(steps[:attempts_max]):
        why = _why_skip(known, code, step, following, accept_at)
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


def signs(vector: Sequence[float], centre: Sequence[float]) -> int:
    """One bit for each number: whether it is above the mean."""
    return int("".join(["1" if each > at else "0" for each, at in zip(vector, centre, strict=True)]), 2)


def _file(group: Sequence[AnswerOutcome], code: int, judged: dict[str, Judged]) -> None:
    """Note what one question's answers were worth."""
    right = {each.deployment: float(each.right) for each in group if each.right is not None}
    for each in group:
        is_supposed = each.right is None and each.accepted and each.sought <= 0
        if each.right is None and not is_supposed:
            continue
        others = {name: value for name, value in right.items() if name != each.deployment}
        if each.label_kind is LabelKind.AGREEMENT and each.judged_by:
            # Right means here that it said what that one said.
            others.setdefault(each.judged_by, 1.0)
        of = judged.setdefault(each.deployment, Judged())
        for name in others.keys() - of.others.keys():
            of.others[name] = [None] * len(of.codes)
        for name, values in of.others.items():
            values.append(others.get(name))
        of.codes.append(code)
        of.right.append(1.0 if each.right is None else float(each.right))
        of.weights.append(min(_WEIGHT_MAX, 1.0 / each.sought) if each.sought > 0 else 1.0)
        of.supposed.append(is_supposed)


def _rank_distance(code: int, codes: Sequence[int], rank: int) -> int:
    """Distance of the ``rank``-nearest."""
    distances = sorted([(code ^ other).bit_count() for other in codes])
    return distances[min(rank, len(distances)) - 1]


def _why_skip(known: Known, code: int, step: Deployment, following: Deployment, accept_at: float) -> str:
    """Why ``step`` need not be tried before ``following``; empty where it is to be tried."""
    judged = known.judged.get(step.name)
    if judged is None or step.zone not in _AT_HOME or len(judged.codes) < NEIGHBOURS_MIN:
        return ""
    distances = [(code ^ other).bit_count() for other in judged.codes]
    within = sorted(distances)[min(len(distances), NEIGHBOURS) - 1]
    near = [place for place, distance in enumerate(distances) if distance <= within]
    share, effective = _mean([judged.right[at] for at in near], [judged.weights[at] for at in near])
    theirs = judged.others.get(following.name)
    if theirs is None:
        return ""
    paired = [at for at in near if theirs[at] is not None or judged.supposed[at]]
    gains = [(1.0 if (value := theirs[at]) is None else value) - judged.right[at] for at in paired]
    weights = [judged.weights[at] for at in paired]
    gain, pairs = _mean(gains, weights)
    if min(effective, pairs) < NEIGHBOURS_MIN or _weighted_z(gains, weights) < _SURE_Z:
        return ""
    most = _upper(share, effective)
    told = f"right in {share:.0%} of {len(near)} questions like it, {following.name} in {gain:.0%} more"
    if most < _HOPELESS_BELOW:
        return told
    is_choice = following.zone in _AT_HOME and gain >= _BETTER_BY and most < accept_at
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
