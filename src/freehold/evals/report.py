"""What a calibration is worth, as text for people and as JSON for programs. Only answers that it was not fitted on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from freehold.domain.certificates import WHOLE
from freehold.evals.calibrate import Graded
from freehold.evals.curves import Interval, bootstrap
from freehold.evals.proof import Proof
from freehold.evals.question import Part
from freehold.routing.calibration import Calibration, probability
from freehold.routing.certificate import least_escalated, statement
from freehold.routing.quality import Quality, bins, measure_quality

_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
_SEED = 20_261


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
    """Accuracy on one kind of question, all parts."""

    kind: str
    answers: int
    right: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Quality of a calibration, and what was proven of it.

    ``auroc``, ``ece``, ``reliability`` and ``coverage`` are of the answers that it was not fitted on; the first two are
    ``None`` where there are none.
    """

    calibration: str
    workload: str
    scope: str
    n: int
    crossed: Quality
    held_out: Quality | None
    auroc: Interval | None
    ece: Interval | None
    reliability: tuple[ReliabilityBin, ...]
    coverage: tuple[CoverageRow, ...]
    kinds: tuple[KindRow, ...]
    proofs: tuple[Proof, ...]

    def as_json(self) -> dict[str, object]:
        """JSON-ready values."""
        return asdict(self)


def report(calibration: Calibration, graded: Sequence[Graded], proofs: Sequence[Proof] = ()) -> Report:
    """The report on ``calibration``, from the answers that it was made of."""
    pairs = sorted(
        (probability(calibration, each.signals), each.right)
        for each in graded
        if each.question.part is not Part.FIT and "logprob_mean" in each.signals
    )
    return Report(
        calibration=calibration.id,
        workload=calibration.workload,
        scope=calibration.scope,
        n=calibration.n,
        crossed=calibration.crossed,
        held_out=calibration.held_out,
        auroc=_interval(pairs, lambda quality: quality.auroc),
        ece=_interval(pairs, lambda quality: quality.ece),
        reliability=tuple(
            ReliabilityBin(probability=mean, right=share, answers=count) for mean, share, count in bins(pairs)
        ),
        coverage=tuple(_coverage(pairs, threshold) for threshold in _THRESHOLDS),
        kinds=_by_kind(graded),
        proofs=tuple(proofs),
    )


def least_text(graded: Sequence[Graded], risk_max: float) -> str:
    """What has to be known before anything is calibrated: how much no rule can spare."""
    errors = sum(not each.right for each in graded)
    if not graded:
        return "no answers"
    least = least_escalated(errors, len(graded), risk_max)
    return (
        f"{errors} of {len(graded)} answers are wrong. For at most {risk_max:.1%} wrong among accepted ones, at least "
        f"{least.value:.0%} must go elsewhere ({least.low:.0%} to {least.high:.0%}), whatever decides."
    )


def as_text(shown: Report) -> str:
    """The report in plain lines, without a newline at the end."""
    what = "answers" if shown.scope == WHOLE else f"answers by their {shown.scope}"
    lines = [f"calibration {shown.calibration}, workload {shown.workload}, fitted on {shown.n} {what}", ""]
    for name, quality in (("cross-validated", shown.crossed), ("held out", shown.held_out)):
        if quality is not None:
            lines.append(
                f"{name:>15}: {quality.n} answers, {quality.accuracy:.1%} right, AUROC {quality.auroc:.3f}, "
                f"calibration error {quality.ece:.3f}, Brier {quality.brier:.3f}"
            )
    if shown.auroc is not None and shown.ece is not None:
        lines.append(
            f"{'95 % of draws':>15}: AUROC {shown.auroc.low:.3f} to {shown.auroc.high:.3f}, "
            f"calibration error {shown.ece.low:.3f} to {shown.ece.high:.3f}"
        )
    lines += ["", "probability   right  answers"]
    lines += [f"{row.probability:11.2f} {row.right:7.2f} {row.answers:8d}" for row in shown.reliability]
    lines += ["", "accept at  accepted  of these right"]
    for row in shown.coverage:
        accuracy = "-" if row.accuracy is None else f"{row.accuracy:.1%}"
        lines.append(f"{row.accept_at:9.2f} {row.coverage:9.1%} {accuracy:>15}")
    lines += ["", "kind                 right"]
    lines += [f"{row.kind:19} {row.right:3d} of {row.answers}" for row in shown.kinds]
    for proof in shown.proofs:
        lines += ["", *_proof_lines(proof)]
    return "\n".join(lines)


def _proof_lines(proof: Proof) -> list[str]:
    if proof.certificate is None:
        why = proof.refused.message if proof.refused is not None else "nothing was labelled"
        return [f"no certificate for {proof.risk_max:.1%}: {why}"]
    lines = [f"certificate {proof.certificate.id}, accepted from {proof.certificate.threshold:.3f} on"]
    lines.append(statement(proof.certificate))
    if proof.accepted:
        lines.append(
            f"On {proof.checked} further answers: {proof.accepted} accepted, {proof.errors} of them wrong "
            f"({proof.errors / proof.accepted:.1%})."
        )
    return lines


def _interval(pairs: Sequence[tuple[float, bool]], read: Callable[[Quality], float]) -> Interval | None:
    if not pairs:
        return None

    def measure(places: Sequence[int]) -> float:
        drawn = [pairs[place] for place in places]
        return read(measure_quality([value for value, _ in drawn], [right for _, right in drawn]))

    return bootstrap(len(pairs), measure, seed=_SEED)


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
