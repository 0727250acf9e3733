"""What is recorded of a request is canonical JSON, byte for byte, however it was put together."""

from __future__ import annotations

import hashlib

import msgspec
from hypothesis import given

from freehold.audit.entry import decode_entry, encode_entry
from freehold.audit.records import request_record
from freehold.domain.receipt import Attempt, AuditRecord, Receipt
from freehold.domain.receipt_json import label_document
from freehold.domain.retrieved import Retrieved
from tests.support.receipts import receipts


def plain_attempt(attempt: Attempt) -> dict[str, object]:
    return {
        "deployment": attempt.deployment,
        "zone": attempt.zone,
        "model": attempt.model,
        "digest": attempt.model_digest,
        "outcome": attempt.outcome.value,
        "verdict": attempt.verdict and attempt.verdict.action.value,
        "reason": attempt.verdict and attempt.verdict.reason,
        "input_tokens": attempt.usage.input_tokens,
        "output_tokens": attempt.usage.output_tokens,
        "measured": attempt.usage.measured,
        "bytes_left": attempt.bytes_left,
        "egress": attempt.egress_index,
        "error": attempt.error_code,
    }


def plain_retrieved(retrieved: Retrieved) -> dict[str, object]:
    return {
        "vault": retrieved.vault,
        "generation": retrieved.generation,
        "documents": [each.id for each in retrieved.documents],
        "left_out": dict(retrieved.left_out),
        "abstained": retrieved.abstained,
    }


def plain(receipt: Receipt) -> dict[str, object]:
    cost = receipt.cost
    return {
        "key": receipt.key_id,
        "task": receipt.task,
        "route": receipt.route,
        "stream": receipt.stream,
        "label": label_document(receipt.label),
        "label_rules": [source.rule for source in receipt.label_sources],
        "decisions": [
            {"deployment": each.deployment, "allowed": each.allowed, "rules": list(each.rules)}
            for each in receipt.decisions
        ],
        "attempts": [plain_attempt(attempt) for attempt in receipt.attempts],
        "outcome": receipt.outcome.value,
        "error": receipt.error_code,
        "bytes_left": receipt.bytes_left,
        "cost_micros": None if cost is None else cost.micros,
        "currency": None if cost is None else cost.currency,
        "total_ms": round(receipt.total_ms),
        "config": receipt.config_digest,
        **({"removed": dict(receipt.removed)} if receipt.removed else {}),
        **({} if receipt.retrieved is None else {"retrieved": plain_retrieved(receipt.retrieved)}),
    }


@given(receipts())
def test_a_request_is_encoded_as_a_sorted_encoder_would(receipt: Receipt) -> None:
    made = request_record(receipt)
    assert made.detail_json == msgspec.json.Encoder(order="sorted").encode(plain(receipt))
    entry = encode_entry(made, 7)
    again, record = decode_entry(entry.data, 7)
    assert again == entry
    assert record.detail == plain(receipt)
    spelled_out = AuditRecord(
        event="request",
        unix_ms=receipt.created_unix_ms,
        tenant=receipt.tenant,
        request_id=receipt.id,
        detail=plain(receipt),
    )
    assert hashlib.sha256(encode_entry(spelled_out, 7).data).digest() == hashlib.sha256(entry.data).digest()
