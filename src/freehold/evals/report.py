"""What a calibration is worth, as text for people and as JSON for programs. Only answers that it was not fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from freehold.evals.calibrate import Graded
from freehold.evals.question import Half
from freehold.routing.calibration import Calibration, probability
from freehold.routing.quality import Quality, bins

_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Of answers with about this probability, how many were right."""

    probability: float
    right: float
    answers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageRow:
    """If answers were accepted from this probability on: how many would be, and how many of those were right.

    ``accuracy`` is ``None`` where none would be accepted.
    """

    accept_at: float
    coverage: float
    accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRow:
    """Accuracy on one kind of question, both halves."""

    kind: str
    answers: int
    right: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Quality of a calibration. ``reliability`` and ``coverage`` are from the half that was not fitted on."""

    calibration: str
    workload: str
    n: int
    crossed: Quality
    held_out: Quality | None
    reliability: tuple[ReliabilityBin, ...]
    coverage: tuple[CoverageRow, ...]
    kinds: tuple[KindRow, ...]

    def as_json(self) -> dict[str, object]:
        """JSON-ready values."""
        return asdict(self)


def report(calibration: Calibration, graded: Sequence[Graded]) -> Report:
    """The report on ``calibration``, from the answers that it was made of."""
    pairs = sorted(
        (probability(calibration, each.signals), each.right)
        for each in graded
        if each.question.half is Half.CHECK and "logprob_mean" in each.signals
    )
    return Report(
        calibration=calibration.id,
        workload=calibration.workload,
        n=calibration.n,
        crossed=calibration.crossed,
        held_out=calibration.held_out,
        reliability=tuple(
            ReliabilityBin(probability=mean, right=share, answers=count) for mean, share, count in bins(pairs)
        ),
        coverage=tuple(_coverage(pairs, threshold) for threshold in _THRESHOLDS),
        kinds=_by_kind(graded),
    )


def as_text(shown: Report) -> str:
    """The report in plain lines, without a newline at the end."""
    lines = [f"calibration {shown.calibration}, workload {shown.workload}, fitted on {shown.n} answers", ""]
    for name, quality in (("cross-validated", shown.crossed), ("held out", shown.held_out)):
        if quality is not None:
            lines.append(
                f"{name:>15}: {quality.n} answers, {quality.accuracy:.1%} right, AUROC {quality.auroc:.3f}, "
                f"calibration error {quality.ece:.3f}, Brier {quality.brier:.3f}"
            )
    lines += ["", "probability   right  answers"]
    lines += [f"{row.probability:11.2f} {row.right:7.2f} {row.answers:8d}" for row in shown.reliability]
    lines += ["", "accept at  accepted  of these right"]
    for row in shown.coverage:
        accuracy = "-" if row.accuracy is None else f"{row.accuracy:.1%}"
        lines.append(f"{row.accept_at:9.2f} {row.coverage:9.1%} {accuracy:>15}")
    lines += ["", "kind            right"]
    lines += [f"{row.kind:14} {row.right:3d} of {row.answers}" for row in shown.kinds]
    return "\n".join(lines)


def _coverage(pairs: Sequence[tuple[float, bool]], threshold: float) -> CoverageRow:
    accepted = [right for value, right in pairs if value >= threshold]
    return CoverageRow(
        accept_at=threshold,
        coverage=len(accepted) / len(pairs) if pairs else 0.0,
        accuracy=sum(accepted) / len(accepted) if accepted else None,
    )


def _by_kind(graded: Sequence[Graded]) -> tuple[KindRow, ...]:
    kinds = sorted({each.question.kind for each in graded})
    rows = {kind: [each.right for each in graded if each.question.kind == kind] for kind in kinds}
    return tuple(KindRow(kind=kind, answers=len(right), right=sum(right)) for kind, right in rows.items())
