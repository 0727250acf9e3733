"""Would certificates have kept their promise? The recorded answers are the world, and labels are drawn from it.

Each draw is certified as a user's labels are (``routing.certificate``), with thresholds that are quantiles of the
recorded scores without labels; what a certificate then accepts is read off the whole table. It is violated where more
than ε of that is wrong, which may happen to a share of δ of the draws.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from freehold.evals.arrays import arrays
from freehold.evals.replay.options import BREACH, CERTIFICATE_DRAWS, LABELS, SHADOWED, Options
from freehold.evals.replay.results import CertificateReport
from freehold.evals.replay.select import Pair
from freehold.routing.betting import Bets, expected_labels
from freehold.routing.certificate import Aim, Threshold, fixed_sequence, thresholds

_RIGHT_FROM = 0.5
_FINE = 1 << 31


@dataclass(frozen=True, slots=True, kw_only=True)
class _World:
    """All recorded answers of a model: score, whether wrong, and how many questions each stands for."""

    scores: Sequence[float]
    wrong: Sequence[bool]
    weights: Sequence[float]

    def accepted(self, at: float) -> tuple[float, float]:
        """The share that a threshold accepts, and the share of wrong ones among it."""
        taken = [
            (weight, is_wrong)
            for score, is_wrong, weight in zip(self.scores, self.wrong, self.weights, strict=True)
            if score >= at
        ]
        weight = math.fsum(weight for weight, _ in taken)
        errors = math.fsum(weight for weight, is_wrong in taken if is_wrong)
        return weight / math.fsum(self.weights), errors / weight if weight else 0.0


def certificates(pair: Pair, options: Options, *, numpy: Any = None) -> list[CertificateReport]:
    """What certificates of the weak model would have been worth, one report for each number of labels; none without a score."""
    if not pair.need:
        return []
    world = _World(
        scores=[-need for need in pair.need],
        wrong=[right < _RIGHT_FROM for right in pair.low],
        weights=pair.weights,
    )
    aim = Aim(risk_max=options.risk, delta=options.delta)
    # An answer without a score is never accepted.
    truth = {each.at: world.accepted(each.at) for each in thresholds(world.scores) if each.at > -math.inf}
    grid = [Threshold(at=at, coverage=coverage) for at, (coverage, _) in truth.items()]
    bets, breach = Bets.against(aim.risk_max), min(1.0, BREACH * aim.risk_max)
    alarm_labels = expected_labels(bets, breach)
    cells = [_report(pair, world, grid, truth, aim, labels, options, numpy) for labels in LABELS]
    return [
        replace(cell, alarm_after=alarm_labels * cell.certified / (SHADOWED * cell.accepted)) if cell.accepted else cell
        for cell in cells
    ]


def _report(
    pair: Pair,
    world: _World,
    grid: Sequence[Threshold],
    truth: dict[float, tuple[float, float]],
    aim: Aim,
    labels: int,
    options: Options,
    numpy: Any,
) -> CertificateReport:
    found: list[float | None] = []
    for places in _samples(world, labels, options.seed, numpy):
        scores = [world.scores[place] for place in places]
        passed, _ = fixed_sequence(scores, [world.wrong[place] for place in places], grid, aim)
        found.append(None if passed is None else passed.at)
    given = [truth[at] for at in found if at is not None]
    base = world.accepted(-math.inf)[1]
    return CertificateReport(
        model=pair.weak,
        scored_by=pair.scored_by,
        risk=aim.risk_max,
        delta=aim.delta,
        labels=labels,
        draws=len(found),
        certified=len(given) / len(found),
        violated=sum(risk > aim.risk_max for _, risk in given) / len(found),
        accepted=math.fsum(coverage for coverage, _ in given) / len(found),
        ideal=max((coverage for coverage, risk in truth.values() if risk <= aim.risk_max), default=0.0),
        least_escalated=max(0.0, (base - aim.risk_max) / (1 - aim.risk_max)),
        alarm_after=None,
    )


def _samples(world: _World, labels: int, seed: int, numpy: Any) -> Iterator[Sequence[int]]:
    """Draws with replacement, each answer as often as it stands for."""
    on = arrays(numpy)
    n = len(world.scores)
    if len(set(world.weights)) == 1:
        yield from on.draws(n, seed=seed, times=CERTIFICATE_DRAWS, count=labels)
        return
    ends = list(accumulate(world.weights))
    for places in on.draws(_FINE, seed=seed, times=CERTIFICATE_DRAWS, count=labels):
        yield [min(bisect_left(ends, (place + 0.5) / _FINE * ends[-1]), n - 1) for place in places]
