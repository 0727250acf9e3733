"""Outcomes, certificates and standings as JSON-ready values, for views and for commands alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from freehold.domain.certificates import Certificate, ScoredOn
from freehold.domain.outcomes import AnswerOutcome
from freehold.gateway.certifier import Certified
from freehold.gateway.watch import Watch, in_force_for
from freehold.routing.betting import Bets, expected_labels
from freehold.routing.certificate import statement
from freehold.routing.sampling import newest_scoring
from freehold.storage.certificates import Place, certificate_document
from freehold.storage.outcomes import Counted, SqliteOutcomes

_NEWEST = 100
"""Outcomes that are looked at for a calibrated one; where none of them is, nothing is certified now."""


def outcome_document(outcome: AnswerOutcome) -> dict[str, object]:
    """An outcome without its question's vector."""
    return {
        "object": "outcome",
        "request_id": outcome.request_id,
        "response_id": outcome.response_id,
        "tenant": outcome.tenant,
        "label": outcome.label,
        "unix_ms": outcome.unix_ms,
        "route": outcome.route,
        "deployment": outcome.deployment,
        "workload": outcome.scored_on.workload,
        "scope": outcome.scored_on.scope,
        "model_digest": outcome.scored_on.model_digest,
        "calibration": outcome.scored_on.calibration,
        "signals": dict(outcome.signals),
        "probability": outcome.probability,
        "threshold": outcome.threshold,
        "accepted": outcome.accepted,
        "answered": outcome.answered,
        "right": outcome.right,
        "label_kind": outcome.label_kind,
        "judged_by": outcome.judged_by,
        "sought": outcome.sought,
        "input_tokens": outcome.input_tokens,
        "output_tokens": outcome.output_tokens,
        "cost_micros": outcome.cost_micros,
        "latency_ms": round(outcome.latency_ms, 3),
    }


def certified_document(done: Certified, *, risk_max: float) -> dict[str, object]:
    """What became of certifying one deployment."""
    least = done.sample.least_of(risk_max)
    made = done.found if isinstance(done.found, Certificate) else None
    return {
        "object": "certification",
        "tenant": done.tenant,
        "workload": done.workload,
        "deployment": done.deployment,
        "labels": done.sample.kind,
        "n": len(done.sample.wrong),
        "errors": sum(done.sample.wrong),
        "least_escalated": None
        if least is None
        else {"value": round(least.value, 4), "low": round(least.low, 4), "high": round(least.high, 4)},
        "certificate": None if made is None else certificate_document(made),
        "says": statement(done.found) if isinstance(done.found, Certificate) else done.found.message,
        "reason": "" if isinstance(done.found, Certificate) else done.found.reason,
    }


async def newest_scorings(outcomes: SqliteOutcomes, counted: Sequence[Counted]) -> dict[Place, ScoredOn]:
    """What the newest calibrated score of each place means.

    Raises:
        StorageFailed: They cannot be read.
    """
    found: dict[Place, ScoredOn] = {}
    for each in counted:
        newest = await outcomes.read(
            tenant=each.tenant, workload=each.workload, deployment=each.deployment, most=_NEWEST
        )
        if (scored_on := newest_scoring(newest)) is not None:
            found[each.tenant, each.workload, each.deployment] = scored_on
    return found


def standing_documents(
    counted: Sequence[Counted],
    certificates: Sequence[Certificate],
    watches: Mapping[Place, Watch],
    *,
    scorings: Mapping[Place, ScoredOn],
    shadow_shares: Mapping[tuple[str, str], float],
    run_length: float,
    unix_ms: int,
    tenant: str | None = None,
) -> list[dict[str, object]]:
    """How each deployment stands, by tenant and workload. Takes a second for the first certificate of a risk.

    Args:
        counted: Outcomes that there are.
        certificates: All of them, those of files too; one that has expired is left out.
        watches: By place.
        scorings: What scores mean, where nothing is watched yet.
        shadow_shares: By workload and deployment, for expected delays.
        run_length: Labels until a false alarm, in the mean.
        unix_ms: Now.
        tenant: Only this one's; ``None`` for all.
    """
    counts = {(each.tenant, each.workload, each.deployment): each for each in counted}
    found: list[dict[str, object]] = []
    for place in sorted({*counts, *watches}):
        if tenant is not None and place[0] != tenant:
            continue
        count, watch = counts.get(place), watches.get(place)
        certificate = _of(place, certificates, watch, scorings.get(place), unix_ms)
        share = shadow_shares.get((place[1], place[2]), 0.0)
        found.append(
            {
                "object": "standing",
                "tenant": place[0],
                "workload": place[1],
                "deployment": place[2],
                "outcomes": 0 if count is None else count.outcomes,
                "labelled": 0 if count is None else count.labelled,
                "accepted": 0 if count is None else count.accepted,
                "certificate": None if certificate is None else certificate_document(certificate),
                "says": "" if certificate is None else statement(certificate),
                "watched": None
                if watch is None
                else {"labels": watch.wealth.labels, "wrong": watch.wealth.wrong, "since_unix_ms": watch.fresh_unix_ms},
                "alarm": "" if watch is None else watch.alarm,
                "alarm_unix_ms": None if watch is None or not watch.alarm else watch.alarm_unix_ms,
                "expected_delay": None
                if certificate is None
                else _delay(certificate, run_length, share, 0.0 if count is None else count.accepted / count.outcomes),
            }
        )
    return found


def _of(
    place: Place,
    certificates: Sequence[Certificate],
    watch: Watch | None,
    newest: ScoredOn | None,
    unix_ms: int,
) -> Certificate | None:
    """The certificate that a place is watched by, or that holds for its newest answers; ``None`` at an alarm."""
    if watch is not None and watch.alarm:
        return None
    scored_on = newest if watch is None else watch.certificate.scored_on
    if scored_on is None:
        return None
    return in_force_for(certificates, tenant=place[0], scored_on=scored_on, unix_ms=unix_ms)


def _delay(certificate: Certificate, run_length: float, share: float, accepted: float) -> dict[str, object]:
    """How long a breach would last until it is noticed, were twice as many wrong as promised."""
    risk = round(min(2.0 * certificate.risk_max, (1.0 + certificate.risk_max) / 2.0), 4)
    labels = _labels(certificate.risk_max, run_length, risk)
    seen = share * accepted
    return {"risk": risk, "labels": round(labels), "requests": round(labels / seen) if seen else None}


@lru_cache(64)
def _labels(risk_max: float, run_length: float, risk: float) -> float:
    return expected_labels(Bets.against(risk_max, run_length=run_length), risk)
