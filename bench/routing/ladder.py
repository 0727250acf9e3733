"""Is confidence real on the starter models, and is a ladder of them worth its steps? From recorded outcomes.

    python -m bench.routing.ladder [--quick | --write]

Calibrations, routers and forecasts are fitted on the part of the questions that is for it; everything printed is of the
rest. Compute is parameters times tokens, read and written, as a share of what the largest model takes for the same
questions. A ladder's price of compute is set so that it spends no more than what it is held against: that needs no label.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.bars import Bar, bar_table, markdown, summary, with_section
from bench.routing.ladder_outcomes import proofs_of, read_table
from bench.routing.ladder_world import NAMES, POLICIES, SYSTEM, Spent, Vector, World, mixed, within
from freehold.evals.proof import Proof
from freehold.routing.binomial import clopper_pearson
from freehold.routing.calibration import probability
from freehold.routing.fit import Sample, fit
from freehold.routing.quality import measure_quality

SEED = 20_261
DRAWS = 2_000
QUICK_DRAWS = 200
AUROC_NEEDED = 0.70
ECE_NEEDED = 0.05
LEAD_NEEDED = 0.1
"""Points: a tie beats nothing."""
SHARES = (0.4, 0.6, 0.8)
"""Compute at which the ladder is shown between the medium rung's and the large one's."""

BENCHMARKS = Path(__file__).parents[2] / "docs" / "benchmarks.md"
HEADING = "Starter models as a ladder"


@dataclass(frozen=True, slots=True)
class Measured:
    """A number and where 95 % of resamples of the questions put it."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def resampled(places: Vector, measure: Callable[[Vector], float], draws: int) -> Measured:
    """``measure`` of places of questions, with the interval that drawing them again gives."""
    random = np.random.default_rng(SEED)
    found = [measure(places[random.integers(0, len(places), len(places))]) for _ in range(draws)]
    low, high = np.quantile(found, [0.025, 0.975])
    value = measure(places)  # of a calibration error it may lie below all resamples: these repeat questions
    return Measured(value, min(value, float(low)), max(value, float(high)))


def gain(world: World, done: Spent, name: str, draws: int) -> Measured:
    """How much more often a policy is right than one rung on the held-out questions."""
    lead = done.right - world.right[name]
    return resampled(world.held, lambda places: float(lead[places].mean()), draws)


def lead(world: World, done: Spent, draws: int) -> Measured:
    """How much more often a policy is right than the mixture of rungs that takes as much."""

    def measure(places: Vector) -> float:
        return float(done.right[places].mean()) - mixed(world, float(done.compute[places].mean()), places)

    return resampled(world.held, measure, draws)


def quality_of(sure: Vector, right: Vector, draws: int) -> tuple[Measured, Measured, float]:
    """AUROC, calibration error, and the calibration error that perfect probabilities would show on as many answers.

    An answer without a probability is never accepted, so that it has none to be judged.
    """
    kept = np.flatnonzero(sure > 0.0)
    values, outcomes = sure[kept], right[kept].astype(bool)
    random = np.random.default_rng(SEED)

    def auroc(at: Vector) -> float:
        return measure_quality(values[at].tolist(), outcomes[at].tolist()).auroc

    def ece(at: Vector) -> float:
        return measure_quality(values[at].tolist(), outcomes[at].tolist()).ece

    perfect = [
        measure_quality(values.tolist(), (random.random(len(values)) < values).tolist()).ece for _ in range(draws)
    ]
    places = np.arange(len(values))
    return resampled(places, auroc, draws), resampled(places, ece, draws), float(np.mean(perfect))


Confidence = dict[str, tuple[Measured, Measured, float]]
"""``quality_of`` by rung."""


