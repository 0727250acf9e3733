"""A receipt as JSON: the stable form that is stored, served and exported."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from freehold.domain.certificates import WHOLE, LabelKind
from freehold.domain.decisions import Action, Confidence, ConfidenceStatus, Outcome, PolicyDecision, Verdict
from freehold.domain.declassified import Act, LeftOut
from freehold.domain.json_members import (
    flag,
    integer,
    member_object,
    newer_text,
    number,
    objects,
    optional,
    text,
    texts,
)
from freehold.domain.labels import Label, LabelSource, Level
from freehold.domain.receipt import Attempt, Receipt, Role
from freehold.domain.receipt_money import (
    cost_document,
    cost_of,
    list_price_document,
    list_price_of,
    money_document,
    money_of,
)
from freehold.domain.response import EngineTimings, FinishReason, Usage
from freehold.domain.retrieved import Retrieved, RetrievedDocument
from freehold.domain.zones import Zone

SCHEMA = 1
_OBJECT = "freehold.receipt"

_Json = Mapping[str, Any]


def receipt_to_json(receipt: Receipt) -> str:
    """``receipt_document`` as one line of ASCII: no character of it can end a line or an event for any reader."""
    return json.dumps(receipt_document(receipt), separators=(",", ":"))


def receipt_document(receipt: Receipt) -> dict[str, object]:
    """The receipt as JSON-ready values, in the order in which people read it.

    Money appears as exact ``micros`` and as a readable ``amount``; unknown amounts are ``null``, never 0. Sets are
    sorted, so that equal receipts have equal documents. Values that follow from others (``created``, ``answered_by``,
    ``bytes_left``, ``cost``) are there for readers; ``receipt_from_document`` derives them anew.
    """
    answered = receipt.answered_by
    return {
        "object": _OBJECT,
        "schema": SCHEMA,
        "id": receipt.id,
        "created": _iso(receipt.created_unix_ms),
        "created_unix_ms": receipt.created_unix_ms,
        "outcome": receipt.outcome.value,
        "error_code": receipt.error_code,
        "tenant": receipt.tenant,
        "key_id": receipt.key_id,
        "task": receipt.task,
        "model_asked": receipt.model_asked,
        "route": receipt.route,
        "stream": receipt.stream,
        "answered_by": answered.deployment if answered else None,
        "answered_index": receipt.answered_index,
        "bytes_left": receipt.bytes_left,
        "cost": money_document(receipt.cost),
        "counterfactual": money_document(receipt.counterfactual),
        "counterfactual_model": receipt.counterfactual_model,
        "counterfactual_price": list_price_document(receipt.counterfactual_price),
        "total_ms": receipt.total_ms,
        "label": label_document(receipt.label),
        "label_sources": [
            {"origin": source.origin, "rule": source.rule, "label": label_document(source.label)}
            for source in receipt.label_sources
        ],
        "decisions": [
            {
                "deployment": decision.deployment,
                "allowed": decision.allowed,
                "rules": list(decision.rules),
                "reasons": list(decision.reasons),
            }
            for decision in receipt.decisions
        ],
        "steps": list(receipt.steps),
        "detours": list(receipt.detours),
        "detectors": list(receipt.detectors),
        "removed": dict(receipt.removed),
        "retrieved": _retrieved(receipt.retrieved),
        "attempts": [_attempt(attempt) for attempt in receipt.attempts],
        "audit_index": receipt.audit_index,
        "audit_log": receipt.audit_log,
        "config_digest": receipt.config_digest,
        "client_request_id": receipt.client_request_id,
        "traceparent": receipt.traceparent,
        "purpose": receipt.purpose,
        "for_request": receipt.for_request,
    }


def label_document(label: Label) -> dict[str, object]:
    """A label as JSON-ready values; ``readers`` is ``null`` where everybody may read."""
    return {
        "level": label.level.word,
        "kinds": sorted(label.kinds),
        "zones": sorted(label.zones),
        "readers": None if label.readers is None else sorted(label.readers),
        "trusted": label.trusted,
    }


def receipt_from_json(text: str | bytes) -> Receipt:
    """The receipt that ``receipt_to_json`` wrote.

    Raises:
        ValueError: It is not JSON, of another schema, or a member is missing or has a wrong type.
    """
    return receipt_from_document(json.loads(text))


def receipt_from_document(document: _Json) -> Receipt:
    """The receipt of a document that ``receipt_document`` made.

    Raises:
        ValueError: It is of another schema, or a member is missing or has a wrong type.
    """
    if document.get("object") != _OBJECT or document.get("schema") != SCHEMA:
        raise ValueError(f"this is not a {_OBJECT} of schema {SCHEMA}")
    return Receipt(
        id=text(document, "id"),
        created_unix_ms=integer(document, "created_unix_ms"),
        tenant=text(document, "tenant"),
        key_id=text(document, "key_id"),
        task=text(document, "task"),
        model_asked=text(document, "model_asked"),
        route=text(document, "route"),
        stream=flag(document, "stream"),
        label=_label_of(member_object(document, "label")),
        label_sources=tuple(
            LabelSource(
                origin=text(source, "origin"),
                rule=text(source, "rule"),
                label=_label_of(member_object(source, "label")),
            )
            for source in objects(document, "label_sources")
        ),
        decisions=tuple(
            PolicyDecision(
                deployment=text(decision, "deployment"),
                allowed=flag(decision, "allowed"),
                rules=texts(decision, "rules"),
                reasons=texts(decision, "reasons"),
            )
            for decision in objects(document, "decisions")
        ),
        steps=texts(document, "steps"),
        detours=texts(document, "detours") if "detours" in document else (),
        attempts=tuple(_attempt_of(attempt) for attempt in objects(document, "attempts")),
        outcome=Outcome(text(document, "outcome")),
        answered_index=optional(integer, document, "answered_index"),
        error_code=text(document, "error_code"),
        counterfactual=money_of(document, "counterfactual"),
        counterfactual_model=text(document, "counterfactual_model"),
        counterfactual_price=list_price_of(document.get("counterfactual_price")),
        total_ms=number(document, "total_ms"),
        audit_index=optional(integer, document, "audit_index"),
        config_digest=text(document, "config_digest"),
        client_request_id=newer_text(document, "client_request_id"),
        traceparent=newer_text(document, "traceparent"),
        audit_log=newer_text(document, "audit_log"),
        purpose=newer_text(document, "purpose") or "answer",
        for_request=newer_text(document, "for_request"),
        detectors=texts(document, "detectors") if "detectors" in document else (),
        removed=_counts_of(member_object(document, "removed")) if "removed" in document else (),
        retrieved=_retrieved_of(optional(member_object, document, "retrieved")) if "retrieved" in document else None,
    )


# --- parts ---------------------------------------------------------------------------------------


def _attempt(attempt: Attempt) -> dict[str, object]:
    usage, timings, verdict = attempt.usage, attempt.timings, attempt.verdict
    return {
        "deployment": attempt.deployment,
        "role": attempt.role.value,
        "zone": attempt.zone,
        "model": attempt.model,
        "model_digest": attempt.model_digest,
        "outcome": attempt.outcome.value,
        "finish_reason": attempt.finish_reason.value if attempt.finish_reason else None,
        "error_code": attempt.error_code,
        "error_message": attempt.error_message,
        "confidence": _confidence(attempt.confidence),
        "prefix": _confidence(attempt.prefix),
        "verdict": verdict
        and {
            "action": verdict.action.value,
            "reason": verdict.reason,
            "threshold": verdict.threshold,
            "certificate": verdict.certificate,
            "certified_by": verdict.certified_by and verdict.certified_by.value,
        },
        "usage": {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cached_tokens": usage.cached_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "measured": usage.measured,
        },
        "timings": timings
        and {
            "prompt_tokens": timings.prompt_tokens,
            "cached_tokens": timings.cached_tokens,
            "prompt_ms": timings.prompt_ms,
            "generated_tokens": timings.generated_tokens,
            "generation_ms": timings.generation_ms,
        },
        "queue_ms": attempt.queue_ms,
        "started_ms": attempt.started_ms,
        "first_token_ms": attempt.first_token_ms,
        "ended_ms": attempt.ended_ms,
        "bytes_left": attempt.bytes_left,
        "left_out": _left_out(attempt.left_out),
        "egress_index": attempt.egress_index,
        "cost": cost_document(attempt.cost),
    }


def _attempt_of(document: _Json) -> Attempt:
    finish = optional(text, document, "finish_reason")
    return Attempt(
        deployment=text(document, "deployment"),
        zone=Zone(text(document, "zone")),
        model=text(document, "model"),
        model_digest=text(document, "model_digest"),
        outcome=Outcome(text(document, "outcome")),
        usage=_usage_of(member_object(document, "usage")),
        confidence=_confidence_of(optional(member_object, document, "confidence")),
        verdict=_verdict_of(optional(member_object, document, "verdict")),
        finish_reason=None if finish is None else FinishReason(finish),
        timings=_timings_of(optional(member_object, document, "timings")),
        queue_ms=number(document, "queue_ms"),
        started_ms=number(document, "started_ms"),
        first_token_ms=optional(number, document, "first_token_ms"),
        ended_ms=number(document, "ended_ms"),
        bytes_left=integer(document, "bytes_left"),
        egress_index=optional(integer, document, "egress_index"),
        cost=cost_of(optional(member_object, document, "cost")),
        error_code=text(document, "error_code"),
        error_message=text(document, "error_message"),
        role=Role(newer_text(document, "role") or Role.ANSWER),
        prefix=_confidence_of(optional(member_object, document, "prefix")) if "prefix" in document else None,
        left_out=_left_out_of(optional(member_object, document, "left_out")) if "left_out" in document else None,
    )


def _left_out(left_out: LeftOut | None) -> dict[str, object] | None:
    if left_out is None:
        return None
    return {
        "act": left_out.act.value,
        "label": left_out.label,
        "counts": dict(left_out.counts),
        "answered": dict(left_out.answered),
    }


def _left_out_of(document: _Json | None) -> LeftOut | None:
    if document is None:
        return None
    return LeftOut(
        act=Act(text(document, "act")),
        label=text(document, "label"),
        counts=_counts_of(member_object(document, "counts")),
        answered=_counts_of(member_object(document, "answered")),
    )


def _retrieved(retrieved: Retrieved | None) -> dict[str, object] | None:
    if retrieved is None:
        return None
    return {
        "vault": retrieved.vault,
        "generation": retrieved.generation,
        "support": retrieved.support,
        "abstained": retrieved.abstained,
        "documents": [
            {"id": each.id, "label": each.label, "passages": each.passages, "raised": each.raised}
            for each in retrieved.documents
        ],
        "left_out": dict(retrieved.left_out),
    }


def _retrieved_of(document: _Json | None) -> Retrieved | None:
    if document is None:
        return None
    return Retrieved(
        vault=text(document, "vault"),
        generation=integer(document, "generation"),
        support=optional(number, document, "support"),
        abstained=flag(document, "abstained"),
        documents=tuple(
            RetrievedDocument(
                id=text(each, "id"),
                label=text(each, "label"),
                passages=integer(each, "passages"),
                raised=flag(each, "raised"),
            )
            for each in objects(document, "documents")
        ),
        left_out=_counts_of(member_object(document, "left_out")),
    )


def _usage_of(document: _Json) -> Usage:
    return Usage(
        input_tokens=integer(document, "input_tokens"),
        output_tokens=integer(document, "output_tokens"),
        cached_tokens=integer(document, "cached_tokens"),
        reasoning_tokens=integer(document, "reasoning_tokens"),
        measured=flag(document, "measured"),
    )


def _timings_of(document: _Json | None) -> EngineTimings | None:
    if document is None:
        return None
    return EngineTimings(
        prompt_tokens=integer(document, "prompt_tokens"),
        cached_tokens=integer(document, "cached_tokens"),
        prompt_ms=number(document, "prompt_ms"),
        generated_tokens=integer(document, "generated_tokens"),
        generation_ms=number(document, "generation_ms"),
    )


def _confidence(confidence: Confidence | None) -> dict[str, object] | None:
    if confidence is None:
        return None
    return {
        "probability": confidence.probability,
        "status": confidence.status.value,
        "calibrated_on": confidence.calibrated_on,
        "scope": confidence.scope,
        # JSON has no infinity and no NaN; a signal without a value says nothing.
        "signals": {name: value for name, value in sorted(confidence.signals.items()) if math.isfinite(value)},
    }


def _confidence_of(document: _Json | None) -> Confidence | None:
    if document is None:
        return None
    signals = member_object(document, "signals")
    return Confidence(
        probability=optional(number, document, "probability"),
        status=ConfidenceStatus(text(document, "status")),
        signals={name: number(signals, name) for name in signals},
        calibrated_on=text(document, "calibrated_on"),
        scope=newer_text(document, "scope") or WHOLE,
    )


def _verdict_of(document: _Json | None) -> Verdict | None:
    if document is None:
        return None
    kind = optional(text, document, "certified_by") if "certified_by" in document else None
    return Verdict(
        action=Action(text(document, "action")),
        reason=text(document, "reason"),
        threshold=optional(number, document, "threshold"),
        certificate=newer_text(document, "certificate"),
        certified_by=None if kind is None else LabelKind(kind),
    )


def _label_of(document: _Json) -> Label:
    word = text(document, "level")
    levels = {level.word: level for level in Level}
    if word not in levels:
        raise ValueError(f"there is no level {word!r}")
    readers = optional(texts, document, "readers")
    return Label(
        level=levels[word],
        kinds=frozenset(texts(document, "kinds")),
        zones=frozenset(Zone(zone) for zone in texts(document, "zones")),
        readers=None if readers is None else frozenset(readers),
        trusted=flag(document, "trusted"),
    )


def _counts_of(document: _Json) -> tuple[tuple[str, int], ...]:
    return tuple((name, integer(document, name)) for name in sorted(document))


def _iso(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
