"""The receipt on the wire: headers of a whole answer, a comment at the end of a stream."""

from __future__ import annotations

from freehold.domain.receipt import Receipt
from freehold.domain.receipt_json import receipt_to_json

_HeaderList = list[tuple[bytes, bytes]]


def receipt_headers(receipt: Receipt) -> _HeaderList:
    """``freehold-*`` headers. What is not known is said in a word, never as a number."""
    headers: dict[str, str] = {"freehold-receipt": receipt.id, "freehold-label": receipt.label.level.word}
    answered = receipt.answered_by
    if answered is not None:
        headers["freehold-deployment"] = answered.deployment
        headers["freehold-zone"] = answered.zone
        if answered.confidence is not None:
            probability = answered.confidence.probability
            headers["freehold-confidence"] = (
                answered.confidence.status.value if probability is None else f"{probability:.3f}"
            )
        if answered.verdict is not None:
            headers["freehold-verdict"] = f"{answered.verdict.action.value}; {answered.verdict.reason}"
    headers["freehold-bytes-left"] = str(receipt.bytes_left)
    cost = receipt.cost
    headers["freehold-cost"] = "unpriced" if cost is None else str(cost)
    return [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]


def receipt_comment(receipt: Receipt) -> bytes:
    """The whole receipt as a comment line of an event stream, which every client skips unless it looks for it."""
    return b": freehold-receipt " + receipt_to_json(receipt).encode() + b"\n\n"
