"""What is known of a tenant's questions, made for being asked quickly which of them are near a new one.

Distances are Hamming distances of signs, which takes a ten-thousandth of a millisecond for each known question and needs
no numpy; they find nearly the same neighbours as cosines do.

Outcomes that were labelled by chance count by the inverse of that chance (Horvitz and Thompson 1952): escalated answers
are all labelled and accepted ones are not, so that a plain mean would call every local model hopeless.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from freehold.domain.certificates import LabelKind
from freehold.domain.outcomes import AnswerOutcome
from freehold.domain.zones import DEVICE, LAN

_T = TypeVar("_T")

KNOWN_MAX = 4_000
"""Newest questions of a tenant that are remembered: more would take more of the few milliseconds there are."""

NEIGHBOURS = 100
NEIGHBOURS_MIN = 40
"""Judged answers, or pairs of them, below which nothing is decided."""

AT_HOME = frozenset({DEVICE, LAN})
"""Only steps there are ever passed over."""

_REACH_RANK = 10
_REACH_SHARE = 0.95
_REACH_SAMPLE = 200
_WEIGHT_MAX = 20.0
"""Of one outcome, so that no single one decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overall:
    """What two deployments' answers to the same questions came to, over all of them.

    Attributes:
        pairs: Questions of which both are known.
        gain: How much more often the other one is right.
        spread: Variance of that.
        tokens: Mean of what the other one read and wrote; 0 where nobody counted.
    """

    pairs: int
    gain: float
    spread: float
    tokens: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One deployment's answers that were judged, with what else is known of the same questions.

    Attributes:
        codes: Signs of the questions' vectors.
        right: 1 where the answer was right, 0 where not.
        weights: How much each counts.
        others: By deployment, the same of its answer to each of the questions; ``None`` where that is not known.
        tokens: By deployment, this one among them, what it read and wrote for each; ``None`` where nobody counted.
        supposed: Whether the answer was accepted and nobody would ever look at it: it is taken for right, and for as
            good as any other, so that nothing is called hopeless for want of labels.
        overall: By deployment, this one among them; empty until all is filed.
    """

    codes: list[int] = field(default_factory=list[int])
    right: list[float] = field(default_factory=list[float])
    weights: list[float] = field(default_factory=list[float])
    others: dict[str, list[float | None]] = field(default_factory=dict[str, "list[float | None]"])
    tokens: dict[str, list[int | None]] = field(default_factory=dict[str, "list[int | None]"])
    supposed: list[bool] = field(default_factory=list[bool])
    overall: Mapping[str, Overall] = field(default_factory=dict[str, Overall])

    def nearest(self, code: int) -> dict[int, int]:
        """Places of the nearest questions, and how many signs of each differ; more than ``NEIGHBOURS`` where many tie."""
        distances = [(code ^ other).bit_count() for other in self.codes]
        within = sorted(distances)[min(len(distances), NEIGHBOURS) - 1]
        return {place: distance for place, distance in enumerate(distances) if distance <= within}

    def gain(self, name: str, at: int) -> float | None:
        """How much better another deployment's answer to a question was; ``None`` where that is not known."""
        theirs = self.others.get(name)
        value = None if theirs is None else theirs[at]
        if value is None:
            return 0.0 if self.supposed[at] else None
        return value - self.right[at]


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

    def is_strange(self, code: int) -> bool:
        """Whether a question is unlike all known ones."""
        return _rank_distance(code, self.codes, _REACH_RANK) > self.reach


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
    summed: dict[str, Judged] = {}
    for name, each in judged.items():
        summed[name] = _summed(each)
        yield None
    yield Known(
        centre=centre,
        codes=tuple(codes),
        workloads=tuple(group[0].scored_on.workload for group in questions),
        judged=summed,
        reach=reaches[min(len(reaches) - 1, int(_REACH_SHARE * len(reaches)))],
    )


def signs(vector: Sequence[float], centre: Sequence[float]) -> int:
    """One bit for each number: whether it is above the mean."""
    return int("".join(["1" if each > at else "0" for each, at in zip(vector, centre, strict=True)]), 2)


def _file(group: Sequence[AnswerOutcome], code: int, judged: dict[str, Judged]) -> None:
    """Note what one question's answers were worth."""
    right = {each.deployment: float(each.right) for each in group if each.right is not None}
    tokens = {each.deployment: found for each in group if (found := each.input_tokens + each.output_tokens)}
    for each in group:
        is_supposed = each.right is None and each.accepted and each.sought <= 0
        if each.right is None and not is_supposed:
            continue
        others = {name: value for name, value in right.items() if name != each.deployment}
        if each.label_kind is LabelKind.AGREEMENT and each.judged_by:
            # Right means here that it said what that one said.
            others.setdefault(each.judged_by, 1.0)
        of = judged.setdefault(each.deployment, Judged())
        _append(of.others, others, len(of.codes))
        _append(of.tokens, tokens, len(of.codes))
        of.codes.append(code)
        of.right.append(1.0 if each.right is None else float(each.right))
        of.weights.append(min(_WEIGHT_MAX, 1.0 / each.sought) if each.sought > 0 else 1.0)
        of.supposed.append(is_supposed)


def _append(columns: dict[str, list[_T | None]], found: Mapping[str, _T], length: int) -> None:
    """One more row: what was found in each column, a new one beginning empty."""
    for name in found.keys() - columns.keys():
        columns[name] = [None] * length
    for name, values in columns.items():
        values.append(found.get(name))


def _summed(judged: Judged) -> Judged:
    names = judged.others.keys() | judged.tokens.keys()
    return replace(judged, overall={name: _overall(judged, name) for name in sorted(names)})


def _overall(judged: Judged, name: str) -> Overall:
    gains = [
        (gain, judged.weights[at]) for at in range(len(judged.codes)) if (gain := judged.gain(name, at)) is not None
    ]
    counted = [
        (each, weight)
        for each, weight in zip(judged.tokens.get(name, ()), judged.weights, strict=False)
        if each is not None
    ]
    whole, counts = math.fsum(weight for _, weight in gains), math.fsum(weight for _, weight in counted)
    mean = math.fsum(gain * weight for gain, weight in gains) / whole if whole else 0.0
    return Overall(
        pairs=sum(each is not None for each in judged.others.get(name, ())),
        gain=mean,
        spread=math.fsum(weight * (gain - mean) ** 2 for gain, weight in gains) / whole if whole else 0.0,
        tokens=math.fsum(each * weight for each, weight in counted) / counts if counts else 0.0,
    )


def _rank_distance(code: int, codes: Sequence[int], rank: int) -> int:
    """Distance of the ``rank``-nearest."""
    distances = sorted([(code ^ other).bit_count() for other in codes])
    return distances[min(rank, len(distances)) - 1]
