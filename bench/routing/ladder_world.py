"""What the starter models answered as arrays, and what policies make of it: for ``bench.routing.ladder``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bench.routing.ladder_outcomes import RUNGS, Table, calibration_of, forecast_of
from bench.routing.prerouter import deployed, question_vectors
from freehold.domain.certificates import LabelKind, ScoredOn
from freehold.domain.deployment import Deployment
from freehold.domain.outcomes import AnswerOutcome
from freehold.domain.zones import DEVICE
from freehold.evals.proof import acceptance_score
from freehold.evals.question import Part
from freehold.routing.calibration import probability
from freehold.routing.envelope import Rung, choose
from freehold.routing.first_step import first_step
from freehold.routing.fit import fit
from freehold.routing.neighbours import Known, remember

PRICES = np.concatenate([[0.0], np.geomspace(0.01, 8.0, 160)])
NAMES = tuple(rung.name for rung in RUNGS)
_VECTORS_OF = "bench"

Vector = Any  # numpy's arrays, whose types are not known here


@dataclass(frozen=True, slots=True)
class Spent:
    """What a policy takes and gives, one a question."""

    compute: Vector
    right: Vector


class World:
    """All that the bars are computed from, as arrays over the questions.

    Attributes:
        table: The outcomes.
        fitted: Calibration of each rung.
        fit: Places of the questions that anything was fitted on.
        held: Places of the others.
        right: By rung: 1 where it is right.
        compute: By rung: parameters times tokens, the largest rung's mean over ``held`` being 1.
        sure: By rung: the calibrated probability of its answer; 0 where a hard gate stops it.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self._done: dict[tuple[str, float], Spent] = {}
        self.fitted = {name: calibration_of(table, name, numpy=np) for name in NAMES}
        parts = [question.part for question in table.questions]
        self.fit = np.flatnonzero([part is Part.FIT for part in parts])
        self.held = np.flatnonzero([part is not Part.FIT for part in parts])
        self.right = {name: np.array([float(each.right) for each in rows]) for name, rows in table.outcomes.items()}
        tokens = {
            name: np.array([each.input_tokens + each.output_tokens for each in rows], float)
            for name, rows in table.outcomes.items()
        }
        unit = RUNGS[-1].parameters * tokens[NAMES[-1]][self.held].mean()
        self.compute = {rung.name: rung.parameters * tokens[rung.name] / unit for rung in RUNGS}
        self.price = {name: float(self.compute[name][self.fit].mean()) for name in NAMES}
        self.sure = {
            name: np.array([max(0.0, acceptance_score(self.fitted[name], each.signals)) for each in rows])
            for name, rows in table.outcomes.items()
        }

    @cached_property
    def crossed(self) -> dict[str, Vector]:
        """By rung: the probability of its answer by a calibration of the same making that never saw the question.

        Five parts with equal shares of every kind, each judged by what was fitted on the other four: all questions are
        held out once, which the calibration error needs (perfect probabilities show one too, the larger the fewer).
        """
        fold = np.array([int(5 * (question.place or 0.0)) for question in self.table.questions])
        found: dict[str, Vector] = {}
        for name in NAMES:
            samples = [each.sample for each in self.table.graded(name)]
            found[name] = np.zeros(len(samples))
            for part in range(5):
                others = [samples[at] for at in np.flatnonzero(fold != part)]
                model = fit(others, seed=1, origin=self.table.origins[name], numpy=np)
                for at in np.flatnonzero(fold == part):
                    found[name][at] = max(0.0, acceptance_score(model, samples[at].signals))
        return found

    @cached_property
    def foreseen(self) -> dict[tuple[str, str], Vector]:
        """P(the higher rung would be right), from the signals of the lower one's answer; fitted like a calibration."""
        return {
            (lower, upper): self._foreseen(lower, upper)
            for place, lower in enumerate(NAMES)
            for upper in NAMES[place + 1 :]
        }

    def _foreseen(self, lower: str, upper: str) -> Vector:
        model = forecast_of(self.table, lower, upper, self.fitted[lower], numpy=np)
        return np.array([probability(model, each.signals) for each in self.table.outcomes[lower]])

    @cached_property
    def vectors(self) -> Vector:
        """Of the questions, as the prerouter makes them."""
        return question_vectors([question.prompt for question in self.table.questions])

    @cached_property
    def known(self) -> Known:
        """What the prerouter would know had a tenant asked all rungs the questions that anything was fitted on."""
        found = [self._outcome(name, at) for at in self.fit.tolist() for name in NAMES]
        known = remember(found, question_model=_VECTORS_OF)
        if known is None:
            raise RuntimeError("too few questions")
        return known

    def _outcome(self, name: str, at: int) -> AnswerOutcome:
        each = self.table.outcomes[name][at]
        scored = ScoredOn(
            workload="general", model_digest="", engine="", engine_version="", template_digest="", calibration=""
        )
        return AnswerOutcome(
            request_id=self.table.questions[at].id,
            tenant="default",
            label="public",
            unix_ms=at,
            route="auto",
            deployment=name,
            scored_on=scored,
            right=each.right,
            label_kind=LabelKind.GOLD,
            question=tuple(self.vectors[at].tolist()),
            question_model=_VECTORS_OF,
            input_tokens=each.input_tokens,
            output_tokens=each.output_tokens,
        )

    def plan(self, price: float) -> tuple[Deployment, ...]:
        """The order in which a route with a worth asks the rungs: the best single one or pair on the fitted part first."""
        rungs = [
            Rung(
                name=name,
                cost=self.price[name],
                right=self.right[name][self.fit].tolist(),
                probability=self.crossed[name][self.fit].tolist(),
            )
            for name in NAMES
        ]
        found = choose(rungs, worth=1.0 / max(price, 1e-6))
        chosen = (found.first, found.second) if found.second else (found.first,)
        return tuple(DEPLOYED[name] for name in dict.fromkeys((*chosen, *NAMES)))

    def done(self, title: str, price: float) -> Spent:
        """What a policy comes to at a price, computed once."""
        key = title, price
        if key not in self._done:
            self._done[key] = POLICIES[title](self, price)
        return self._done[key]

    def agree(self, one: str, other: str) -> Vector:
        """1 where two rungs say the same."""
        left, right = self.table.outcomes[one], self.table.outcomes[other]
        return np.array([float(a.said == b.said) for a, b in zip(left, right, strict=True)])


