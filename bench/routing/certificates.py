"""Do certificates keep their promise? 63 cells of recorded answers, 400 draws of labels in each.

In a cell the recorded table is the population: labelled answers are drawn from it with replacement, a threshold is
certified from them, and the true share of wrong answers among those it accepts is read off the table. A draw is violated
where that share is above ε. At most δ of the draws may be, give or take what 400 draws vary.

Beside it the rule that everybody tries first: the largest coverage whose empirical error is at most ε.

    python -m bench.routing.certificates [--quick]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from bench.bars import Bar, bar_table, markdown, summary
from bench.routing.recorded import recorded
from freehold.routing.certificate import Aim, Threshold, fixed_sequence, thresholds

DELTA = 0.1
RISKS = (0.05, 0.1, 0.2)
LABELS = (200, 500, 1_500)
DRAWS, QUICK_DRAWS = 400, 60
WORLDS = (
    *(
        (benchmark, model)
        for benchmark in ("mmlu", "triviaqa")
        for model in ("llama3.2-3b", "llama3.1-8b", "llama3.1-70b")
    ),
    ("mmlu", "gpt-4o-mini"),
)
ACCEPTED_MIN = 0.475


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Shares over the draws of one cell: violated, and mean accepted; of the certificate and of the plug-in rule."""

    benchmark: str
    model: str
    risk: float
    labels: int
    ideal: float
    violated: float
    accepted: float
    plug_in_violated: float
    plug_in_accepted: float


def plug_in(scores: np.ndarray, wrong: np.ndarray, grid: tuple[Threshold, ...], risk: float) -> float | None:
    """The laxest threshold whose empirical error is at most ``risk``."""
    best = None
    for threshold in grid:
        taken = scores >= threshold.at
        if taken.any() and wrong[taken].mean() <= risk:
            best = threshold.at
    return best


def cell(
    benchmark: str, model: str, scores: np.ndarray, wrong: np.ndarray, *, risk: float, labels: int, draws: int
) -> Cell:
    aim = Aim(risk_max=risk, delta=DELTA)
    grid = thresholds(scores.tolist())
    truth = {each.at: float(wrong[scores >= each.at].mean()) for each in grid}
    coverage = {each.at: each.coverage for each in grid}
    dice = np.random.default_rng(0)
    found: list[tuple[float | None, float | None]] = []
    for _ in range(draws):
        drawn = dice.integers(0, len(scores), labels)
        some, faults = scores[drawn], wrong[drawn]
        passed, _ = fixed_sequence(some.tolist(), faults.tolist(), grid, aim)
        found.append((passed.at if passed else None, plug_in(some, faults, grid, risk)))

    def share(which: int) -> tuple[float, float]:
        taken = [each[which] for each in found]
        violated = sum(at is not None and truth[at] > risk for at in taken)
        return violated / draws, sum(coverage[at] for at in taken if at is not None) / draws

    (violated, accepted), (plug_violated, plug_accepted) = share(0), share(1)
    return Cell(
        benchmark=benchmark,
        model=model,
        risk=risk,
        labels=labels,
        ideal=max([each.coverage for each in grid if truth[each.at] <= risk], default=0.0),
        violated=violated,
        accepted=accepted,
        plug_in_violated=plug_violated,
        plug_in_accepted=plug_accepted,
    )


def cells(*, draws: int) -> list[Cell]:
    """All 63."""
    found: list[Cell] = []
    tables = {name: recorded("cascade", name) for name in ("mmlu", "triviaqa")}
    tables = {name: each.where(each.split == "test") for name, each in tables.items()}
    for benchmark, model in WORLDS:
        table = tables[benchmark]
        scores = np.exp(np.clip(table.of(model, "conf"), -50.0, 0.0))
        wrong = table.of(model, "correct") == 0
        found += [
            cell(benchmark, model, scores, wrong, risk=risk, labels=labels, draws=draws)
            for risk in RISKS
            for labels in LABELS
        ]
    return found


def bars(*, quick: bool) -> list[Bar]:
    """Violations and coverage; ``quick`` draws fewer times."""
    draws = QUICK_DRAWS if quick else DRAWS
    return judged(cells(draws=draws), draws)


def judged(found: list[Cell], draws: int) -> list[Bar]:
    worst, accepted = max(each.violated for each in found), np.mean([each.accepted for each in found])
    ideal = np.mean([each.ideal for each in found])
    name = f"certificate, {len(found)} cells × {draws} draws"
    return [
        Bar(what=f"{name}: violated in the worst cell", measured=worst * 100, needed=DELTA * 100, unit=" %"),
        Bar(
            what=f"{name}: mean accepted where the ideal is {ideal:.3f}",
            measured=float(accepted),
            needed=ACCEPTED_MIN,
            is_floor=True,
            digits=3,
        ),
    ]


def table(found: list[Cell]) -> str:
    """The two rules beside each other, by labels."""
    rows = []
    for name, violated, accepted in (
        ("fixed sequence", [each.violated for each in found], [each.accepted for each in found]),
        ("plug-in", [each.plug_in_violated for each in found], [each.plug_in_accepted for each in found]),
    ):
        by_labels = [
            np.mean([a for a, each in zip(accepted, found, strict=True) if each.labels == labels]) for labels in LABELS
        ]
        rows.append([
            name, f"{max(violated):.1%}", f"{np.median(violated):.1%}", f"{np.mean(accepted):.3f}",
            " / ".join(f"{each:.3f}" for each in by_labels),
            str(sum(each > DELTA for each in violated)),
        ])  # fmt: skip
    return markdown(["rule", "worst violated", "median", "accepted", "with 200 / 500 / 1,500", "cells above δ"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    draws = QUICK_DRAWS if parser.parse_args().quick else DRAWS
    found = cells(draws=draws)
    shown = judged(found, draws)
    print(table(found), bar_table(shown), summary(shown), sep="\n\n")


if __name__ == "__main__":
    main()
