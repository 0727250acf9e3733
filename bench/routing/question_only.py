"""Routers that look at the question alone, on RouteLLM's recorded outcomes: ``python -m bench.routing.question_only``.

Protocol: ``default_rng(rep).permutation(n)``; learn from the first outcomes, test on what is behind the largest share
that any budget may learn from. No column of the data but the prompt is looked at. The vectors are computed on the first
run, which takes minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.bars import Bar, bar_table
from bench.routing.recorded import recorded
from bench.routing.vectors import vectors
from freehold.evals.curves import Curve
from freehold.routing.question_router import Question, learn

WEAK, STRONG = "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"
SEED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One row of the table: labels to learn from, where the test begins, and what is needed."""

    benchmark: str
    labels: int
    test_from: int
    needed: float


CELLS = (
    Cell(benchmark="mmlu", labels=1_500, test_from=1_500, needed=0.63),
    Cell(benchmark="mmlu", labels=9_800, test_from=9_800, needed=0.68),
    Cell(benchmark="gsm8k", labels=900, test_from=900, needed=0.64),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Questions of one benchmark with both models' quality."""

    questions: Sequence[Question]
    weak: np.ndarray
    strong: np.ndarray


def data(benchmark: str) -> Data:
    found = recorded("routellm", benchmark)
    rows = vectors(found.prompt)
    return Data(
        questions=[Question(text=text, vector=row.tolist()) for text, row in zip(found.prompt, rows, strict=True)],
        weak=found.of(WEAK, "correct"),
        strong=found.of(STRONG, "correct"),
    )


def curve(of: Data, cell: Cell, rep: int) -> tuple[Curve, dict[str, float]]:
    """The curve of one repetition, and the weights that were learnt."""
    order: list[int] = np.random.default_rng(rep).permutation(len(of.questions)).tolist()
    learnt, tested = order[: cell.labels], order[cell.test_from :]
    gains = (of.strong - of.weak)[learnt].tolist()
    router = learn([of.questions[i] for i in learnt], gains, seed=SEED, numpy=np)
    scores = router.scores([of.questions[i] for i in tested])
    return Curve(scores, of.weak[tested].tolist(), of.strong[tested].tolist()), dict(router.weights)


def bars(*, quick: bool, told: bool = False) -> list[Bar]:
    """Mean APGR of five repetitions; of two, and without the largest budget, where it is to be quick."""
    found: list[Bar] = []
    known: dict[str, Data] = {}
    for cell in CELLS:
        if quick and cell.labels > 5_000:
            continue
        of = (
            known.setdefault(cell.benchmark, data(cell.benchmark))
            if cell.benchmark not in known
            else known[cell.benchmark]
        )
        curves: list[Curve] = []
        for rep in range(2 if quick else 5):
            one, weights = curve(of, cell, rep)
            curves.append(one)
            if told:
                shown = ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items())
                print(f"{cell.benchmark} {cell.labels} rep {rep}: APGR {one.apgr():.4f}  ({shown})", flush=True)
        apgr = float(np.mean([each.apgr() for each in curves]))
        if told:
            cpt = " / ".join(f"{np.mean([each.cpt(x) or 1.0 for each in curves]):.1%}" for x in (0.5, 0.8))
            spread = float(np.std([each.apgr() for each in curves]))
            print(f"{cell.benchmark} {cell.labels}: APGR {apgr:.4f}, sd {spread:.4f}, CPT50 / CPT80 {cpt}", flush=True)
        what = f"question-only, RouteLLM {cell.benchmark.upper()}, {cell.labels:,} labels: APGR"
        found.append(Bar(what=what, measured=apgr, needed=cell.needed, is_floor=True, digits=3))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    print(bar_table(bars(quick=parser.parse_args().quick, told=True)))


if __name__ == "__main__":
    main()
