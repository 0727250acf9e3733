"""Replays of recorded sets give the figures that are known of them."""

from __future__ import annotations

import csv
from collections.abc import Mapping

import numpy
import pytest

from freehold.evals.curves import Curve, mean_over
from freehold.evals.replay.options import Options
from freehold.evals.replay.results import PairReport
from freehold.evals.replay.run import replay
from freehold.evals.replay.schema import Tables
from freehold.evals.replay.tables import read_tables, sets_at
from tests.support.shared_data import shared_data

pytest.importorskip("pyarrow", reason="the recorded sets are Parquet")

PRICES = {"llama3.2-1b": 0.1, "llama3.2-3b": 0.1, "llama3.1-8b": 0.2, "llama3.1-70b": 0.9, "llama3.1-405b": 3.0}
_READ: dict[str, Tables] = {}


def tables(name: str) -> Tables:
    if name not in _READ:
        folder = shared_data("routing", f"{name}.queries.parquet").parent
        _READ[name] = read_tables(sets_at(folder / name)[0])
    return _READ[name]


def pair(name: str, options: Options) -> PairReport:
    return replay([tables(name)], options, numpy=numpy).workloads[0].pairs[0]


@pytest.mark.parametrize(
    ("workload", "weak", "strong", "apgr", "cpt50", "cpt80", "auroc"),
    [
        ("mmlu", "llama3.2-1b", "llama3.1-70b", 0.554, 43.5, 72.2, 0.646),
        ("mmlu", "llama3.2-3b", "llama3.1-405b", 0.639, 35.7, 57.2, 0.755),
        ("mmlu", "llama3.1-8b", "gpt-4o", 0.687, 30.0, 51.1, 0.808),
        ("mmlu", "gpt-4o-mini", "gpt-4o", 0.779, 21.6, 35.8, 0.818),
        ("triviaqa", "llama3.2-1b", "llama3.1-70b", 0.489, 51.0, 80.7, 0.487),
        ("triviaqa", "llama3.1-8b", "gpt-4o", 0.800, 15.6, 32.1, 0.870),
        ("triviaqa", "gpt-4o-mini", "gpt-4o", 0.887, 6.9, 15.3, 0.864),
    ],
)
def test_answer_aware(
    workload: str, weak: str, strong: str, apgr: float, cpt50: float, cpt80: float, auroc: float
) -> None:
    found = pair("cascade", Options(workload=workload, weak=weak, strong=strong, resamples=0)).numbers
    assert found["apgr"].value == pytest.approx(apgr, abs=6e-4)
    assert found["auroc_of_wrong"].value == pytest.approx(auroc, abs=6e-4)
    assert (found["cpt50"].value or 0) * 100 == pytest.approx(cpt50, abs=0.06)
    assert (found["cpt80"].value or 0) * 100 == pytest.approx(cpt80, abs=0.06)


def test_what_is_right_among_the_surest() -> None:
    found = pair("cascade", Options(workload="mmlu", weak="llama3.1-8b", strong="gpt-4o", resamples=0)).numbers
    risks = [found[f"risk_at_{share}"].value for share in (30, 50, 80)]
    assert risks == pytest.approx([1 - 0.946, 1 - 0.850, 1 - 0.719], abs=1e-3)


def test_a_gap_that_is_too_small_is_said() -> None:
    found = pair("cascade", Options(workload="mmlu", weak="llama3.1-70b", strong="gpt-4o", resamples=0)).numbers
    assert found["apgr"].said == "gap too small, see cloud share"
    assert found["share_for_95"].value == 0


@pytest.mark.parametrize(("strong", "apgr"), [("Meta-Llama-3_1-70B-Instruct", 0.665), ("gemini-1.5-pro-002", 0.657)])
def test_agreement_of_two_helpers(strong: str, apgr: float) -> None:
    helpers = ("Phi-3-mini-4k-instruct", "mathstral-7B")
    options = Options(weak="Meta-Llama-3_1-8B-Instruct", strong=strong, helpers=helpers, resamples=20)
    found = pair("mmlu_pro", options).numbers["apgr"]
    assert found.value == pytest.approx(apgr, abs=6e-4)
    assert found.low is not None
    assert found.high is not None
    assert 0.01 < found.high - found.low < 0.05


def test_the_error_cost_areas_of_pairs_that_were_published() -> None:
    """Costs are those of the paper: mean tokens times the price, of every model that is called."""
    published = shared_data("routing", "cascade_published.csv")
    ours: list[float] = []
    theirs: list[float] = []
    by_workload: dict[str, Mapping[str, tuple[float, list[float], list[float]]]] = {}
    with published.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["k"] == "2":
                models = by_workload.setdefault(row["benchmark"], _tested(row["benchmark"]))
                (weak_cost, weak, conf), (strong_cost, strong, _) = (models[name] for name in row["models"].split("|"))
                curve = Curve([-each for each in conf], weak, strong, numpy=numpy)
                points = [(weak_cost + share * strong_cost, 1 - quality) for share, quality in curve.sampled()]
                ours.append(mean_over(points, float(row["cost_lo"]), float(row["cost_hi"])))
                theirs.append(float(row["auc_published_continuous"]))
    assert sum(ours) / len(ours) == pytest.approx(0.2846, abs=1e-4)
    assert ours == pytest.approx(theirs, abs=0.013)


def _tested(workload: str) -> Mapping[str, tuple[float, list[float], list[float]]]:
    """Mean cost of an answer in dollars a million questions, whether right, and confidence, of each model."""
    made = tables("cascade")
    asked = {query.qid for query in made.queries if query.benchmark == workload and query.split == "test"}
    found: dict[str, tuple[float, list[float], list[float]]] = {}
    for model, price in PRICES.items():
        rows = [each for each in made.outcomes if each.model == model and each.qid in asked]
        cost = sum((each.in_tok or 0) + (each.out_tok or 0) for each in rows) / len(rows) * price
        found[model] = (cost, [each.correct or 0.0 for each in rows], [each.conf or 0.0 for each in rows])
    return found
