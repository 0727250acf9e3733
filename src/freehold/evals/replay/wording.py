"""How numbers of a replay are written, in text as in the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from freehold.evals.replay.options import COVERAGES, GAP_MIN, SHARES_OF_STRONG, Score
from freehold.evals.replay.results import CertificateReport, Estimate, PairReport, WorkloadReport
from freehold.evals.replay.select import Model

NONE = "–"
_HALF = 1e-9


def plain(value: float) -> str:
    """``0.687``."""
    return f"{value:.3f}"


def percent(value: float) -> str:
    """``49.6 %``, halves away from zero: shares stand on a grid on which halves are common."""
    return f"{value * 100 + math.copysign(_HALF, value):.1f} %"


def dollars(value: float) -> str:
    """Of a thousand questions: ``$12.42``; with four places below a dollar."""
    amount = value * 1_000
    return f"${amount:,.2f}" if amount >= 1 or not amount else f"${amount:.4f}"


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure: its name among a report's numbers, its heading, and how it is written."""

    name: str
    head: str
    write: Callable[[float], str]


ROUTING = (
    Measure("apgr", "APGR", plain),
    Measure("cpt50", "CPT50", percent),
    Measure("cpt80", "CPT80", percent),
    *(Measure(f"share_for_{of * 100:.0f}", f"{of * 100:.0f} %", percent) for of in SHARES_OF_STRONG),
    Measure("error_cost", "error–cost", plain),
    Measure("aiq", "AIQ", plain),
)
JUDGING = (
    Measure("auroc_of_wrong", "AUROC", plain),
    Measure("ece", "ECE", plain),
    *(Measure(f"risk_at_{of * 100:.0f}", f"wrong at {of * 100:.0f} %", percent) for of in COVERAGES),
)

ROUTING_TOLD = (
    "APGR: mean of the quality gap that is recovered, 0.5 for guessing. CPT50, CPT80: least share of questions that goes "
    "to the strong model to recover half of the gap, and four fifths. 95 %, 98 %, 100 %: the same for that much of the "
    "strong model's own quality. error–cost: mean error over the costs that the pair spans. AIQ: mean quality over them."
)
JUDGING_TOLD = (
    "AUROC: chance that a wrong answer scores as more in need than a right one. ECE: mean distance of the recorded "
    "probability from what came true. wrong at 30 %, 50 %, 80 %: share of wrong ones among that share of answers, the "
    "surest."
)
INTERVALS_TOLD = "Beneath each number: where 95 % of {resamples} resamples put it, seed {seed}."


def value_of(estimate: Estimate, measure: Measure) -> str:
    """The number, or why there is none."""
    return estimate.said.partition(",")[0] if estimate.value is None else measure.write(estimate.value)


def interval_of(estimate: Estimate, measure: Measure) -> str:
    """``0.660–0.709``; empty where there is none. An open end is ``never``."""
    if estimate.low is None:
        return ""
    high = "never" if estimate.high is None else measure.write(estimate.high).removesuffix(" %")
    return f"{measure.write(estimate.low).removesuffix(' %')}–{high}"


def pair_line(pair: PairReport) -> str:
    """The pair, and how good either is."""
    weak, strong = (pair.numbers[name].value or 0.0 for name in ("weak", "strong"))
    return f"{pair.weak} → {pair.strong}: {percent(weak)} → {percent(strong)} right"


def judge_line(pair: PairReport) -> str:
    """The weak model, and what decides."""
    return f"{pair.weak}, by {pair.scored_by}"


def judged(pairs: Sequence[PairReport]) -> list[PairReport]:
    """One pair for each weak model and score: how good a score is does not depend on who is asked then."""
    found: dict[tuple[str, str], PairReport] = {}
    for pair in pairs:
        if pair.score is not Score.NONE:
            found.setdefault((pair.weak, pair.scored_by), pair)
    return list(found.values())


def heading(report: WorkloadReport) -> str:
    """Set, workload and split, where they say something."""
    parts = [report.set, report.workload]
    if report.split != "all":
        parts.append(report.split)
    return " · ".join(part for place, part in enumerate(parts) if part not in parts[:place])


def about(report: WorkloadReport) -> str:
    """How many questions and models, and how the pairs were chosen."""
    told = f"{report.questions:,} questions, {len(report.models)} models"
    return f"{told}. Replayed: {report.chosen}." if report.chosen else f"{told}."


def model_cells(model: Model) -> list[str]:
    """Name, how often right, of how many, cost and time."""
    return [
        model.name,
        percent(model.quality),
        f"{model.answered:,}",
        NONE if model.cost_usd is None else dollars(model.cost_usd),
        NONE if model.latency_ms is None else f"{model.latency_ms:,.0f} ms",
    ]


MODEL_HEAD = ("model", "right", "of answers", "cost of 1,000", "mean time")
CERTIFICATE_HEAD = ("model", "labels", "certified", "accepted", "at best", "promise broken")


def certificate_cells(cell: CertificateReport) -> list[str]:
    """Model, labels, and what came out over the draws."""
    return [
        cell.model,
        f"{cell.labels:,}",
        percent(cell.certified),
        percent(cell.accepted),
        percent(cell.ideal),
        percent(cell.violated),
    ]


def certificates_told(report: WorkloadReport) -> str:
    """What the table of certificates shows."""
    cell = report.certificates[0]
    return (
        f"At most {cell.risk * 100:.3g} % of accepted answers wrong, with {(1 - cell.delta) * 100:.3g} % confidence, from as many labelled "
        f"answers, in {cell.draws} draws of them. certified: draws that prove it. accepted: share of all answers that is then "
        f"accepted; at best: by a threshold that nobody has to prove. promise broken: draws that accept more wrong ones, "
        f"which may be {cell.delta * 100:.3g} %."
    )


def escalated_told(report: WorkloadReport) -> list[str]:
    """What any rule must escalate, model by model; none where that is nothing."""
    found = {cell.model: cell for cell in report.certificates if cell.least_escalated}
    return [
        f"{model}: for at most {cell.risk * 100:.3g} % wrong, any rule must escalate at least {percent(cell.least_escalated)}"
        for model, cell in found.items()
    ]


def gap_told(report: WorkloadReport) -> str:
    """What a gap that is too small means; empty where none is."""
    small = any(pair.numbers["apgr"].said.startswith("gap") for pair in report.pairs)
    none = any(pair.numbers["apgr"].said.startswith("no gap") for pair in report.pairs)
    told: list[str] = []
    if small:
        told.append(
            f"gap too small: under {GAP_MIN:g}, so that a share of it is mostly noise; see the shares for 95 % and more"
        )
    if none:
        told.append("no gap: the strong model is no better")
    return "; ".join(told)
