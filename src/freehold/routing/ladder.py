"""How sure are we, and what becomes of the answer? Pure and constant in time: well under a millisecond."""

from __future__ import annotations

from collections.abc import Mapping

from freehold.domain.decisions import Action, Confidence, ConfidenceStatus, Verdict
from freehold.domain.deployment import Route, Uncalibrated
from freehold.domain.response import FinishReason
from freehold.routing.calibration import Calibration, covers, probability

_GATES = (
    ("empty", 1.0, "empty_answer"),
    ("refusal", 1.0, "refused"),
    ("schema_valid", 0.0, "schema_invalid"),
    ("tool_arguments_valid", 0.0, "tool_arguments_invalid"),
)
"""Signal, the value at which an answer fails whatever its probability, and the reason's code."""


def confidence(signals: Mapping[str, float], calibration: Calibration | None) -> Confidence:
    """How sure we are of the answer that ``signals`` were measured from.

    Args:
        signals: From ``routing.signals.measure``.
        calibration: One that applies to the deployment and workload, or ``None``.

    Returns:
        ``UNMEASURED`` without log-probabilities; ``UNCALIBRATED`` without a calibration, or with one that never saw
        an answer of this kind (``routing.calibration.covers``); else the calibration's probability, and nothing else.
    """
    kept = dict(signals)
    if "logprob_mean" not in signals:
        return Confidence(probability=None, status=ConfidenceStatus.UNMEASURED, signals=kept)
    if calibration is None or not covers(calibration, signals):
        return Confidence(probability=None, status=ConfidenceStatus.UNCALIBRATED, signals=kept)
    return Confidence(
        probability=probability(calibration, signals),
        status=ConfidenceStatus.CALIBRATED,
        signals=kept,
        calibrated_on=calibration.id,
    )


def verdict(
    judged: Confidence,
    route: Route,
    *,
    more_permitted: bool,
    finish_reason: FinishReason | None = None,
) -> Verdict:
    """What becomes of an answer.

    Hard gates come first: an empty answer, a refusal, a broken schema or invalid tool arguments are never accepted
    while something further is permitted. Then a calibrated probability is held against ``route.accept_at``; without
    one the route's ``uncalibrated`` default decides.

    Args:
        judged: How sure we are.
        route: Threshold and default.
        more_permitted: Whether another deployment may still be tried.
        finish_reason: Why the answer ended; a content filter counts as a refusal.

    Returns:
        Reasons: ``confident``, ``low_confidence``; ``uncalibrated``, ``unmeasured`` where the default decided;
        ``empty_answer``, ``refused``, ``schema_invalid``, ``tool_arguments_invalid``; and ``last_permitted`` for an
        answer that would have been escalated if anything further were permitted (``ABSTAIN``).
    """
    action, reason, threshold = _wish(judged, route, finish_reason)
    if action is Action.ESCALATE and not more_permitted:
        return Verdict(action=Action.ABSTAIN, reason="last_permitted", threshold=threshold)
    return Verdict(action=action, reason=reason, threshold=threshold)


def _wish(judged: Confidence, route: Route, finish_reason: FinishReason | None) -> tuple[Action, str, float | None]:
    """Action, reason and threshold if there were always something further."""
    if finish_reason is FinishReason.CONTENT_FILTER:
        return Action.ESCALATE, "refused", None
    for name, failing, reason in _GATES:
        if judged.signals.get(name) == failing:
            return Action.ESCALATE, reason, None
    if judged.probability is not None:
        if judged.probability >= route.accept_at:
            return Action.ACCEPT, "confident", route.accept_at
        return Action.ESCALATE, "low_confidence", route.accept_at
    action = Action.ACCEPT if route.uncalibrated is Uncalibrated.ACCEPT else Action.ESCALATE
    return action, judged.status.value, None
