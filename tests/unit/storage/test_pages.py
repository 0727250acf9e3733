"""A receipt's bytes hold all of it, and tell what they cannot be."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.money import Money
from freehold.domain.receipt import Attempt, Cost, Receipt
from freehold.domain.receipt_json import receipt_document
from freehold.domain.response import Usage
from freehold.domain.retrieved import Retrieved, RetrievedDocument
from freehold.storage import pages
from freehold.storage.pages import PARTS, decode_page, decode_receipt, documents, encode_page, encode_receipt, new_page
from tests.support.receipts import make_receipt, receipt_id, receipts


@given(receipt=receipts())
def test_a_receipt_comes_back_equal(receipt: Receipt) -> None:
    assert decode_receipt(encode_receipt(receipt)) == receipt


def names(kind: Any) -> list[str]:
    return [field.name for field in fields(kind)]


def test_every_field_has_its_place() -> None:
    receipt = [*pages._COMMON_FIELDS, *pages._POLICY_FIELDS, *pages._OWN_FIELDS, *pages._SUMMED_FIELDS]
    attempt = [*pages._ATTEMPT_COMMON_FIELDS, *pages._ATTEMPT_OWN_FIELDS, *pages._ATTEMPT_SUMMED_FIELDS, "usage"]
    assert sorted(receipt) == sorted([*names(Receipt), "policy", "attempts", "attempts"])
    assert sorted(attempt) == sorted(names(Attempt))
    assert tuple(names(Usage)) == pages._USAGE_FIELDS
    for part, whole in ((pages.CostPart, Cost), (pages.MoneyPart, Money)):
        assert list(part.__struct_fields__) == names(whole), "what is missing here would be lost on a page"


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"\x80", b"\x90", b"\xff"),
        *map(msgspec.msgpack.encode, ([99, 1, 2, 3, 4], [1], [2], [2, [], []], [2, ["t", "x", None, [1]], [[]], []])),
    ],
)
def test_what_is_no_receipt_is_refused(payload: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_receipt(payload)


def test_a_receipt_from_before_removals_were_told_has_none() -> None:
    form, common, own, *summed = msgspec.msgpack.decode(encode_receipt(make_receipt(removed=(("image", 1),))))
    assert decode_receipt(msgspec.msgpack.encode([form, common, own[:-2], *summed])) == make_receipt()


def test_a_receipt_from_before_documents_were_looked_for_has_none() -> None:
    found = Retrieved(vault="archive", documents=(RetrievedDocument(id="d", label="restricted", passages=2),))
    form, common, own, *summed = msgspec.msgpack.decode(encode_receipt(make_receipt(retrieved=found)))
    assert decode_receipt(msgspec.msgpack.encode([form, common, own, *summed])) == make_receipt(retrieved=found)
    assert decode_receipt(msgspec.msgpack.encode([form, common, own[:-1], *summed])) == make_receipt()


@given(some=st.lists(receipts(), min_size=1, max_size=5, unique_by=lambda receipt: receipt.id))
def test_a_page_holds_its_receipts_whole(some: list[Receipt]) -> None:
    payloads = [encode_receipt(receipt) for receipt in some]
    page = new_page(payloads)
    content = encode_page(page)
    assert decode_page(PARTS, content) == page
    for receipt in some:
        wanted = {receipt.id}
        found = documents(PARTS, content, tenant=receipt.tenant, wanted=wanted)
        assert found == {receipt.id: receipt_document(receipt)}
        assert documents(PARTS, content, tenant=receipt.tenant + "x", wanted=wanted) == {}


def test_a_page_writes_down_once_what_its_receipts_have_in_common() -> None:
    alike = [make_receipt(id=receipt_id(number)) for number in range(100)]
    mixed = [replace(receipt, tenant=f"t{place % 3}") for place, receipt in enumerate(alike)]
    assert [len(new_page([encode_receipt(each) for each in some]).common) for some in (alike, mixed)] == [1, 3]
