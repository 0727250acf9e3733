"""The stored form of a receipt is stable: a change of it must be seen and decided."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from freehold.domain.decisions import Confidence, ConfidenceStatus
from freehold.domain.receipt_json import receipt_document, receipt_from_document, receipt_from_json
from tests.support.receipts import make_attempt, make_receipt

_GOLDEN = Path(__file__).parents[2] / "golden" / "receipt" / "typical.json"


def test_the_typical_receipt_is_as_agreed():
    shown = json.dumps(receipt_document(make_receipt()), indent=2) + "\n"
    assert shown == _GOLDEN.read_text("utf-8")


def test_an_old_document_can_be_read():
    assert receipt_from_json(_GOLDEN.read_text("utf-8")) == make_receipt()


def test_a_document_of_an_earlier_version_can_be_read():
    document = receipt_document(make_receipt())
    del document["client_request_id"], document["traceparent"], document["detours"], document["removed"]
    del document["retrieved"]
    found = receipt_from_document(document)
    assert (found.client_request_id, found.traceparent, found.detours, found.removed) == ("", "", (), ())


def test_what_an_earlier_version_did_not_say_of_attempts_can_be_read():
    document = json.loads(_GOLDEN.read_text("utf-8"))
    (attempt,) = document["attempts"]
    del attempt["role"], attempt["prefix"], attempt["confidence"]["scope"]
    del attempt["verdict"]["certificate"], attempt["verdict"]["certified_by"]
    assert receipt_from_document(document) == make_receipt()


def test_an_unpriced_cost_is_null_and_not_zero():
    receipt = make_receipt(attempts=(make_attempt(cost=None),))
    document = receipt_document(receipt)
    assert document["cost"] is None
    assert document["attempts"][0]["cost"] is None


def test_signals_without_a_value_are_left_out():
    odd = Confidence(
        probability=None, status=ConfidenceStatus.UNCALIBRATED, signals={"a": float("nan"), "b": float("inf"), "c": 1.0}
    )
    document = receipt_document(make_receipt(attempts=(make_attempt(confidence=odd),)))
    assert document["attempts"][0]["confidence"]["signals"] == {"c": 1.0}
    json.dumps(document, allow_nan=False)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": 2}, "schema 1"),
        ({"object": "other"}, "schema 1"),
        ({"total_ms": "long"}, "'total_ms' of the receipt is of a wrong type: str"),
        ({"total_ms": True}, "bool"),
        ({"audit_index": 1.5}, "float"),
        ({"outcome": "fine"}, "fine"),
        ({"label": {"level": "secret"}}, "no level 'secret'"),
        ({"label": 7}, "wrong type"),
        ({"attempts": [{}]}, "lacks"),
        ({"steps": None}, "NoneType"),
        ({"steps": [1]}, "'steps'"),
        ({"attempts": [7]}, "'attempts'"),
    ],
)
def test_another_document_is_refused(change, reason):
    with pytest.raises(ValueError, match=reason):
        receipt_from_document(receipt_document(make_receipt()) | change)


def test_a_missing_member_is_named():
    document = receipt_document(make_receipt())
    del document["tenant"]
    with pytest.raises(ValueError, match="lacks 'tenant'"):
        receipt_from_document(document)
