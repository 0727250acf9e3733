"""Sums of the ledger are exact, whatever lies on a page, and wherever a span of time begins and ends."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.domain.decisions import Action, Outcome
from freehold.domain.limits import HOUR_MS
from freehold.domain.receipt import Attempt, Receipt, Role
from freehold.domain.receipt_json import receipt_document
from freehold.domain.response import Usage
from freehold.domain.zones import DEVICE, Zone
from freehold.storage.database import Database
from freehold.storage.ledger import RequestRow, SpendRow, SqliteLedger
from freehold.storage.receipts import SqliteReceipts
from freehold.storage.usage import SqliteUsage, Uses
from tests.support.ledger import entries
from tests.support.old_store import make_old_database
from tests.support.receipts import receipt_id, receipts

LATEST_MS = 45_000
"""Receipts lie within a few spans of the clock, so that they meet in rows and spans of time cut these."""

moments = st.integers(0, LATEST_MS)
tenants = st.sampled_from(["acme", "other"])


def fewer(attempt: Attempt, deployment: str, zone: str) -> Attempt:
    """The attempt at one of a few deployments."""
    return replace(attempt, deployment=deployment, zone=Zone(zone))


@st.composite
def meeting(draw: st.DrawFn) -> Receipt:
    """A receipt that has much in common with others."""
    receipt = draw(receipts())
    attempts = tuple(
        fewer(attempt, draw(st.sampled_from("ab")), draw(st.sampled_from([DEVICE, "us"])))
        for attempt in receipt.attempts
    )
    return replace(receipt, tenant=draw(tenants), created_unix_ms=draw(moments), attempts=attempts)


@st.composite
def histories(draw: st.DrawFn) -> list[list[Receipt]]:
    """Pages of receipts with ids of their own."""
    pages = draw(st.lists(st.lists(meeting(), min_size=1, max_size=6), max_size=4))
    number = 0
    numbered: list[list[Receipt]] = []
    for page in pages:
        numbered.append([replace(receipt, id=receipt_id(number + place)) for place, receipt in enumerate(page, 1)])
        number += len(page)
    return numbered


def spent(kept: Iterable[Receipt]) -> list[SpendRow]:
    """The spend of some receipts, attempt by attempt."""
    found: dict[tuple[str, Zone, str | None], SpendRow] = {}
    for entry in (entry for receipt in kept for entry in entries(receipt)):
        amount = entry.cost.amount
        key = (entry.deployment, entry.zone, amount.currency if amount else None)
        before = found.get(key) or SpendRow(
            deployment=key[0], zone=key[1], currency=key[2], attempts=0, amount_micros=0, energy_mwh=0, usage=Usage()
        )
        found[key] = replace(
            before,
            attempts=before.attempts + 1,
            amount_micros=before.amount_micros + (amount.micros if amount else 0),
            energy_mwh=before.energy_mwh + (entry.cost.energy_mwh or 0),
            usage=before.usage + entry.usage,
        )
    return [found[key] for key in sorted(found, key=_nothing_first)]


def requested(kept: Iterable[Receipt]) -> list[RequestRow]:
    """The requests of some receipts, one by one."""
    found: dict[tuple[str, str, str | None, str | None], RequestRow] = {}
    for receipt in kept:
        shown = receipt.answered_by or (receipt.attempts[-1] if receipt.attempts else None)
        cost, compared = receipt.cost, receipt.counterfactual
        zone = shown.zone if shown else Zone("")
        key = (
            receipt.outcome.value,
            zone,
            cost.currency if cost else None,
            compared.currency if compared else None,
        )
        before = found.get(key) or RequestRow(
            outcome=Outcome(key[0]),
            zone=zone,
            cost_currency=key[2],
            counterfactual_currency=key[3],
            requests=0,
            escalated=0,
            bytes_left=0,
            cost_micros=0,
            counterfactual_micros=0,
        )
        escalated = any(each.verdict and each.verdict.action is Action.ESCALATE for each in receipt.attempts)
        found[key] = replace(
            before,
            requests=before.requests + 1,
            escalated=before.escalated + escalated,
            bytes_left=before.bytes_left + receipt.bytes_left,
            cost_micros=before.cost_micros + (cost.micros if cost else 0),
            counterfactual_micros=before.counterfactual_micros + (compared.micros if compared else 0),
        )
    return [found[key] for key in sorted(found, key=_nothing_first)]


def used(kept: Iterable[tuple[Receipt, bool]]) -> Counter[tuple[str, ...]]:
    """What tenants and keys used; of receipts that an earlier version wrote no key is known, and
    those that found no room counted then."""
    found: Counter[tuple[str, ...]] = Counter()
    for receipt, is_old in kept:
        who = receipt.tenant, "" if is_old else receipt.key_id
        found_no_room = receipt.outcome is Outcome.FAILED and not receipt.attempts and not is_old
        never_ran = receipt.outcome is Outcome.REFUSED or found_no_room
        found[*who, "refused" if never_ran else "requests"] += 1
        for entry in entries(receipt):
            found[*who, entry.deployment, "tokens"] += entry.usage.input_tokens + entry.usage.output_tokens
            if entry.cost.amount is not None:
                found[*who, entry.deployment, entry.cost.amount.currency] += entry.cost.amount.micros
    return found


def told(uses: Uses) -> Counter[tuple[str, ...]]:
    """The same as the store of usage has it."""
    found: Counter[tuple[str, ...]] = Counter()
    for asked in uses.requests:
        found[asked.tenant, asked.key_id, "requests"] += asked.requests
        found[asked.tenant, asked.key_id, "refused"] += asked.refused
    for row in uses.attempts:
        found[row.tenant, row.key_id, row.deployment, "tokens"] += row.input_tokens + row.output_tokens
        if row.currency:
            found[row.tenant, row.key_id, row.deployment, row.currency] += row.amount_micros
    return found


def _nothing_first(key: Sequence[str | None]) -> list[tuple[bool, str | None]]:
    return [(part is not None, part) for part in key]


def as_written_before(receipt: Receipt) -> Receipt:
    """Without what an earlier version did not know of."""
    attempts = tuple(replace(each, role=Role.ANSWER, prefix=None, left_out=None) for each in receipt.attempts)
    return replace(receipt, attempts=attempts, removed=(), detectors=(), retrieved=None, counterfactual_price=None)


def kept_in(folder: Path, pages: Sequence[Sequence[Receipt]], old_pages: int) -> Database:
    """A database with these pages, the first of which an earlier version wrote."""
    make_old_database(folder / "f.db", pages[:old_pages])
    database = Database.open(folder / "f.db")
    for page in pages[old_pages:]:
        store = SqliteReceipts(database, journal=folder / "receipts")
        for receipt in page:
            store.keep(receipt)
        store.close()
    return database


@settings(max_examples=40, deadline=None)
@given(histories(), st.integers(0, 4), st.lists(st.tuples(moments, moments, st.none() | tenants), min_size=4))
def test_sums_are_those_over_the_receipts_of_the_span(
    pages: list[list[Receipt]], old_pages: int, asked: list[tuple[int, int, str | None]]
) -> None:
    pages = [[as_written_before(each) for each in page] for page in pages[:old_pages]] + pages[old_pages:]
    with tempfile.TemporaryDirectory() as folder:
        database = kept_in(Path(folder), pages, old_pages)
        try:
            ledger = SqliteLedger(database)
            for from_ms, to_ms, tenant in [*asked, (0, LATEST_MS + 1, None)]:
                within = [
                    receipt
                    for page in pages
                    for receipt in page
                    if from_ms <= receipt.created_unix_ms < to_ms and tenant in (None, receipt.tenant)
                ]
                span = {"from_unix_ms": from_ms, "to_unix_ms": to_ms}
                assert list(asyncio.run(ledger.spend(**span, tenant=tenant))) == spent(within)
                assert list(asyncio.run(ledger.requests(**span, tenant=tenant))) == requested(within)
            all_of_them = [(each, number < old_pages) for number, page in enumerate(pages) for each in page]
            uses = SqliteUsage(database).read(from_unix_ms=0, to_unix_ms=HOUR_MS, tenant=None)
            assert told(uses) == used(all_of_them)
        finally:
            database.close()


@settings(max_examples=25, deadline=None)
@given(histories(), st.integers(0, 4), tenants, st.integers(1, 5))
def test_every_receipt_is_found_by_id_and_by_paging(
    pages: list[list[Receipt]], old_pages: int, tenant: str, limit: int
) -> None:
    pages = [[as_written_before(each) for each in page] for page in pages[:old_pages]] + pages[old_pages:]
    with tempfile.TemporaryDirectory() as folder:
        database = kept_in(Path(folder), pages, old_pages)
        store = SqliteReceipts(database, journal=Path(folder) / "receipts")
        try:
            asyncio.run(_find(store, [receipt for page in pages for receipt in page], tenant, limit))
        finally:
            store.close()
            database.close()


async def _find(store: SqliteReceipts, kept: Sequence[Receipt], tenant: str, limit: int) -> None:
    for receipt in kept:
        found = await store.get(receipt.id, tenant=tenant)
        assert found == (receipt_document(receipt) if receipt.tenant == tenant else None)
    own = sorted((receipt.id for receipt in kept if receipt.tenant == tenant), reverse=True)
    paged: list[object] = []
    before = None
    while page := await store.recent(tenant=tenant, limit=limit, before=before):
        assert len(page) <= limit
        paged += [document["id"] for document in page]
        before = str(page[-1]["id"])
    assert paged == own
