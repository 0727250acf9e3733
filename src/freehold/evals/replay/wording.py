"""How numbers of a replay are written, in text as in the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from freehold.evals.replay.options import BREACH, COVERAGES, GAP_MIN, SHADOWED, SHARES_OF_STRONG, Options, Score
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
    """One measure: its name among a report's numbers, its heading, how it is written, and what it says."""

    name: str
    head: str
    write: Callable[[float], str]
    told: str = ""


ROUTING = (
    Measure("apgr", "APGR", plain, "APGR: mean of the quality gap that is recovered, 0.5 for guessing."),
    Measure(
        "cpt50",
        "CPT50",
        percent,
        "CPT50, CPT80: least share of questions that goes to the strong model to recover half",
    ),
    Measure("cpt80", "CPT80", percent, "of the gap, and four fifths."),
    *(Measure(f"share_for_{of * 100:.0f}", f"{of * 100:.0f} %", percent) for of in SHARES_OF_STRONG[:-1]),
    Measure(
        f"share_for_{SHARES_OF_STRONG[-1] * 100:.0f}",
        f"{SHARES_OF_STRONG[-1] * 100:.0f} %",
        percent,
        f"{', '.join(f'{of * 100:.0f} %' for of in SHARES_OF_STRONG)}: the same for that much of the strong model's own "
        "quality.",
    ),
    Measure("error_cost", "error–cost", plain, "error–cost: mean error over the costs that the pair spans."),
    Measure("aiq", "AIQ", plain, "AIQ: mean quality over these, of the best that it offers for a cost."),
)
JUDGING = (
    Measure(
        "auroc_of_wrong",
        "AUROC",
        plain,
        "AUROC: chance that a wrong answer scores as more in need of the strong model than a right one.",
    ),
    Measure("ece", "ECE", plain, "ECE: mean distance of the recorded probability from what came true."),
    *(Measure(f"risk_at_{of * 100:.0f}", f"wrong at {of * 100:.0f} %", percent) for of in COVERAGES[:-1]),
    Measure(
        f"risk_at_{COVERAGES[-1] * 100:.0f}",
        f"wrong at {COVERAGES[-1] * 100:.0f} %",
        percent,
        f"wrong at {', '.join(f'{of * 100:.0f} %' for of in COVERAGES)}: share of wrong ones among that share of answers, "
        "the surest.",
    ),
)


def shown(measures: Sequence[Measure], pairs: Sequence[PairReport]) -> list[Measure]:
    """Those that any of the pairs has; the first of routing always, since it says why there is none."""
    return [
        each
        for each in measures
        if each is ROUTING[0] or any(pair.numbers[each.name].value is not None for pair in pairs)
    ]


def told(measures: Sequence[Measure], options: Options) -> str:
    """What they say, and what stands beneath each number."""
    beneath = f"Beneath each number: where 95 % of {options.resamples} resamples put it, seed {options.seed}."
    return " ".join([*(each.told for each in measures if each.told), *([beneath] if options.resamples else [])])


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
    asked = f"{_counted(report.questions, 'question')}, {_counted(len(report.models), 'model')}"
    return f"{asked}. Replayed: {report.chosen}." if report.chosen else f"{asked}."


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


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
CERTIFICATE_HEAD = ("model", "labels", "certified", "accepted", "at best", "promise broken", "alarm after")


def certificate_cells(cell: CertificateReport) -> list[str]:
    """Model, labels, and what came out over the draws."""
    return [
        cell.model,
        f"{cell.labels:,}",
        percent(cell.certified),
        percent(cell.accepted),
        percent(cell.ideal),
        percent(cell.violated),
        NONE if cell.alarm_after is None else f"{cell.alarm_after:,.0f}",
    ]


def certificates_told(report: WorkloadReport) -> str:
    """What the table of certificates shows."""
    cell = report.certificates[0]
    return (
        f"At most {cell.risk * 100:.3g} % of accepted answers wrong, with {(1 - cell.delta) * 100:.3g} % confidence. A row: "
        f"{cell.draws} draws of so many labelled answers. certified: draws that prove it. accepted: share of all answers "
        f"that is then accepted; at best: by a threshold that nobody has to prove. promise broken: draws that accept more "
        f"wrong ones, which may be {cell.delta * 100:.3g} %. alarm after: questions, in the mean, until it is noticed that "
        f"{min(100, BREACH * cell.risk * 100):.3g} % of accepted answers are wrong, with {SHADOWED * 100:.3g} % of them shadowed."
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
    notes: list[str] = []
    if small:
        notes.append(
            f"gap too small: under {GAP_MIN:g}, so that a share of it is mostly noise; see the shares for 95 % and more"
        )
    if none:
        notes.append("no gap: the strong model is no better")
    return "; ".join(notes)
