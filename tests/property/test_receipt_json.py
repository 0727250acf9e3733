"""Every receipt survives being written down."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.domain.receipt import Receipt
from freehold.domain.receipt_json import receipt_document, receipt_from_document, receipt_from_json, receipt_to_json
from freehold.storage.database import Database
from freehold.storage.pages import decode_receipt, encode_receipt
from freehold.storage.receipts import SqliteReceipts
from tests.support.receipts import receipts


@given(receipts())
def test_a_receipt_survives_json(receipt: Receipt):
    text = receipt_to_json(receipt)
    assert receipt_from_json(text) == receipt
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == receipt_document(receipt)
    assert receipt_from_document(msgspec.json.decode(text)) == receipt


@given(receipts())
def test_a_receipt_survives_the_journals_form(receipt: Receipt):
    assert decode_receipt(encode_receipt(receipt)) == receipt


@settings(max_examples=15, deadline=None)
@given(st.lists(receipts(), max_size=6, unique_by=lambda receipt: receipt.id), st.booleans())
def test_receipts_survive_the_store_and_stay_with_their_tenants(some: list[Receipt], in_database: bool):
    async def store_and_fetch(database: Database) -> None:
        store = SqliteReceipts(database, journal=database.path.parent / "receipts")
        for receipt in some:
            store.keep(receipt)
        if in_database:
            store.close()  # from now on nothing is found in memory
        for receipt in some:
            document = await store.get(receipt.id, tenant=receipt.tenant)
            assert document is not None
            assert receipt_from_document(document) == receipt
            assert await store.get(receipt.id, tenant=receipt.tenant + "x") is None
        for tenant in {receipt.tenant for receipt in some}:
            own = sorted((receipt.id for receipt in some if receipt.tenant == tenant), reverse=True)
            listed = await store.recent(tenant=tenant, limit=100, before=None)
            assert [document["id"] for document in listed] == own
        store.close()

    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(Path(folder) / "freehold.db")
        try:
            asyncio.run(store_and_fetch(database))
        finally:
            database.close()
