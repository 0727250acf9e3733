"""How sure are we, and what becomes of the answer? Pure and constant in time: well under a millisecond."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from freehold.domain.certificates import UNCERTIFIED, WHOLE, Certificate, Fault, ScoredOn, Standing
from freehold.domain.decisions import Action, Confidence, ConfidenceStatus, Verdict
from freehold.domain.deployment import Route, Uncalibrated
from freehold.domain.response import FinishReason
from freehold.routing.calibration import Calibration, covers, probability
from freehold.routing.certificate import applies
from freehold.routing.signal_costs import BOUGHT

DELTA_MAX = 0.1
"""A certificate counts only if it keeps its promise with a chance of at least one minus this."""

_GATES = (
    ("empty", 1.0, "empty_answer"),
    ("refusal", 1.0, "refused"),
    ("schema_valid", 0.0, "schema_invalid"),
    ("tool_arguments_valid", 0.0, "tool_arguments_invalid"),
)
"""Signal, the value at which an answer fails whatever its probability, and the reason's code."""


# --- how sure we are -----------------------------------------------------------------------------


def bought_of(calibration: Calibration) -> frozenset[str]:
    """The signals among its features that have to be bought."""
    return frozenset(feature.name for feature in calibration.features if feature.name in BOUGHT)


def choose(
    calibrations: Sequence[Calibration], signals: Mapping[str, float], *, scope: str = WHOLE
) -> Calibration | None:
    """The calibration to judge an answer with.

    Args:
        calibrations: Those that apply to the deployment and workload; later ones win.
        signals: Of the answer.
        scope: What the signals were measured on.

    Returns:
        Of the same scope, and one that ``covers`` these signals: the one that uses the most of the bought ones.
        ``None`` where there is none.
    """
    fit = [each for each in calibrations if each.scope == scope and covers(each, signals)]
    if len(fit) < 2:
        return fit[0] if fit else None
    used = [len(bought_of(each) & signals.keys()) for each in fit]
    return fit[max(range(len(fit)), key=lambda place: (used[place], place))]


def confidence(signals: Mapping[str, float], calibration: Calibration | None, *, scope: str = WHOLE) -> Confidence:
    """How sure we are of the answer that ``signals`` were measured from.

    Args:
        signals: From ``routing.signals.measure``, and what was bought.
        calibration: One that applies to the deployment and workload, or ``None``.
        scope: What the signals were measured on.

    Returns:
        ``CALIBRATED`` with the calibration's probability, and nothing else. Without a calibration, or with one that
        never saw an answer of this kind (``routing.calibration.covers``), ``UNMEASURED`` where there are no
        log-probabilities, else ``UNCALIBRATED``.
    """
    if calibration is not None and not covers(calibration, signals):
        calibration = None
    return _confidence(signals, calibration, scope)


def appraise(
    signals: Mapping[str, float], calibrations: Sequence[Calibration], *, scope: str = WHOLE
) -> tuple[Confidence, Calibration | None]:
    """``confidence`` by the calibration that ``choose`` takes, and that one."""
    chosen = choose(calibrations, signals, scope=scope) if calibrations else None
    return _confidence(signals, chosen, scope), chosen


def _confidence(signals: Mapping[str, float], calibration: Calibration | None, scope: str) -> Confidence:
    kept = dict(signals)
    if calibration is None:
        is_measured = "logprob_mean" in signals
        status = ConfidenceStatus.UNCALIBRATED if is_measured else ConfidenceStatus.UNMEASURED
        return Confidence(probability=None, status=status, signals=kept, scope=scope)
    return Confidence(
        probability=probability(calibration, signals),
        status=ConfidenceStatus.CALIBRATED,
        signals=kept,
        calibrated_on=calibration.id,
        scope=scope,
    )


# --- what a probability is held against ----------------------------------------------------------


def scored_on(calibration: Calibration) -> ScoredOn:
    """Everything that decides what this calibration's probabilities mean."""
    return ScoredOn(
        workload=calibration.workload,
        model_digest=calibration.model_digest,
        engine=calibration.engine,
        engine_version=calibration.engine_version,
        template_digest=calibration.template_digest,
        calibration=calibration.id,
        scope=calibration.scope,
    )


