"""A user's own outcomes as tables. Texts are not in them: a question is known by its id, and by its vector's digest."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha1

from freehold.domain.certificates import LabelKind
from freehold.domain.errors.replay import NothingToReplay
from freehold.domain.judging_ports import OutcomeStore
from freehold.domain.outcomes import AnswerOutcome
from freehold.evals.replay.schema import LOG_FLOOR, Query, Recorded, Tables

OWN = "own"
LIVE = "live"
"""The split of what was asked in earnest."""

NOTHING_KEPT = "no outcomes are kept yet; routes of several deployments that measure answers leave them"

_ALL = 1 << 40
_CONFIDENCE = "logprob_mean"
_MICROS = 1_000_000


async def own_tables(store: OutcomeStore, *, tenant: str = "", workload: str = "") -> Tables:
    """All outcomes that a house keeps, as tables.

    Args:
        store: Where they are.
        tenant: Only this tenant's; everybody's if not given.
        workload: Only of this workload; of all if not given.

    Raises:
        NothingToReplay: None are kept.
        StorageFailed: They cannot be read.
    """
    outcomes = await store.read(tenant=tenant, workload=workload, most=_ALL)
    if not outcomes:
        raise NothingToReplay(reason=NOTHING_KEPT)
    return tables_of(outcomes)


def tables_of(outcomes: Iterable[AnswerOutcome], *, name: str = OWN) -> Tables:
    """Both tables, in the order in which requests come up.

    Where an answer was held against another deployment's, that one counts as right, unless more is known of it. A
    request that was answered in several workloads is of the first one's.
    """
    asked: dict[str, dict[str, AnswerOutcome]] = {}
    for outcome in outcomes:
        asked.setdefault(outcome.request_id, {})[outcome.deployment] = outcome
    queries: list[Query] = []
    recorded: list[Recorded] = []
    for answers in asked.values():
        of_request = list(answers.values())
        queries.append(_query(of_request[0]))
        recorded += _with_judges([_recorded(each) for each in of_request])
    return Tables(name=name, queries=queries, outcomes=recorded)


def _query(outcome: AnswerOutcome) -> Query:
    extra: dict[str, object] = {
        "tenant": outcome.tenant,
        "label": outcome.label,
        "unix_ms": outcome.unix_ms,
        "route": outcome.route,
    }
    if outcome.question:
        extra |= {"vector": list(outcome.question), "vector_model": outcome.question_model}
    return Query(
        qid=outcome.request_id,
        benchmark=outcome.scored_on.workload,
        source="freehold",
        split=LIVE,
        phash=_digest(outcome.question),
        extra=extra,
    )


def _digest(vector: Sequence[float]) -> str:
    if not vector:
        return ""
    return sha1(struct.pack(f"<{len(vector)}f", *vector), usedforsecurity=False).hexdigest()[:16]


def _recorded(outcome: AnswerOutcome) -> Recorded:
    confidence = outcome.signals.get(_CONFIDENCE)
    made = outcome.scored_on
    return Recorded(
        qid=outcome.request_id,
        model=outcome.deployment,
        correct=None if outcome.right is None else float(outcome.right),
        cost_usd=None if outcome.cost_micros is None else outcome.cost_micros / _MICROS,
        in_tok=float(outcome.input_tokens),
        out_tok=float(outcome.output_tokens),
        latency_ms=outcome.latency_ms,
        conf_kind="" if confidence is None else _CONFIDENCE,
        conf=None if confidence is None else min(max(confidence, LOG_FLOOR), 0.0),
        probability=outcome.probability,
        threshold=outcome.threshold,
        accepted=outcome.accepted,
        label_kind="" if outcome.label_kind is None else outcome.label_kind.value,
        judged_by=outcome.judged_by,
        sought=outcome.sought,
        signals=dict(outcome.signals),
        extra={
            "model_digest": made.model_digest,
            "engine": made.engine,
            "engine_version": made.engine_version,
            "template_digest": made.template_digest,
            "calibration": made.calibration,
            "scope": made.scope,
        },
    )


def _with_judges(answers: Sequence[Recorded]) -> list[Recorded]:
    judges = {each.judged_by: each for each in answers if each.label_kind == LabelKind.AGREEMENT and each.judged_by}
    found = [
        replace(each, correct=1.0, label_kind=LabelKind.AGREEMENT.value, sought=judges[each.model].sought)
        if each.correct is None and each.model in judges
        else each
        for each in answers
    ]
    there = {each.model for each in answers}
    return found + [
        Recorded(qid=judged.qid, model=judge, correct=1.0, label_kind=LabelKind.AGREEMENT.value, sought=judged.sought)
        for judge, judged in judges.items()
        if judge not in there
    ]
