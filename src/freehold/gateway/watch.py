"""Watches certificates by the labels of accepted answers. Pure: certificates and labels in, alarms out.

There is one watch for each tenant, workload and deployment. It bets against the certificate in force there
(``routing.betting``); once it has won it stays at alarm until the deployment is certified anew, or is another one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from freehold.domain.certificates import Certificate, Fault, LabelKind, ScoredOn
from freehold.domain.outcomes import AnswerOutcome
from freehold.routing import novelty
from freehold.routing.betting import NOTHING_BET, Bets, Wealth, alarm, settle
from freehold.routing.ladder import DELTA_MAX
from freehold.routing.novelty import EMPTY, WINDOW, Reference, Window, judge, reference, seen
from freehold.storage.certificates import Place, SqliteCertificates

log = logging.getLogger("freehold.gateway")

UNKNOWN = Reference()
"""Where nobody knows what the answers were like that were certified on."""

_LAG_MS = 60_000
"""Answers may be accepted for so long after an alarm: by processes that have not heard of it, or begun before."""

_WORTH = {LabelKind.GOLD: 3, LabelKind.FEEDBACK: 2, LabelKind.AGREEMENT: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How one stands.

    Attributes:
        certificate: What is bet against.
        wealth: What was won.
        known: What the answers were like that it was certified on.
        window: What later answers are like.
        alarm: Why nothing is accepted; empty while there is no alarm.
        alarm_unix_ms: Since when.
        fresh_unix_ms: Answers from then on may be certified on.
        delta: What was asked for when ``certificate`` was made, however often it was tried; 0 where that is its own.
    """

    certificate: Certificate
    wealth: Wealth = NOTHING_BET
    known: Reference = UNKNOWN
    window: Window = EMPTY
    alarm: str = ""
    alarm_unix_ms: int = 0
    fresh_unix_ms: int = 0
    delta: float = 0.0


def new_watch(certificate: Certificate, scores: Sequence[float], *, delta: float = 0.0) -> Watch:
    """The watch of a certificate that was just made from answers of these probabilities, with ``delta`` asked for."""
    return Watch(certificate=certificate, known=reference(scores), delta=delta)


def is_of_same(one: ScoredOn, other: ScoredOn) -> bool:
    """Whether two scores are of the same model, engine and template, and so say something of the same answers."""
    return replace(one, calibration="", scope="") == replace(other, calibration="", scope="")


def in_force_for(
    certificates: Iterable[Certificate], *, tenant: str, scored_on: ScoredOn, unix_ms: int
) -> Certificate | None:
    """The certificate that a tenant's answers of that score are accepted on.

    One that counts regret alone, or is not sure enough, is none. Its own comes before everybody's; known answers before
    feedback before agreement; the newest of equals.
    """
    found = [
        each
        for each in certificates
        if each.scored_on == scored_on
        and each.tenant in {tenant, ""}
        and each.fault is Fault.WRONG
        and each.delta <= DELTA_MAX
        and unix_ms < each.expires_unix_ms
    ]
    return max(found, key=lambda each: (bool(each.tenant), _WORTH[each.label_kind], each.created_unix_ms), default=None)


def advance(
    watches: Mapping[Place, Watch],
    outcomes: Sequence[AnswerOutcome],
    certificates: Sequence[Certificate],
    *,
    run_length: float,
    unix_ms: int,
) -> dict[Place, Watch]:
    """The watches that further labels have changed.

    Args:
        watches: As they are.
        outcomes: Labelled since, in the order of their labels. What was not accepted says nothing of a certificate,
            and neither do questions that were chosen for their known answers.
        certificates: All that may be in force.
        run_length: Labels until a false alarm, in the mean.
        unix_ms: Now.
    """
    changed: dict[Place, Watch] = {}
    for outcome in outcomes:
        if not outcome.accepted or outcome.right is None or _is_chosen(outcome):
            continue
        place = outcome.tenant, outcome.scored_on.workload, outcome.deployment
        known = changed.get(place) or watches.get(place)
        certificate = in_force_for(
            certificates, tenant=outcome.tenant, scored_on=outcome.scored_on, unix_ms=outcome.unix_ms
        )
        if certificate is None or (known is not None and _stays(known, outcome)):
            continue
        if known is None or not _goes_on(known, certificate, certificates, unix_ms=outcome.unix_ms):
            known = Watch(certificate=certificate)
        if outcome.unix_ms < certificate.created_unix_ms:
            continue  # it was certified on that
        if outcome.probability is None or outcome.probability < certificate.threshold:
            continue  # accepted by a laxer threshold than the certificate's, which says nothing of it
        bets = Bets.against(certificate.risk_max, run_length=run_length)
        wealth = settle(known.wealth, bets, [not outcome.right])
        known = replace(known, wealth=wealth)
        if told := alarm(wealth, bets):
            if known.certificate.id != certificate.id:
                known = replace(known, certificate=certificate, known=UNKNOWN, window=EMPTY, delta=0.0)
            known = replace(known, alarm=told, alarm_unix_ms=unix_ms, fresh_unix_ms=unix_ms)
        changed[place] = known
    return changed


