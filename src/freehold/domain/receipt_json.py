"""A receipt as JSON: the stable form that is stored, served and exported."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from freehold.domain.certificates import WHOLE, LabelKind
from freehold.domain.decisions import Action, Confidence, ConfidenceStatus, Outcome, PolicyDecision, Verdict
from freehold.domain.declassified import Act, LeftOut
from freehold.domain.labels import Label, LabelSource, Level
from freehold.domain.money import Money
from freehold.domain.receipt import Attempt, Cost, Receipt, Role
from freehold.domain.response import EngineTimings, FinishReason, Usage
from freehold.domain.retrieved import Retrieved, RetrievedDocument
from freehold.domain.zones import Zone

SCHEMA = 1
_OBJECT = "freehold.receipt"

T = TypeVar("T")
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
        "cost": _money(receipt.cost),
        "counterfactual": _money(receipt.counterfactual),
        "counterfactual_model": receipt.counterfactual_model,
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
        id=_text(document, "id"),
        created_unix_ms=_integer(document, "created_unix_ms"),
        tenant=_text(document, "tenant"),
        key_id=_text(document, "key_id"),
        task=_text(document, "task"),
        model_asked=_text(document, "model_asked"),
        route=_text(document, "route"),
        stream=_flag(document, "stream"),
        label=_label_of(_object(document, "label")),
        label_sources=tuple(
            LabelSource(
                origin=_text(source, "origin"), rule=_text(source, "rule"), label=_label_of(_object(source, "label"))
            )
            for source in _objects(document, "label_sources")
        ),
        decisions=tuple(
            PolicyDecision(
                deployment=_text(decision, "deployment"),
                allowed=_flag(decision, "allowed"),
                rules=_texts(decision, "rules"),
                reasons=_texts(decision, "reasons"),
            )
            for decision in _objects(document, "decisions")
        ),
        steps=_texts(document, "steps"),
        detours=_texts(document, "detours") if "detours" in document else (),
        attempts=tuple(_attempt_of(attempt) for attempt in _objects(document, "attempts")),
        outcome=Outcome(_text(document, "outcome")),
        answered_index=_optional(_integer, document, "answered_index"),
        error_code=_text(document, "error_code"),
        counterfactual=_money_of(document, "counterfactual"),
        counterfactual_model=_text(document, "counterfactual_model"),
        total_ms=_number(document, "total_ms"),
        audit_index=_optional(_integer, document, "audit_index"),
        config_digest=_text(document, "config_digest"),
        client_request_id=_newer_text(document, "client_request_id"),
        traceparent=_newer_text(document, "traceparent"),
        audit_log=_newer_text(document, "audit_log"),
        purpose=_newer_text(document, "purpose") or "answer",
        for_request=_newer_text(document, "for_request"),
        detectors=_texts(document, "detectors") if "detectors" in document else (),
        removed=_counts_of(_object(document, "removed")) if "removed" in document else (),
        retrieved=_retrieved_of(_optional(_object, document, "retrieved")) if "retrieved" in document else None,
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
        "cost": _cost(attempt.cost),
    }


def _attempt_of(document: _Json) -> Attempt:
    finish = _optional(_text, document, "finish_reason")
    return Attempt(
        deployment=_text(document, "deployment"),
        zone=Zone(_text(document, "zone")),
        model=_text(document, "model"),
        model_digest=_text(document, "model_digest"),
        outcome=Outcome(_text(document, "outcome")),
        usage=_usage_of(_object(document, "usage")),
        confidence=_confidence_of(_optional(_object, document, "confidence")),
        verdict=_verdict_of(_optional(_object, document, "verdict")),
        finish_reason=None if finish is None else FinishReason(finish),
        timings=_timings_of(_optional(_object, document, "timings")),
        queue_ms=_number(document, "queue_ms"),
        started_ms=_number(document, "started_ms"),
        first_token_ms=_optional(_number, document, "first_token_ms"),
        ended_ms=_number(document, "ended_ms"),
        bytes_left=_integer(document, "bytes_left"),
        egress_index=_optional(_integer, document, "egress_index"),
        cost=_cost_of(_optional(_object, document, "cost")),
        error_code=_text(document, "error_code"),
        error_message=_text(document, "error_message"),
        role=Role(_newer_text(document, "role") or Role.ANSWER),
        prefix=_confidence_of(_optional(_object, document, "prefix")) if "prefix" in document else None,
        left_out=_left_out_of(_optional(_object, document, "left_out")) if "left_out" in document else None,
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
        act=Act(_text(document, "act")),
        label=_text(document, "label"),
        counts=_counts_of(_object(document, "counts")),
        answered=_counts_of(_object(document, "answered")),
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
        vault=_text(document, "vault"),
        generation=_integer(document, "generation"),
        support=_optional(_number, document, "support"),
        abstained=_flag(document, "abstained"),
        documents=tuple(
            RetrievedDocument(
                id=_text(each, "id"),
                label=_text(each, "label"),
                passages=_integer(each, "passages"),
                raised=_flag(each, "raised"),
            )
            for each in _objects(document, "documents")
        ),
        left_out=_counts_of(_object(document, "left_out")),
    )


def _usage_of(document: _Json) -> Usage:
    return Usage(
        input_tokens=_integer(document, "input_tokens"),
        output_tokens=_integer(document, "output_tokens"),
        cached_tokens=_integer(document, "cached_tokens"),
        reasoning_tokens=_integer(document, "reasoning_tokens"),
        measured=_flag(document, "measured"),
    )


def _timings_of(document: _Json | None) -> EngineTimings | None:
    if document is None:
        return None
    return EngineTimings(
        prompt_tokens=_integer(document, "prompt_tokens"),
        cached_tokens=_integer(document, "cached_tokens"),
        prompt_ms=_number(document, "prompt_ms"),
        generated_tokens=_integer(document, "generated_tokens"),
        generation_ms=_number(document, "generation_ms"),
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
    signals = _object(document, "signals")
    return Confidence(
        probability=_optional(_number, document, "probability"),
        status=ConfidenceStatus(_text(document, "status")),
        signals={name: _number(signals, name) for name in signals},
        calibrated_on=_text(document, "calibrated_on"),
        scope=_newer_text(document, "scope") or WHOLE,
    )


def _verdict_of(document: _Json | None) -> Verdict | None:
    if document is None:
        return None
    kind = _optional(_text, document, "certified_by") if "certified_by" in document else None
    return Verdict(
        action=Action(_text(document, "action")),
        reason=_text(document, "reason"),
        threshold=_optional(_number, document, "threshold"),
        certificate=_newer_text(document, "certificate"),
        certified_by=None if kind is None else LabelKind(kind),
    )


def _cost(cost: Cost | None) -> dict[str, object] | None:
    if cost is None:
        return None
    return {
        "money": _money(cost.amount),
        "energy_mwh": cost.energy_mwh,
        "source": cost.source,
        "price_version": cost.price_version,
        "effective": cost.effective,
    }


def _cost_of(document: _Json | None) -> Cost | None:
    if document is None:
        return None
    return Cost(
        amount=_money_of(document, "money"),
        energy_mwh=_optional(_integer, document, "energy_mwh"),
        source=_text(document, "source"),
        price_version=_text(document, "price_version"),
        effective=_text(document, "effective"),
    )


def _money(money: Money | None) -> dict[str, object] | None:
    if money is None:
        return None
    return {"micros": money.micros, "currency": money.currency, "amount": f"{money.amount:.6f}"}


def _money_of(document: _Json, name: str) -> Money | None:
    money = _optional(_object, document, name)
    return None if money is None else Money(micros=_integer(money, "micros"), currency=_text(money, "currency"))


def _label_of(document: _Json) -> Label:
    word = _text(document, "level")
    levels = {level.word: level for level in Level}
    if word not in levels:
        raise ValueError(f"there is no level {word!r}")
    readers = _optional(_texts, document, "readers")
    return Label(
        level=levels[word],
        kinds=frozenset(_texts(document, "kinds")),
        zones=frozenset(Zone(zone) for zone in _texts(document, "zones")),
        readers=None if readers is None else frozenset(readers),
        trusted=_flag(document, "trusted"),
    )


def _counts_of(document: _Json) -> tuple[tuple[str, int], ...]:
    return tuple((name, _integer(document, name)) for name in sorted(document))


def _iso(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- members by type -----------------------------------------------------------------------------


def _member(document: _Json, name: str, *kinds: type) -> Any:
    if name not in document:
        raise ValueError(f"the receipt lacks {name!r}")
    value = document[name]
    # A boolean is an int for Python, but not for JSON.
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ValueError(f"{name!r} of the receipt is of a wrong type: {type(value).__name__}")
    return value


def _text(document: _Json, name: str) -> str:
    return _member(document, name, str)


def _newer_text(document: _Json, name: str) -> str:
    """A member that receipts of earlier versions lack."""
    return _text(document, name) if name in document else ""


def _integer(document: _Json, name: str) -> int:
    return _member(document, name, int)


def _number(document: _Json, name: str) -> float:
    return float(_member(document, name, int, float))


def _flag(document: _Json, name: str) -> bool:
    return _member(document, name, bool)


def _object(document: _Json, name: str) -> _Json:
    return _member(document, name, dict)


def _objects(document: _Json, name: str) -> list[_Json]:
    found: list[Any] = _member(document, name, list)
    return [_object({name: value}, name) for value in found]


def _texts(document: _Json, name: str) -> tuple[str, ...]:
    found: list[Any] = _member(document, name, list)
    return tuple(_text({name: value}, name) for value in found)


def _optional(read: Callable[[_Json, str], T], document: _Json, name: str) -> T | None:
    return None if name in document and document[name] is None else read(document, name)
