"""Certifying a calibration on graded answers: the labels are known answers, so the certificate is on errors themselves.

Three parts that share no question: the calibration was fitted on the first, whose scores without labels stand for
earlier traffic; the second proves; the third says whether the promise holds on what neither saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from freehold.domain.certificates import Certificate, LabelKind
from freehold.evals.calibrate import Graded
from freehold.evals.question import Part
from freehold.routing.calibration import Calibration
from freehold.routing.certificate import About, Aim, NotCertifiable, certify
from freehold.routing.ladder import confidence, scored_on

NEVER_ACCEPTED = -1.0
"""Score of an answer that a hard gate stops, or that is outside what the calibration knows."""

_DAY_MS = 86_400_000
EXPIRES_DAYS = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What came of certifying, and what the answers that took no part say of it.

    Attributes:
        risk_max: ε that was asked for.
        delta: δ.
        certificate: ``None`` where it cannot be had.
        refused: Why it cannot; ``None`` where it can.
        checked: Answers of the third part.
        accepted: How many of these the certified threshold accepts; 0 without a certificate.
        errors: How many of those are wrong.
    """

    risk_max: float
    delta: float
    certificate: Certificate | None
    refused: NotCertifiable | None
    checked: int
    accepted: int
    errors: int

    def as_json(self) -> dict[str, object]:
        """JSON-ready values."""
        return asdict(self)


def acceptance_score(calibration: Calibration, signals: Mapping[str, float]) -> float:
    """What is held against a threshold: the probability, below 0 for an answer that no threshold accepts."""
    judged = confidence(signals, calibration)
    is_stopped = signals.get("empty") or signals.get("refusal")
    return NEVER_ACCEPTED if judged.probability is None or is_stopped else judged.probability


def prove(calibration: Calibration, graded: Sequence[Graded], *, aim: Aim, unix_ms: int) -> Proof:
    """Certify ``calibration`` for ``aim`` on the part of the answers that is for it.

    Args:
        calibration: Fitted on the first part of ``graded``.
        graded: Answers to all questions.
        aim: What is to be certified, chosen before.
        unix_ms: The time; the certificate expires 180 days later.
    """
    scores = {part: list[float]() for part in Part}
    wrong = {part: list[bool]() for part in Part}
    for each in graded:
        scores[each.question.part].append(acceptance_score(calibration, each.signals))
        wrong[each.question.part].append(not each.right)
    about = About(
        scored_on=scored_on(calibration),
        label_kind=LabelKind.GOLD,
        created_unix_ms=unix_ms,
        expires_unix_ms=unix_ms + EXPIRES_DAYS * _DAY_MS,
    )
    found = certify(scores[Part.CERTIFY], wrong[Part.CERTIFY], traffic=scores[Part.FIT], aim=aim, about=about)
    certificate = found if isinstance(found, Certificate) else None
    accepted = [
        is_wrong
        for score, is_wrong in zip(scores[Part.CHECK], wrong[Part.CHECK], strict=True)
        if certificate is not None and score >= certificate.threshold
    ]
    return Proof(
        risk_max=aim.risk_max,
        delta=aim.delta,
        certificate=certificate,
        refused=None if isinstance(found, Certificate) else found,
        checked=len(scores[Part.CHECK]),
        accepted=len(accepted),
        errors=sum(accepted),
    )
