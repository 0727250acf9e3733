"""A replay as text for people: tables of at most 120 columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import wrap

from freehold.evals.replay.options import Options, Score
from freehold.evals.replay.results import PairReport, Replay, WorkloadReport
from freehold.evals.replay.wording import (
    CERTIFICATE_HEAD,
    JUDGING,
    MODEL_HEAD,
    ROUTING,
    Measure,
    about,
    certificate_cells,
    certificates_told,
    escalated_told,
    gap_told,
    heading,
    interval_of,
    judge_line,
    judged,
    model_cells,
    pair_line,
    shown,
    told,
    value_of,
)

_WIDTH = 110


def as_text(found: Replay) -> str:
    """The whole replay, without a newline at its end."""
    return "\n\n\n".join("\n\n".join(_workload(report, found)) for report in found.workloads)


def _workload(report: WorkloadReport, found: Replay) -> list[str]:
    title = heading(report)
    parts = [f"{title}\n{'═' * len(title)}\n{about(report)}"]
    parts.append(_table([model_cells(model) for model in report.models], MODEL_HEAD))
    scored = [pair for pair in report.pairs if pair.score is not Score.NONE]
    if scored:
        parts.append(_measures("Routing", scored, ROUTING, found.options))
        parts.append(_measures("Confidence", judged(scored), JUDGING, found.options, name=judge_line))
    if unscored := [pair for pair in report.pairs if pair.score is Score.NONE]:
        parts.append(_oracles(unscored))
    if report.certificates:
        table = _table([certificate_cells(cell) for cell in report.certificates], CERTIFICATE_HEAD)
        parts.append("\n".join(["Certificates", *wrap(certificates_told(report), _WIDTH), "", table]))
    notes = [*filter(None, [gap_told(report)]), *escalated_told(report), *report.notes]
    if notes:
        parts.append(
            "\n".join(line for note in notes for line in wrap(f"Note: {note}.", _WIDTH, subsequent_indent="  "))
        )
    return parts


def _measures(
    title: str,
    pairs: Sequence[PairReport],
    measures: Sequence[Measure],
    options: Options,
    *,
    name: Callable[[PairReport], str] = pair_line,
) -> str:
    """Two lines a pair below its name: numbers, and their intervals."""
    columns = shown(measures, pairs)
    rows: list[list[str]] = []
    for pair in pairs:
        estimates = [pair.numbers[each.name] for each in columns]
        rows.append([value_of(estimate, each) for estimate, each in zip(estimates, columns, strict=True)])
        rows.append([interval_of(estimate, each) for estimate, each in zip(estimates, columns, strict=True)])
    lines = _table(rows, [each.head for each in columns], left=0).split("\n")
    text = [title, *wrap(told(columns, options), _WIDTH), "", f"  {lines[0]}"]
    for place, pair in enumerate(pairs):
        text += [name(pair), *(f"  {line}".rstrip() for line in lines[1 + 2 * place : 3 + 2 * place])]
    return "\n".join(text)


def _oracles(pairs: Sequence[PairReport]) -> str:
    lines = ["Best of all routers"]
    for pair in pairs:
        best = pair.numbers["oracle_apgr"]
        lines += [pair_line(pair), f"  {best.said if best.value is None else f'APGR {best.value:.3f}'}"]
    return "\n".join(lines)


def _table(rows: Sequence[Sequence[str]], head: Sequence[str], *, left: int = 1) -> str:
    """Columns as wide as their widest cell; all but the first ``left`` ones end level, as numbers do."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return "\n".join(
        "   ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    )
