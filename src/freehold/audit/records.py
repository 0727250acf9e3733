"""What is recorded of what: counts, names and rule ids. Never the text of a prompt or an answer.

Not even what a client sent as ``model`` is recorded, since anybody may write anything there.
"""

from __future__ import annotations

from freehold.domain.decisions import PolicyDecision
from freehold.domain.labels import Label
from freehold.domain.receipt import Attempt, AuditRecord, Receipt

REQUEST = "request"


def request_record(receipt: Receipt) -> AuditRecord:
    """One request: who, how sensitive and why, what policy said, where it ran, how it ended."""
    cost = receipt.cost
    return AuditRecord(
        event=REQUEST,
        unix_ms=receipt.created_unix_ms,
        tenant=receipt.tenant,
        request_id=receipt.id,
        detail={
            "key": receipt.key_id,
            "task": receipt.task,
            "route": receipt.route,
            "stream": receipt.stream,
            "label": label_detail(receipt.label),
            "label_rules": [source.rule for source in receipt.label_sources],
            "decisions": [_decision(decision) for decision in receipt.decisions],
            "attempts": [_attempt(attempt) for attempt in receipt.attempts],
            "outcome": receipt.outcome.value,
            "error": receipt.error_code,
            "bytes_left": receipt.bytes_left,
            "cost_micros": None if cost is None else cost.micros,
            "currency": None if cost is None else cost.currency,
            "total_ms": round(receipt.total_ms),
            "config": receipt.config_digest,
        },
    )


def policy_change_record(*, unix_ms: int, tenant: str, before: str, after: str, source: str) -> AuditRecord:
    """The configuration that decides was replaced: digests before and after, and what replaced it."""
    detail: dict[str, object] = {"before": before, "after": after, "source": source}
    return AuditRecord(event="policy.change", unix_ms=unix_ms, tenant=tenant, detail=detail)


def label_detail(label: Label) -> dict[str, object]:
    """A label in full."""
    return {
        "level": label.level.word,
        "kinds": sorted(label.kinds),
        "zones": sorted(label.zones),
        "readers": None if label.readers is None else sorted(label.readers),
        "trusted": label.trusted,
    }


def _decision(decision: PolicyDecision) -> dict[str, object]:
    return {"deployment": decision.deployment, "allowed": decision.allowed, "rules": list(decision.rules)}


def _attempt(attempt: Attempt) -> dict[str, object]:
    return {
        "deployment": attempt.deployment,
        "zone": attempt.zone,
        "model": attempt.model,
        "digest": attempt.model_digest,
        "outcome": attempt.outcome.value,
        "verdict": None if attempt.verdict is None else attempt.verdict.action.value,
        "reason": None if attempt.verdict is None else attempt.verdict.reason,
        "input_tokens": attempt.usage.input_tokens,
        "output_tokens": attempt.usage.output_tokens,
        "measured": attempt.usage.measured,
        "bytes_left": attempt.bytes_left,
        "egress": attempt.egress_index,
        "error": attempt.error_code,
    }
