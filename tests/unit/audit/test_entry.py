"""Entries have one spelling and know their place."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given

from freehold.audit.entry import ENTRY_BYTES_MAX, decode_entry, encode_entry
from freehold.audit.records import request_record
from freehold.domain.errors.audit import AuditBroken, AuditUnwritable
from freehold.domain.receipt import Receipt
from tests.support.audit import record
from tests.support.receipts import receipts

GOOD = encode_entry(record(3, text="naïve ⟦x⟧\n"), 9).data


def test_an_entry_is_canonical_json_with_its_place() -> None:
    assert json.dumps(json.loads(GOOD), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == GOOD
    assert json.loads(GOOD) == {
        "v": 1,
        "seq": 9,
        "ts": 3,
        "tenant": "acme",
        "event": "test",
        "request_id": "r-3",
        "detail": {"n": 3, "text": "naïve ⟦x⟧\n"},
    }
    entry, read = decode_entry(GOOD, 9)
    assert entry == encode_entry(read, 9)
    assert read == record(3, text="naïve ⟦x⟧\n")


@given(receipts())
def test_every_receipt_has_an_entry_that_reads_back(receipt: Receipt) -> None:
    made = request_record(receipt)
    detail = msgspec.json.decode(made.detail_json)
    assert decode_entry(encode_entry(made, 5).data, 5)[1] == replace(made, detail=detail, detail_json=b"")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"[]", "is not a record"),
        (GOOD.replace(b'{"detail"', b'{ "detail"'), "own form"),
        (GOOD.replace(b'"v":1', b'"v":1,"w":1'), "is not a record"),
        (GOOD.replace(b',"v":1', b""), "is not a record"),
        (GOOD.replace(b',"seq"', b',"request_id":"","seq"'), "own form|is not a record"),
        (GOOD.replace(b'"seq":9', b'"seq":8'), "says that it is entry 8"),
        (GOOD.replace(b'"v":1', b'"v":2'), "of version 2"),
        (GOOD.replace(b'"tenant":"acme"', b'"tenant":7'), "is not a record"),
        (GOOD.replace(b'"ts":3', b'"ts":"3"'), "is not a record"),
    ],
)
def test_other_spellings_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(AuditBroken, match=says):
        decode_entry(data, 9)


def test_an_entry_that_does_not_fit_is_refused() -> None:
    with pytest.raises(AuditUnwritable, match="at most 65535 fit"):
        encode_entry(record(1, text="x" * ENTRY_BYTES_MAX), 0)


@pytest.mark.parametrize(("intent", "found"), [(4, 4), (True, None), ("4", None), (None, None)])
def test_an_end_names_its_intent(intent: object, found: int | None) -> None:
    assert encode_entry(record(1, "egress.done", intent=intent), 0).intent == found
    assert encode_entry(record(1, "other", intent=intent), 0).intent is None
