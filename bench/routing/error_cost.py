"""Error-cost area of chains of three, four and five models: the best single model or pair inside, per price.

Protocol of the published results (``cascade_published.csv``, Zellinger et al. 2025): calibrators, thresholds and pairs are
chosen on ``train`` (285 and 300 questions) and scored on ``test``; a model's answer costs its mean test tokens times its
price. Mean error over the published cost range, mean of both benchmarks; lower is better.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from statistics import fmean

import numpy as np

from bench.bars import Bar, bar_table, markdown
from bench.routing.recorded import DATA, Recorded, recorded
from freehold.evals.curves import mean_over
from freehold.routing.calibration import logistic
from freehold.routing.envelope import Rung, envelope
from freehold.routing.regression import Design

PRICE_USD_PER_MTOK = {
    "llama3.2-1b": 0.10,
    "llama3.2-3b": 0.10,
    "llama3.1-8b": 0.20,
    "llama3.1-70b": 0.90,
    "llama3.1-405b": 3.00,
}
NEEDED = {3: 0.202, 4: 0.167, 5: 0.148}
BENCHMARKS = ("mmlu", "triviaqa")
WORTHS = np.geomspace(10, 1e6, 200).tolist()
"""Dollars per million right answers; costs are dollars per million questions."""


def rungs_of(part: Recorded, costs: dict[str, float], maps: dict[str, list[float]]) -> dict[str, Rung]:
    return {
        model: Rung(
            name=model,
            cost=costs[model],
            right=part.of(model, "correct").tolist(),
            probability=[_probability(maps[model], conf) for conf in part.of(model, "conf")],
        )
        for model in PRICE_USD_PER_MTOK
    }


def _features(conf: float) -> list[float]:
    """A probability and the logarithm of what is missing to 1, which tells .99 from .9999."""
    p = math.exp(min(0.0, max(-50.0, conf)))
    return [1.0, p, math.log1p(-min(p, 1 - 1e-6)) / 3]


def _map(confs: Sequence[float], right: Sequence[float]) -> list[float]:
    """Weights that make a probability of a recorded log-probability: ridge logistic regression."""
    rows = [_features(conf) for conf in confs]
    return Design(rows, right).fit(range(len(rows)), penalties=[0.0, 1.0, 1.0], centre=[0.0, 0.0, 0.0])


def _probability(weights: Sequence[float], conf: float) -> float:
    return logistic(math.fsum(map(float.__mul__, weights, _features(conf))))


def areas() -> dict[int, list[tuple[float, float]]]:
    """By length of chain: ours and the published area of each chain."""
    with (DATA / "cascade_published.csv").open() as file:
        published = list(csv.DictReader(file))
    found: dict[int, list[tuple[float, float]]] = {}
    for benchmark in BENCHMARKS:
        whole = recorded("cascade", benchmark)
        train, test = whole.where(whole.split == "train"), whole.where(whole.split == "test")
        costs = {
            m: float(np.mean(test.of(m, "in_tok") + test.of(m, "out_tok"))) * p for m, p in PRICE_USD_PER_MTOK.items()
        }
        maps = {m: _map(train.of(m, "conf").tolist(), train.of(m, "correct").tolist()) for m in PRICE_USD_PER_MTOK}
        fitted, checked = rungs_of(train, costs, maps), rungs_of(test, costs, maps)
        for row in published:
            if row["benchmark"] == benchmark:
                models = row["models"].split("|")
                points = [_scored(choice, checked) for _, choice in envelope([fitted[m] for m in models], WORTHS)]
                area = mean_over(points, float(row["cost_lo"]), float(row["cost_hi"]))
                found.setdefault(int(row["k"]), []).append((area, float(row["auc_published_continuous"])))
    return found


def _scored(choice, rungs: dict[str, Rung]) -> tuple[float, float]:
    """Cost and error of a choice on other questions."""
    first = rungs[choice.first]
    if not choice.second:
        return first.cost, 1 - fmean(first.right)
    second = rungs[choice.second]
    goes_on = [p < choice.accept_at for p in first.probability]
    right = [b if on else a for on, a, b in zip(goes_on, first.right, second.right, strict=True)]
    return first.cost + second.cost * fmean(goes_on), 1 - fmean(right)


def bars(*, quick: bool = False) -> list[Bar]:  # noqa: ARG001 - takes seconds
    found = areas()
    return [
        Bar(
            what=f"error-cost area, chains of {k} ({len(found[k])} of them; published {fmean(p for _, p in found[k]):.4f})",
            measured=fmean(ours for ours, _ in found[k]),
            needed=needed,
            digits=4,
        )
        for k, needed in NEEDED.items()
    ]


def main() -> None:
    found = areas()
    rows = [
        [str(k), str(len(each)), f"{fmean(p for _, p in each):.4f}", f"{fmean(ours for ours, _ in each):.4f}"]
        for k, each in sorted(found.items())
    ]
    print(markdown(["models", "chains", "published continuous", "single or pair, per price"], rows))
    print()
    print(bar_table(bars()))


if __name__ == "__main__":
    main()
