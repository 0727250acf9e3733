"""A whole replay: every workload of every set, its pairs of models, and what their certificates would have been worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from freehold.domain.certificates import LabelKind
from freehold.domain.errors.replay import NothingToReplay
from freehold.evals.replay.certified import certificates
from freehold.evals.replay.measure import measured
from freehold.evals.replay.options import Options, Score
from freehold.evals.replay.results import CertificateReport, PairReport, Replay, WorkloadReport
from freehold.evals.replay.schema import Tables
from freehold.evals.replay.select import Pair, Workload, chosen, pair_of, refuse_unknown, workloads


def replay(sets: Sequence[Tables], options: Options, *, numpy: Any = None) -> Replay:
    """What recorded outcomes say of every workload.

    Args:
        sets: The sets of tables.
        options: What is asked.
        numpy: The module, which makes it faster and changes no number.

    Raises:
        RouterImpossible: What questions alone say is asked for, and there is too little to learn that from.
        NothingToReplay: No question is of what is asked, or no pair of models was seen to be right or wrong on it.
    """
    asked = [workload for tables in sets for workload in workloads(tables, options)]
    refuse_unknown(asked, options)
    reports = [_report(workload, options, numpy) for workload in asked]
    found = [report for report in reports if report.pairs or not (options.weak or options.strong)]
    if not any(report.pairs for report in found):
        raise NothingToReplay(reason=_why_not(asked, options))
    return Replay(options=options, workloads=found)


def _report(workload: Workload, options: Options, numpy: Any) -> WorkloadReport:
    names, told = chosen(workload, options)
    pairs = [pair for weak, strong in names if (pair := pair_of(workload, weak, strong, options, numpy=numpy))]
    measured_pairs = [measured(pair, options, numpy=numpy) for pair in pairs]
    of_models: dict[str, list[CertificateReport]] = {}
    for pair in pairs:
        if pair.weak not in of_models:
            of_models[pair.weak] = certificates(pair, options, numpy=numpy)
    return WorkloadReport(
        set=workload.set,
        workload=workload.name,
        split=workload.split,
        questions=len(workload.queries),
        left_out=workload.left_out,
        chosen=told,
        models=workload.models,
        pairs=measured_pairs,
        certificates=[cell for cells in of_models.values() for cell in cells],
        notes=_notes(workload, pairs, measured_pairs),
    )


def _notes(workload: Workload, pairs: Sequence[Pair], reports: Sequence[PairReport]) -> list[str]:
    notes: list[str] = []
    if workload.left_out:
        notes.append(f"{_are(workload.left_out, 'question')} left out, marked as contaminated")
    for pair in pairs:
        name = f"{pair.weak} → {pair.strong}"
        if pair.missing:
            told = f"{_are(pair.missing, 'question')} left out, since it is not known of both models whether they were right"
            notes.append(f"{name}: {told}")
        if pair.by_choice:
            left = "left out" if pair.by_choice != len(pair.low) else "all there is"
            notes.append(
                f"{name}: {_are(pair.by_choice, 'question')} {left}, judged since somebody chose to, not by chance"
            )
        if pair.unscored:
            notes.append(f"{name}: {_are(pair.unscored, 'answer')} without a score, and the first to go on")
    rows = [row for found in workload.answers.values() for row in found.values()]
    if any(row.label_kind == LabelKind.AGREEMENT for row in rows):
        notes.append("some labels say that a stronger model answered the same, which is not the same as being right")
    if any(0 < row.sought < 1 for row in rows):
        notes.append("labels that were sought by chance stand for as many as they were drawn from")
    if reports and all(each.score is Score.NONE for each in reports):
        notes.append(f"{reports[0].scored_by}: only the models, and the best that any router could do, are shown")
    if not reports:
        notes.append("no model is better than another that is asked first, so that there is nothing to route")
    return notes


def _are(count: int, what: str) -> str:
    return f"{count:,} {what} is" if count == 1 else f"{count:,} {what}s are"


def _why_not(asked: Sequence[Workload], options: Options) -> str:
    if not any(workload.models for workload in asked):
        return "of no answer it is known whether it was right; label some first"
    if options.weak and options.strong:
        return f"{options.weak} and {options.strong} have no question in common to which both are known to be right or wrong"
    return "no two models have questions in common to which both are known to be right or wrong, one of them more often right"