def confidence_rows(world: World, draws: int) -> Confidence:
    """Of what ships, on the questions that it was not fitted on."""
    return {name: quality_of(world.sure[name][world.held], world.right[name][world.held], draws // 4) for name in NAMES}


def crossed_rows(world: World, draws: int) -> Confidence:
    """Of calibrations of the same making, on all questions (``World.crossed``)."""
    return {name: quality_of(world.crossed[name], world.right[name], draws // 4) for name in NAMES}


def with_agreement(world: World, name: str, other: str) -> tuple[float, float]:
    """AUROC on held-out questions of a rung's own signals, and of these with what another rung says."""
    rows, questions = world.table.outcomes[name], world.table.questions
    agree = world.agree(name, other)
    signals = [dict(each.signals) | {"agreement": agree[at]} for at, each in enumerate(rows)]
    samples = [Sample(id=questions[at].id, signals=signals[at], right=bool(world.right[name][at])) for at in world.fit]
    model = fit(samples, seed=1, origin=world.table.origins[name], numpy=np)
    right = world.right[name][world.held].astype(bool).tolist()
    bought = measure_quality([probability(model, signals[at]) for at in world.held], right).auroc
    return measure_quality(world.sure[name][world.held].tolist(), right).auroc, bought


def confidence_bars(shipped: Confidence, crossed: Confidence) -> list[Bar]:
    """AUROC of the largest, calibration error of all.

    The error is of the making, on all questions: of what ships only those that it was not fitted on are left, which are so
    few that perfect probabilities show more than is allowed. The table has both.
    """
    what = f"AUROC of {NAMES[-1]}, as it ships, held out"
    bars = [Bar(what=what, measured=shipped[NAMES[-1]][0].value, needed=AUROC_NEEDED, is_floor=True, digits=3)]
    for name, (_, ece, perfect) in crossed.items():
        what = f"calibration error of {name}, each question held out once (perfect ones show {perfect:.3f})"
        bars.append(Bar(what=what, measured=ece.value, needed=ECE_NEEDED, digits=3))
    return bars


def ladder_bars(world: World, draws: int) -> list[Bar]:
    """The ladder against each rung that something cheaper stands below, at that rung's compute."""
    bars: list[Bar] = []
    for name in NAMES[1:]:
        budget = float(world.compute[name][world.held].mean())
        measured = gain(world, within(world, SYSTEM, budget), name, draws)
        what = (
            f"ladder at {name}'s compute: points right above it [{100 * measured.low:+.1f}, {100 * measured.high:+.1f}]"
        )
        bars.append(Bar(what=what, measured=100 * measured.value, needed=LEAD_NEEDED, is_floor=True, digits=1))
    leads = [lead(world, within(world, SYSTEM, share), draws).value for share in SHARES]
    what = f"ladder at {', '.join(f'{share:.0%}' for share in SHARES)} of large's compute: mean points above a mixture"
    bars.append(Bar(what=what, measured=100 * float(np.mean(leads)), needed=LEAD_NEEDED, is_floor=True, digits=1))
    return bars


def certificate_bars(proofs: dict[str, list[Proof]]) -> list[Bar]:
    """Of every certificate: errors among further answers, as far as they prove that it is broken."""
    bars: list[Bar] = []
    for name, found in proofs.items():
        for proof in found:
            if proof.certificate is None or not proof.accepted:
                continue
            low = clopper_pearson(proof.errors, proof.accepted).low
            what = (
                f"certificate of {name} for {proof.risk_max:.0%}: {proof.errors} wrong of {proof.accepted} accepted of"
                f" {proof.checked} further; at least"
            )
            bars.append(Bar(what=what, measured=100 * low, needed=100 * proof.risk_max, unit=" %", digits=1))
    return bars


def bars(*, quick: bool) -> list[Bar]:
    """All bars; ``quick`` draws fewer times."""
    draws = QUICK_DRAWS if quick else DRAWS
    world = World(read_table())
    proofs = {name: proofs_of(world.table, name, world.fitted[name]) for name in NAMES}
    return [
        *confidence_bars(confidence_rows(world, draws), crossed_rows(world, draws)),
        *ladder_bars(world, draws),
        *certificate_bars(proofs),
    ]


def _confidence_table(world: World, shipped: Confidence, crossed: Confidence) -> str:
    cells: list[list[str]] = []
    for title, rows in (("as it ships", shipped), ("five folds", crossed)):
        for name, (auroc, ece, perfect) in rows.items():
            places = world.held if rows is shipped else np.arange(len(world.right[name]))
            accuracy = world.right[name][places].mean()
            cells.append([name, title, str(len(places)), f"{accuracy:.3f}", str(auroc), str(ece), f"{perfect:.3f}"])
    return markdown(["rung", "", "held out", "right", "AUROC", "calibration error", "of perfect probabilities"], cells)


def _agreement_table(world: World) -> str:
    """What a second opinion adds: bought, but cheap where a smaller rung gives it."""
    cells: list[list[str]] = []
    for name in NAMES:
        for other in NAMES:
            if other != name:
                alone, bought = with_agreement(world, name, other)
                cells.append([name, other, f"{alone:.3f}", f"{bought:.3f}"])
    return markdown(["rung", "second opinion of", "AUROC without", "with"], cells)


def _policy_table(world: World, draws: int) -> str:
    cells: list[list[str]] = []
    budgets = [float(world.compute[name][world.held].mean()) for name in NAMES[1:]]
    for title in POLICIES:
        for budget in sorted([*budgets, *SHARES]):
            done = within(world, title, budget)
            spent = done.compute[world.held].mean()
            if spent > budget:
                continue
            right = done.right[world.held].mean()
            cells.append(
                [
                    title,
                    f"{spent:.2f}",
                    f"{right:.3f}",
                    f"{mixed(world, spent, world.held):.3f}",
                    str(lead(world, done, draws)),
                ]
            )
    return markdown(["policy", "compute", "right", "mixture of rungs", "lead"], cells)


def _certificate_table(proofs: dict[str, list[Proof]]) -> str:
    cells: list[list[str]] = []
    for name, found in proofs.items():
        for proof in found:
            made, why = proof.certificate, proof.refused
            told = (
                ""
                if made is None
                else f"from {made.threshold:.3f} on: {made.errors} wrong of {made.accepted} of {made.n}"
            )
            if why is not None:
                least = math.nan if why.least_escalated is None else why.least_escalated.value
                told = f"none ({why.reason}); at least {least:.0%} must escalate"
            checked = f"{proof.errors} of {proof.accepted} of {proof.checked}" if made is not None else "all escalate"
            cells.append([name, f"{proof.risk_max:.0%}", told, checked])
    return markdown(["rung", "risk", "certificate", "wrong of accepted of further answers"], cells)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer resamples")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    chosen = parser.parse_args(arguments)
    draws = QUICK_DRAWS if chosen.quick else DRAWS
    world = World(read_table())
    shipped, crossed = confidence_rows(world, draws), crossed_rows(world, draws)
    proofs = {name: proofs_of(world.table, name, world.fitted[name]) for name in NAMES}
    bars = [*confidence_bars(shipped, crossed), *ladder_bars(world, draws), *certificate_bars(proofs)]
    told = (
        f"{len(world.table.questions)} questions, {len(world.held)} of them held out. In brackets where 95 % of resamples"
        " of the questions lie. Compute is parameters times tokens; 1 is what the largest model takes. `just bench-ladder`."
    )
    tables = (
        _confidence_table(world, shipped, crossed),
        _agreement_table(world),
        _policy_table(world, draws),
        _certificate_table(proofs),
    )
    body = "\n\n".join((told, bar_table(bars), *tables))
    print(body, summary(bars), sep="\n\n")
    if chosen.write:
        BENCHMARKS.write_text(with_section(BENCHMARKS.read_text("utf-8"), HEADING, body), "utf-8")
    return 0 if all(each.holds for each in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
