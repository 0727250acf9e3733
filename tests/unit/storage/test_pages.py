"""A receipt's bytes hold all of it, and tell what they cannot be."""

from __future__ import annotations

from dataclasses import fields

import msgspec
import pytest
from hypothesis import given

from freehold.domain.receipt import Attempt, Receipt
from freehold.storage import pages
from freehold.storage.pages import decode_receipt, encode_receipt
from tests.support.receipts import receipts


@given(receipt=receipts())
def test_a_receipt_comes_back_equal(receipt: Receipt) -> None:
    assert decode_receipt(encode_receipt(receipt)) == receipt


def test_every_field_has_its_place() -> None:
    named = {*pages._SHARED_FIELDS, *pages._OWN_FIELDS, "attempts"}
    assert named == {field.name for field in fields(Receipt)}  # type: ignore[arg-type] - a dataclass by our decorator
    assert set(pages._ATTEMPT_FIELDS) == {field.name for field in fields(Attempt)}  # type: ignore[arg-type]


@pytest.mark.parametrize("payload", [b"", b"\x80", b"\x90", msgspec.msgpack.encode([99, 1, 2, 3, 4]), b"\xff"])
def test_what_is_no_receipt_is_refused(payload: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_receipt(payload)
