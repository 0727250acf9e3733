"""The receipt on the wire: headers of a whole answer, a comment at the end of a stream."""

from __future__ import annotations

import functools

from freehold.domain.decisions import Confidence
from freehold.domain.receipt import Receipt
from freehold.domain.receipt_json import receipt_to_json

_HeaderList = list[tuple[bytes, bytes]]


@functools.lru_cache(maxsize=1024)
def _header(name: bytes, value: str) -> tuple[bytes, bytes]:
    """A field whose value is a name, a word or the like: there are few of them, and each is sent again and again."""
    return name, value.encode("latin-1", "replace")


def receipt_headers(receipt: Receipt) -> _HeaderList:
    """``freehold-*`` headers. What is not known is said in a word, never as a number."""
    headers = [(b"freehold-receipt", receipt.id.encode()), _header(b"freehold-label", receipt.label.level.word)]
    answered = receipt.answered_by
    if answered is not None:
        headers += (
            _header(b"freehold-deployment", answered.deployment),
            _header(b"freehold-zone", answered.zone),
        )
        if answered.confidence is not None:
            headers.append(_header(b"freehold-confidence", _shown(answered.confidence)))
        if answered.verdict is not None:
            verdict = answered.verdict
            headers.append(_header(b"freehold-verdict", f"{verdict.action}; {verdict.reason}"))
    if receipt.client_request_id:
        headers.append((b"x-request-id", receipt.client_request_id.encode()))
    headers.append((b"freehold-bytes-left", b"%d" % receipt.bytes_left))
    cost = receipt.cost
    headers.append((b"freehold-cost", b"unpriced" if cost is None else str(cost).encode("latin-1", "replace")))
    return headers


def _shown(confidence: Confidence) -> str:
    probability = confidence.probability
    return confidence.status if probability is None else f"{probability:.3f}"


def receipt_comment(receipt: Receipt) -> bytes:
    """The whole receipt as a comment line of an event stream, which every client skips unless it looks for it."""
    return b": freehold-receipt " + receipt_to_json(receipt).encode() + b"\n\n"
