"""Receipts and the ledger: stored together, found by their tenant only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from freehold.domain.decisions import Action, Outcome, Verdict
from freehold.domain.money import Money
from freehold.domain.ports import ReceiptStore
from freehold.domain.receipt import Cost
from freehold.domain.receipt_json import receipt_document, receipt_from_document
from freehold.domain.response import Usage
from freehold.domain.zones import DEVICE, Zone
from freehold.storage.database import Database
from freehold.storage.ledger import RequestRow, SpendRow, SqliteLedger
from freehold.storage.receipts import SqliteReceipts
from tests.support.receipts import make_attempt, make_receipt, receipt_id


@pytest.fixture
def database(tmp_path):
    database = Database.open(tmp_path / "freehold.db")
    yield database
    database.close()


@pytest.fixture
def store(database, tmp_path) -> Iterator[ReceiptStore]:
    store = SqliteReceipts(database, journal=tmp_path / "receipts")
    yield store
    store.close()


def put(store, *receipts):
    for receipt in receipts:
        store.keep(receipt)


def count(database, table):
    return database.query(lambda c: c.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])


def test_a_stored_receipt_comes_back_whole(store):
    receipt = make_receipt()
    put(store, receipt)
    document = asyncio.run(store.get(receipt.id, tenant="acme"))
    assert document == receipt_document(receipt)
    assert receipt_from_document(document) == receipt


def test_another_tenant_sees_nothing(store):
    put(store, make_receipt())
    assert asyncio.run(store.get(make_receipt().id, tenant="other")) is None
    assert asyncio.run(store.recent(tenant="other", limit=10, before=None)) == []


def test_receipts_of_one_name_on_one_page_stay_with_their_tenants(store):
    put(store, make_receipt(route="mine"), make_receipt(tenant="other", route="theirs"))
    store.close()
    for tenant, route in (("acme", "mine"), ("other", "theirs")):
        assert asyncio.run(store.get(make_receipt().id, tenant=tenant))["route"] == route
        assert [row["route"] for row in asyncio.run(store.recent(tenant=tenant, limit=9, before=None))] == [route]


def test_an_attempt_without_a_cost_is_unpriced_and_not_free(store, database):
    put(store, make_receipt(attempts=(make_attempt(cost=None),)))
    store.close()
    rows = database.query(lambda c: c.execute("SELECT currency, source, amount_micros FROM ledger_spend").fetchall())
    assert [tuple(row) for row in rows] == [(None, "unpriced", None)]
    rows = database.query(lambda c: c.execute("SELECT cost_currency, cost_micros FROM ledger_requests").fetchall())
    assert [tuple(row) for row in rows] == [(None, None)]


@pytest.mark.parametrize("hostile", ["' OR 1=1 --", "acme' --", "%", "\x00", ""])
def test_69_hostile_tenants_and_ids_are_values_only(store, database, hostile):
    put(store, make_receipt())
    assert asyncio.run(store.get(make_receipt().id, tenant=hostile)) is None
    assert asyncio.run(store.get(hostile, tenant="acme")) is None
    assert asyncio.run(store.recent(tenant=hostile, limit=5, before=hostile)) == []
    put(store, make_receipt(id=receipt_id(9), tenant=hostile, route=hostile, error_code=hostile))
    assert asyncio.run(store.get(receipt_id(9), tenant=hostile))["route"] == hostile
    store.close()
    assert count(database, "receipts") == 2


def test_recent_is_newest_first_and_pages(store):
    put(store, *(make_receipt(id=receipt_id(n)) for n in (3, 1, 5, 2, 4)))

    def page(limit, before):
        return [row["id"][-1] for row in asyncio.run(store.recent(tenant="acme", limit=limit, before=before))]

    assert page(2, None) == ["5", "4"]
    assert page(2, receipt_id(4)) == ["3", "2"]
    assert page(2, receipt_id(2)) == ["1"]
    assert page(2, receipt_id(1)) == []
    assert page(-7, None) == ["5"]
    assert page(10**9, None) == ["5", "4", "3", "2", "1"]


def spend_row(deployment, zone, currency, **changes):
    values = {"attempts": 1, "amount_micros": 0, "energy_mwh": 0}
    return SpendRow(deployment=deployment, zone=zone, currency=currency, **values | changes)


def test_sums_keep_unpriced_apart_and_currencies_too(store, database):
    turned_down = make_attempt(verdict=Verdict(action=Action.ESCALATE, reason="low_confidence", threshold=0.7))
    cloud = make_attempt(
        deployment="cloud",
        zone=Zone("us"),
        bytes_left=400,
        usage=Usage(input_tokens=30, output_tokens=6, measured=False),
        cost=Cost(amount=Money(micros=70), source="genai-prices"),
    )
    unpriced = replace(cloud, cost=Cost(amount=None, source="unpriced"))
    put(
        store,
        make_receipt(id=receipt_id(1)),
        make_receipt(id=receipt_id(2), attempts=(turned_down, cloud), answered_index=1),
        make_receipt(id=receipt_id(3), attempts=(unpriced,)),
        make_receipt(id=receipt_id(4), attempts=(), answered_index=None, outcome=Outcome.REFUSED, counterfactual=None),
        make_receipt(id=receipt_id(5), tenant="other"),
        make_receipt(id=receipt_id(6), created_unix_ms=5),
    )
    store.close()
    span = {"from_unix_ms": 1_790_000_000_000, "to_unix_ms": 1_790_000_001_000}
    ledger = SqliteLedger(database)
    estimated = Usage(input_tokens=30, output_tokens=6, measured=False)
    assert asyncio.run(ledger.spend(**span, tenant="acme")) == (
        spend_row("cloud", Zone("us"), None, usage=estimated),
        spend_row("cloud", Zone("us"), "USD", amount_micros=70, usage=estimated),
        spend_row(
            "small",
            DEVICE,
            "USD",
            attempts=2,
            amount_micros=24,
            energy_mwh=6,
            usage=Usage(input_tokens=40, output_tokens=10, cached_tokens=8),
        ),
    )
    requests = asyncio.run(ledger.requests(**span, tenant="acme"))
    assert (
        RequestRow(
            outcome=Outcome.COMPLETE,
            zone=Zone("us"),
            cost_currency="USD",
            counterfactual_currency="USD",
            requests=1,
            escalated=1,
            bytes_left=400,
            cost_micros=82,
            counterfactual_micros=90,
        )
        in requests
    )
    assert {(row.outcome.value, row.zone, row.currency, row.requests) for row in requests} == {
        ("complete", "device", "USD", 1),
        ("complete", "us", "USD", 1),
        ("complete", "us", None, 1),
        ("refused", "", None, 1),
    }
    assert sum(row.requests for row in asyncio.run(ledger.requests(**span, tenant=None))) == 5
