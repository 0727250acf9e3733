"""What is recorded of declassifiers: which, from which label to which, and how much; never what."""

from __future__ import annotations

from collections.abc import Mapping

from freehold.domain.declassified import Declassified
from freehold.domain.labels import Label
from freehold.domain.receipt import AuditRecord

DECLASSIFY = "declassify"
REIDENTIFY = "reidentify"


def declassify_record(done: Declassified, *, unix_ms: int, tenant: str, request_id: str) -> AuditRecord:
    """Something was taken out of a text: redacted, or pseudonymised; also where that lowered nothing."""
    detail: dict[str, object] = {
        "act": done.act.value,
        "counts": dict(done.counts),
        "label_in": _label(done.before),
        "label_out": _label(done.label),
        "reason": done.reason,
    }
    return AuditRecord(event=DECLASSIFY, unix_ms=unix_ms, tenant=tenant, request_id=request_id, detail=detail)


def reidentify_record(
    *, unix_ms: int, tenant: str, request_id: str, restored: int, kept: Mapping[str, int], unknown: int
) -> AuditRecord:
    """Pseudonyms were restored in an answer.

    Args:
        unix_ms: When.
        tenant: Whose.
        request_id: Of which request.
        restored: How many.
        kept: How many were not, by where they stood.
        unknown: How many looked like one and were none of this conversation.
    """
    detail: dict[str, object] = {"restored": restored, "kept": dict(kept), "unknown": unknown}
    return AuditRecord(event=REIDENTIFY, unix_ms=unix_ms, tenant=tenant, request_id=request_id, detail=detail)


def _label(label: Label) -> dict[str, object]:
    return {
        "kinds": sorted(label.kinds),
        "level": label.level.word,
        "readers": None if label.readers is None else sorted(label.readers),
        "trusted": label.trusted,
        "zones": sorted(label.zones),
    }