def _is_chosen(outcome: AnswerOutcome) -> bool:
    """Whether its question was chosen for its known answer (``gateway.learning``), so that its label was certain.

    An answer of the traffic that a client held against what it knows is of the traffic still.
    """
    return outcome.label_kind is LabelKind.GOLD and outcome.sought >= 1.0


def _stays(known: Watch, outcome: AnswerOutcome) -> bool:
    """Whether an alarm stays, whatever this label says.

    While it lasts nothing is accepted there: an answer that was, and later, is of something else that was put there.
    One of before has only its label from after, however it was scored.
    """
    if not known.alarm:
        return False
    return known.certificate.scored_on == outcome.scored_on or outcome.unix_ms <= known.alarm_unix_ms + _LAG_MS


def _goes_on(known: Watch, certificate: Certificate, certificates: Iterable[Certificate], *, unix_ms: int) -> bool:
    """Whether a label of what ``certificate`` promises counts in a watch that there is.

    A deployment may have several promises at once, as of whole answers and of first tokens. They are bet against
    together: while all are kept the product of such bets wins no more than each of them (``routing.betting``).
    """
    if known.certificate.id == certificate.id:
        return True
    before, now = known.certificate.scored_on, certificate.scored_on
    return (
        not known.alarm
        and before != now
        and is_of_same(before, now)
        and unix_ms < known.certificate.expires_unix_ms
        and any(each.id == known.certificate.id for each in certificates)
    )


def look_at(watches: Mapping[Place, Watch], outcomes: Sequence[AnswerOutcome], *, unix_ms: int) -> dict[Place, Watch]:
    """The watches that further answers have changed, whether these are labelled or not.

    Answers that are unlike those certified on raise an alarm: they need not be worse, but nobody knows.

    Args:
        watches: As they are.
        outcomes: Answered since, in order. Questions that were chosen for their known answers are no traffic.
        unix_ms: Now.
    """
    changed: dict[Place, Watch] = {}
    for outcome in outcomes:
        place = outcome.tenant, outcome.scored_on.workload, outcome.deployment
        watch = changed.get(place) or watches.get(place)
        if watch is None or watch.alarm or not watch.known.counts or _is_chosen(outcome):
            continue
        if outcome.probability is None or outcome.scored_on != watch.certificate.scored_on:
            continue
        watch = replace(watch, window=seen(watch.window, watch.known, score=outcome.probability))
        if watch.window.answers >= WINDOW:
            told = judge(watch.window, watch.known).alarm
            watch = replace(watch, window=EMPTY)
            if told:
                watch = replace(watch, alarm=told, alarm_unix_ms=unix_ms, fresh_unix_ms=unix_ms)
        changed[place] = watch
    return changed


def watch_to_json(watch: Watch) -> str:
    """The watch as one line of JSON."""
    known, window = novelty.to_json(watch.known), novelty.to_json(watch.window)
    return json.dumps(asdict(watch) | {"known": known, "window": window}, separators=(",", ":"))


def watch_from_json(text: str) -> Watch:
    """The watch that ``watch_to_json`` wrote.

    Raises:
        ValueError: It is none.
    """
    try:
        members: dict[str, Any] = json.loads(text)
        certificate = members.pop("certificate")
        scored_on = ScoredOn(**certificate.pop("scored_on"))
        known = novelty.reference_from_json(members.pop("known"))
        window = novelty.window_from_json(members.pop("window"), known)
        kind, fault = LabelKind(certificate.pop("label_kind")), Fault(certificate.pop("fault"))
        return Watch(
            certificate=Certificate(scored_on=scored_on, label_kind=kind, fault=fault, **certificate),
            wealth=Wealth(**members.pop("wealth")),
            known=known,
            window=window,
            **members,
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"this is no watch: {error}") from error


async def read_watches(store: SqliteCertificates) -> dict[Place, Watch]:
    """All watches that there are; one that cannot be read begins anew.

    Raises:
        StorageFailed: The database cannot be read.
    """
    found: dict[Place, Watch] = {}
    for place, document in (await store.watches()).items():
        try:
            found[place] = watch_from_json(document)
        except ValueError as error:
            log.warning("the watch of %s begins anew: %s", " ".join(place), error)
    return found
