"""Is confidence real on the starter models, and is a ladder of them worth its steps? From recorded outcomes, in seconds.

    python -m bench.routing.ladder [--quick]

Calibrations are fitted on the part of the questions that is for it; everything printed is of the rest. Compute is
parameters times tokens, read and written, as a share of what the largest model takes for the same questions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.routing.ladder_outcomes import RUNGS, Table, calibration_of
from freehold.evals.proof import acceptance_score
from freehold.evals.question import Part
from freehold.routing.calibration import probability
from freehold.routing.fit import Sample, fit
from freehold.routing.question_router import Question as Asked
from freehold.routing.question_router import learn

SEED = 20_261
DRAWS = 1_000
AUROC_NEEDED = 0.70
ECE_NEEDED = 0.05

Vector = Any  # numpy's arrays, whose types are not known here


@dataclass(frozen=True, slots=True)
class Measured:
    """A number and where 95 % of resamples of the questions put it."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class World:
    """All that the bars are computed from, as arrays over the questions.

    Attributes:
        table: The outcomes.
        fitted: Calibration of each rung.
        held: Places of questions that nothing was fitted on.
        fit: Places of the others.
        right: By rung: 1 where it is right.
        compute: By rung: parameters times tokens, the largest rung's mean over ``held`` being 1.
        sure: By rung: the calibrated probability of its answer; 0 where a hard gate stops it.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.fitted = {rung.name: calibration_of(table, rung.name) for rung in RUNGS}
        parts = [question.part for question in table.questions]
        self.held = np.flatnonzero([part is not Part.FIT for part in parts])
        self.fit = np.flatnonzero([part is Part.FIT for part in parts])
        self.right = {name: np.array([float(each.right) for each in rows]) for name, rows in table.outcomes.items()}
        tokens = {
            name: np.array([each.input_tokens + each.output_tokens for each in rows], float)
            for name, rows in table.outcomes.items()
        }
        unit = RUNGS[-1].parameters * tokens[RUNGS[-1].name][self.held].mean()
        self.compute = {rung.name: rung.parameters * tokens[rung.name] / unit for rung in RUNGS}
        self.sure = {
            name: np.array([max(0.0, acceptance_score(self.fitted[name], each.signals)) for each in rows])
            for name, rows in table.outcomes.items()
        }

    def foresees(self, lower: str, upper: str) -> Vector:
        """P(``upper`` would be right), from the signals of the answer of ``lower``; fitted like a calibration."""
        rows, questions = self.table.outcomes[lower], self.table.questions
        samples = [
            Sample(id=questions[at].id, signals=rows[at].signals, right=bool(self.right[upper][at])) for at in self.fit
        ]
        model = fit(samples, seed=1, origin=self.table.origins[lower])
        return np.array([probability(model, each.signals) for each in rows])

    def needs(self, lower: str, upper: str) -> Vector:
        """How much more often ``upper`` is right than ``lower``, from the question alone; learnt on the part for fitting."""
        asked = [Asked(text=question.prompt) for question in self.table.questions]
        gains = self.right[upper] - self.right[lower]
        router = learn([asked[at] for at in self.fit], gains[self.fit].tolist(), seed=SEED, numpy=np)
        return np.array(router.scores(asked)) + gains[self.fit].mean()

    def agree(self, one: str, other: str) -> Vector:
        """1 where two rungs say the same."""
        left, right = self.table.outcomes[one], self.table.outcomes[other]
        return np.array([float(a.said == b.said) for a, b in zip(left, right, strict=True)])


@dataclass(frozen=True, slots=True)
class Ladder:
    """Two rungs and a rule for when to climb, as arrays over the questions.

    Attributes:
        name: Of the rule.
        compute: Of the first attempt, and of the second.
        quality: Of the first answer, and of what is given where both were asked.
        need: Who needs the second attempt most.
    """

    name: str
    compute: tuple[Vector, Vector]
    quality: tuple[Vector, Vector]
    need: Vector

    def climbs(self, at: float) -> Vector:
        return self.need >= at

    def spent(self, at: float, places: Vector) -> float:
        """Mean compute at a threshold."""
        first, second = self.compute
        return float((first[places] + second[places] * self.climbs(at)[places]).mean())

    def accuracy(self, at: float, places: Vector) -> float:
        first, second = self.quality
        return float(np.where(self.climbs(at)[places], second[places], first[places]).mean())

    def threshold(self, budget: float, places: Vector) -> float:
        """The lowest threshold that spends at most ``budget`` on ``places``; infinite where even none is too much."""
        found = np.inf
        for at in np.sort(np.unique(self.need[places]))[::-1]:
            if self.spent(at, places) > budget:
                break
            found = float(at)
        return found


def ladders(world: World, lower: str, upper: str) -> list[Ladder]:
    """The rules for one pair, simplest first."""
    sure, next_sure = world.sure[lower], world.foresees(lower, upper)
    compute = world.compute[lower], world.compute[upper]
    # Where both answered, the likelier one is given: the second costs nothing more once it is there.
    likelier = np.where(sure > world.sure[upper], world.right[lower], world.right[upper])
    return [
        Ladder("confidence", compute, (world.right[lower], world.right[upper]), 1.0 - sure),
        Ladder("confidence, likelier answer", compute, (world.right[lower], likelier), 1.0 - sure),
        Ladder("expected gain, likelier answer", compute, (world.right[lower], likelier), next_sure - sure),
    ]


def mixed(world: World, spent: float, places: Vector) -> float:
    """The accuracy of single rungs at a compute: of the best random mixture of two of them that takes so much."""
    points = [(world.compute[rung.name][places].mean(), world.right[rung.name][places].mean()) for rung in RUNGS]
    if spent >= max(cost for cost, _ in points):
        return float(max(quality for _, quality in points))
    best = max(quality for cost, quality in points if cost <= spent)
    for low_cost, low in points:
        for high_cost, high in points:
            if low_cost <= spent < high_cost:
                best = max(best, low + (high - low) * (spent - low_cost) / (high_cost - low_cost))
    return float(best)


def resampled(places: Vector, measure: Callable[[Vector], float]) -> Measured:
    """``measure`` of places of questions, with the interval that drawing them again gives."""
    random = np.random.default_rng(SEED)
    found = np.array([measure(places[random.integers(0, len(places), len(places))]) for _ in range(DRAWS)])
    low, high = np.quantile(found, [0.025, 0.975])
    return Measured(measure(places), float(low), float(high))
