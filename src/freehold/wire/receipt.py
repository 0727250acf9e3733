"""The receipt on the wire: headers of a whole answer, a comment at the end of a stream."""

from __future__ import annotations

import functools

from freehold.domain.certificates import LabelKind
from freehold.domain.decisions import Action, Confidence, Verdict
from freehold.domain.receipt import Receipt
from freehold.domain.receipt_json import receipt_to_json

_HeaderList = list[tuple[bytes, bytes]]

_WORDS = (
    b"freehold-label",
    b"freehold-deployment",
    b"freehold-zone",
    b"freehold-confidence",
    b"freehold-verdict",
    b"freehold-certified",
)
_NOT_IN_DOCUMENTS = f"{Action.ABSTAIN}; not_in_documents"
_UNCERTIFIED = "uncertified"


@functools.lru_cache(maxsize=1024)
def _headers(
    label: str,
    deployment: str | None,
    zone: str | None,
    confidence: str | None,
    verdict: str | None,
    certified: str | None,
) -> tuple[tuple[bytes, bytes], ...]:
    """Fields whose values are names, words and the like: there are few of them, and each is sent again and again."""
    values = (label, deployment, zone, confidence, verdict, certified)
    return tuple(
        (name, value.encode("latin-1", "replace"))
        for name, value in zip(_WORDS, values, strict=True)
        if value is not None
    )


def receipt_headers(receipt: Receipt) -> _HeaderList:
    """``freehold-*`` headers. What is not known is said in a word, never as a number."""
    answered, level = receipt.answered_by, receipt.label.level.word
    if answered is None:
        said = receipt.retrieved
        verdict = _NOT_IN_DOCUMENTS if said is not None and said.abstained else None
        words = _headers(level, None, None, None, verdict, None)
    else:
        confidence, verdict = answered.confidence, answered.verdict
        words = _headers(
            level,
            answered.deployment,
            answered.zone,
            None if confidence is None else _shown(confidence),
            None if verdict is None else _decided(verdict),
            None if verdict is None else _certified(verdict),
        )
    headers = [(b"freehold-receipt", receipt.id.encode()), *words]
    if receipt.client_request_id:
        headers.append((b"x-request-id", receipt.client_request_id.encode()))
    headers.append((b"freehold-bytes-left", b"%d" % receipt.bytes_left))
    cost = receipt.cost
    headers.append((b"freehold-cost", b"unpriced" if cost is None else str(cost).encode("latin-1", "replace")))
    return headers


def _decided(verdict: Verdict) -> str:
    """What became of the answer. One that was to be escalated, and is given all the same, was the best there is."""
    if verdict.action is Action.ESCALATE:
        return f"{Action.ABSTAIN}; best_held"
    return f"{verdict.action}; {verdict.reason}"


def _certified(verdict: Verdict) -> str:
    """Whether a certificate promises how often such answers are wrong, or differ from a stronger model's."""
    if not verdict.certificate:
        return _UNCERTIFIED
    return "certified; agreement" if verdict.certified_by is LabelKind.AGREEMENT else "certified"


def _shown(confidence: Confidence) -> str:
    probability = confidence.probability
    return confidence.status if probability is None else f"{probability:.3f}"


def receipt_comment(receipt: Receipt) -> bytes:
    """The whole receipt as a comment line of an event stream, which every client skips unless it looks for it."""
    return b": freehold-receipt " + receipt_to_json(receipt).encode() + b"\n\n"