def in_force(
    certificates: Iterable[Certificate], calibration: Calibration, *, tenant: str, unix_ms: int
) -> tuple[Certificate, ...]:
    """The certificates that hold for what ``calibration`` says of this tenant's answers at this moment.

    One that was made for anything else, for another tenant, with less certainty than ``DELTA_MAX`` wants, or that has
    expired, does not; nor does one that counts only the errors that a stronger model would not have made.
    """
    meant = scored_on(calibration)
    return tuple(
        each
        for each in certificates
        if each.tenant in ("", tenant)
        and each.delta <= DELTA_MAX
        and each.fault is Fault.WRONG
        and applies(each, meant, unix_ms)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """What a probability is held against.

    Attributes:
        wanted: The stricter of the certified threshold and the route's; ``None`` where nothing is good enough, since
            the route wants certified answers and has no certificate.
        spend_at: Where the month's spend has to be held at less than that; ``None`` where it has not.
    """

    wanted: float | None
    spend_at: float | None = None

    @property
    def at(self) -> float | None:
        """Least probability that is accepted."""
        return self.wanted if self.spend_at is None else self.spend_at


def threshold(
    route: Route,
    certificates: Collection[Certificate] = (),
    standing: Standing = UNCERTIFIED,
    *,
    cost_at: float | None = None,
) -> Threshold:
    """The threshold of a route at this moment; ``cost_at`` is an answer's own cost-optimal one, instead of ``accept_at``.

    Where the route names a ``risk_max``, the certificate with the lowest threshold among those that promise at most
    this risk counts, and the stricter of that threshold and ``accept_at`` is taken. Without such a certificate the
    route's ``uncalibrated`` default decides: ``accept`` goes by ``accept_at`` alone, ``escalate`` accepts nothing.
    """
    least = route.accept_at if cost_at is None else cost_at
    wanted: float | None = least
    if route.risk_max is not None:
        certified = [each.threshold for each in certificates if each.risk_max <= route.risk_max]
        if certified:
            wanted = max(min(certified), least)
        elif route.uncalibrated is Uncalibrated.ESCALATE:
            wanted = None
    spend_at = standing.spend_at
    if spend_at is not None and wanted is not None and spend_at >= wanted:
        spend_at = None
    return Threshold(wanted=wanted, spend_at=spend_at)


def is_grey(judged: Confidence, route: Route, at: Threshold) -> bool:
    """Whether a probability is so near to the threshold that a further signal could turn the verdict."""
    if judged.probability is None or at.at is None:
        return False
    return abs(judged.probability - at.at) <= route.doubt.grey_zone


# --- what becomes of it --------------------------------------------------------------------------


def gate(judged: Confidence, finish_reason: FinishReason | None) -> str:
    """Why an answer fails whatever its probability: a reason's code; empty where it does not."""
    if finish_reason is FinishReason.CONTENT_FILTER:
        return "refused"
    for name, failing, reason in _GATES:
        if judged.signals.get(name) == failing:
            return reason
    return ""


def verdict(
    judged: Confidence,
    route: Route,
    *,
    more_permitted: bool,
    finish_reason: FinishReason | None = None,
    standing: Standing = UNCERTIFIED,
    certificates: Collection[Certificate] = (),
    cost_at: float | None = None,
) -> Verdict:
    """What becomes of an answer.

    Hard gates come first: an empty answer, a refusal, a broken schema or invalid tool arguments are never accepted
    while something further is permitted, and nothing is while there is an alarm. Then a calibrated probability is held
    against the ``threshold``; without one the route's ``uncalibrated`` default decides.

    Args:
        judged: How sure we are.
        route: Threshold and default.
        more_permitted: Whether another deployment may still be tried.
        finish_reason: Why the answer ended; a content filter counts as a refusal.
        standing: Alarm and spend, as they are now.
        certificates: Those ``in_force`` for the calibration that gave the probability.
        cost_at: This answer's own cost-optimal threshold (``routing.forecast``), instead of the route's.

    Returns:
        Reasons: ``confident``, ``low_confidence``; ``spend_held`` for an answer that is accepted below the threshold,
        since the month's spend is used; ``uncertified`` where the route wants certified answers and there is no
        certificate; ``alarm``; ``uncalibrated``, ``unmeasured`` where the default decided; ``empty_answer``,
        ``refused``, ``schema_invalid``, ``tool_arguments_invalid``; and ``last_permitted`` for an answer that would
        have been escalated if anything further were permitted (``ABSTAIN``). ``certificate`` is the one with the least
        risk whose threshold an accepted probability reaches.
    """
    failed = gate(judged, finish_reason) or ("alarm" if standing.alarm else "")
    bar = threshold(route, certificates, standing, cost_at=cost_at)
    found = Verdict(action=Action.ESCALATE, reason=failed) if failed else _wish(judged, route, bar, certificates)
    if found.action is Action.ESCALATE and not more_permitted:
        return Verdict(action=Action.ABSTAIN, reason="last_permitted", threshold=found.threshold)
    return found


def _wish(judged: Confidence, route: Route, bar: Threshold, certificates: Collection[Certificate]) -> Verdict:
    """The verdict on an answer that no gate stops, if there were always something further."""
    if judged.probability is None:
        action = Action.ACCEPT if route.uncalibrated is Uncalibrated.ACCEPT else Action.ESCALATE
        return Verdict(action=action, reason=judged.status.value)
    if bar.wanted is not None and judged.probability >= bar.wanted:
        return _accepted(judged.probability, "confident", bar.wanted, certificates)
    if bar.spend_at is not None and judged.probability >= bar.spend_at:
        return _accepted(judged.probability, "spend_held", bar.spend_at, certificates)
    reason = "uncertified" if bar.wanted is None else "low_confidence"
    return Verdict(action=Action.ESCALATE, reason=reason, threshold=bar.at)


def _accepted(value: float, reason: str, at: float, certificates: Collection[Certificate]) -> Verdict:
    reached = [each for each in certificates if value >= each.threshold]
    if not reached:
        return Verdict(action=Action.ACCEPT, reason=reason, threshold=at)
    best = min(reached, key=lambda each: (each.risk_max, each.id))
    return Verdict(action=Action.ACCEPT, reason=reason, threshold=at, certificate=best.id, certified_by=best.label_kind)


def best_of(answers: Sequence[tuple[Confidence, str]]) -> int:
    """Which of several answers is given when none was good enough.

    One that fails a gate never stands before one that does not. Of two with a probability it is the likelier one;
    where one of them has none, or both are equally likely, the later one, as the route's order says.

    Args:
        answers: How sure we are of each, and what ``gate`` says of it; in the order in which they came, not empty.

    Returns:
        Its place.
    """
    best = 0
    for place in range(1, len(answers)):
        (ahead, failed), (other, other_failed) = answers[best], answers[place]
        if bool(failed) != bool(other_failed):
            best = place if failed else best
        elif ahead.probability is None or other.probability is None or other.probability >= ahead.probability:
            best = place
    return best
