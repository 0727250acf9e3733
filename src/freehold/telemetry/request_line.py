"""The log's view of a receipt: where it ran, how it ended, what it cost. Never what was said."""

from __future__ import annotations

from functools import lru_cache

from freehold.domain.receipt import Receipt
from freehold.telemetry.redact import one_line

REQUESTS_LOGGER = "freehold.requests"

_CHARACTERS_MAX = 200
_TRACE_ID = slice(3, 35)


def request_message(receipt: Receipt) -> str:
    """What happened, in two words."""
    return f"{_shown(receipt.task)} {receipt.outcome}"


def request_fields(receipt: Receipt) -> dict[str, object]:
    """The facts of a receipt that its line shows, safe to be written."""
    answered, cost = receipt.answered_by, receipt.cost
    probability = answered.confidence.probability if answered and answered.confidence else None
    return {
        "request_id": receipt.id,
        "client_request_id": one_line(receipt.client_request_id, characters_max=_CHARACTERS_MAX) or None,
        "trace_id": receipt.traceparent[_TRACE_ID] or None,
        "tenant": _shown(receipt.tenant),
        "key_id": _shown(receipt.key_id),
        "route": _shown(receipt.route),
        "tried": _shown(",".join([attempt.deployment for attempt in receipt.attempts])),
        "answered_by": _shown(answered.deployment) if answered else None,
        "zone": _shown(answered.zone) if answered else None,
        "label": receipt.label.level.word,
        "error_code": _shown(receipt.error_code) or None,
        "confidence": probability,
        "input_tokens": answered.usage.input_tokens if answered else None,
        "output_tokens": answered.usage.output_tokens if answered else None,
        "bytes_left": receipt.bytes_left,
        "cost": str(cost) if cost else None,
        "total_ms": round(receipt.total_ms, 1),
        "audit_index": receipt.audit_index,
    }


# Names of the configuration and codes: the same few from request to request.
@lru_cache(maxsize=1_024)
def _shown(name: str) -> str:
    return one_line(name, characters_max=_CHARACTERS_MAX)