Policy = Callable[[World, float], Spent]
"""What becomes of every question when compute has a price, in correct answers for the largest rung's mean."""


def pair(lower: str, upper: str, *, by_gain: bool, likelier: bool) -> Policy:
    """Ask ``lower``; climb where it is unsure, or where ``upper`` is expected to be right the more often.

    Args:
        lower: Always asked.
        upper: Asked next.
        by_gain: Climb by the gain expected, not by how unsure the first answer is.
        likelier: Where both were asked the likelier answer is given, not always the second.
    """

    def run(world: World, price: float) -> Spent:
        gain = (world.foreseen[lower, upper] if by_gain else 1.0) - world.sure[lower]
        return _climbed(world, lower, upper, gain > price * world.price[upper], likelier=likelier)

    return run


def system(world: World, price: float) -> Spent:
    """What the request path does on a route with a worth and a prerouter that knows the fitted part.

    The route's plan comes from recorded outcomes, its first step from the question's neighbours, whether another one is
    asked from calibrated confidence and forecast; the likelier of two answers is given.
    """
    steps = world.plan(price)
    gains = {name: price * world.price[name] for name in NAMES}
    compute, right = np.zeros(len(world.table.questions)), np.zeros(len(world.table.questions))
    for at in world.held.tolist():
        found = first_step(world.known, world.vectors[at].tolist(), steps, gains)
        order, costs = (steps, gains) if found is None else (found.steps, dict(found.gains))
        first, second = order[0].name, order[1].name if order[1:] else ""
        compute[at], right[at] = world.compute[first][at], world.right[first][at]
        if (first, second) not in world.foreseen:
            continue
        sure = world.sure[first][at]
        if sure < world.foreseen[first, second][at] - costs[second]:
            compute[at] += world.compute[second][at]
            right[at] = right[at] if sure > world.sure[second][at] else world.right[second][at]
    return Spent(compute, right)


def _climbed(world: World, lower: str, upper: str, climbs: Vector, *, likelier: bool) -> Spent:
    second = world.right[upper]
    if likelier:
        second = np.where(world.sure[lower] > world.sure[upper], world.right[lower], second)
    compute = world.compute[lower] + np.where(climbs, world.compute[upper], 0.0)
    return Spent(compute, np.where(climbs, second, world.right[lower]))


POLICIES: dict[str, Policy] = {
    "medium, large if unsure": pair("medium", "large", by_gain=False, likelier=False),
    "medium, large if unsure, the likelier answer": pair("medium", "large", by_gain=False, likelier=True),
    "medium, large by expected gain, the likelier answer": pair("medium", "large", by_gain=True, likelier=True),
    "small, large by expected gain, the likelier answer": pair("small", "large", by_gain=True, likelier=True),
    "a first rung by the question, then by expected gain": system,
}
SYSTEM = "a first rung by the question, then by expected gain"
DEPLOYED = {name: deployed(name, DEVICE) for name in NAMES}


def within(world: World, title: str, budget: float) -> Spent:
    """A policy at the lowest price of compute at which it spends at most ``budget`` on the held-out questions.

    Where even the highest price spends more, at that one.
    """
    found = world.done(title, float(PRICES[-1]))
    for price in PRICES[::-1]:
        done = world.done(title, float(price))
        if done.compute[world.held].mean() > budget:
            break
        found = done
    return found


def mixed(world: World, spent: float, places: Vector) -> float:
    """The accuracy of single rungs at a compute: of the best random mixture of two of them that takes so much."""
    points = [(world.compute[name][places].mean(), world.right[name][places].mean()) for name in NAMES]
    best = max((quality for cost, quality in points if cost <= spent), default=0.0)
    for low_cost, low in points:
        for high_cost, high in points:
            if low_cost <= spent < high_cost:
                best = max(best, low + (high - low) * (spent - low_cost) / (high_cost - low_cost))
    return float(best)
