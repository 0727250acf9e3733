"""What each key used, by the hour: filed with the receipts, and read with those that are not filed yet."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.domain.decisions import Outcome
from freehold.domain.limits import HOUR_MS, Limit, Measure, Subject, SubjectKind, Window
from freehold.domain.money import Money
from freehold.domain.receipt import Cost, Receipt
from freehold.domain.response import Usage
from freehold.storage.database import Database
from freehold.storage.journal import Place
from freehold.storage.limits import SqliteLimits
from freehold.storage.pages import decode_receipt, encode_receipt
from freehold.storage.receipts import SqliteReceipts
from freehold.storage.usage import AttemptUse, RequestUse, SqliteUsage
from tests.support.old_store import make_old_database
from tests.support.receipts import make_attempt, make_receipt, receipt_id

HOUR = 500_000 * HOUR_MS


@pytest.fixture
def database(tmp_path: Path) -> Generator[Database]:
    database = Database.open(tmp_path / "freehold.db")
    yield database
    database.close()


def receipt(number: int, *, at_ms: int = HOUR, key: str = "one", tenant: str = "acme", **more: object) -> Receipt:
    made = make_receipt(id=receipt_id(number), created_unix_ms=at_ms, key_id=key, tenant=tenant)
    return replace(made, **more)  # pyright: ignore[reportArgumentType] - tests name fields of Receipt


HISTORY = (
    receipt(1),
    receipt(2, at_ms=HOUR + HOUR_MS - 1),
    receipt(3, key="two", attempts=(make_attempt(cost=None), make_attempt(deployment="large"))),
    receipt(4, tenant="other"),
    receipt(5, outcome=Outcome.REFUSED, attempts=(), answered_index=None),
    receipt(6, at_ms=HOUR + HOUR_MS),
)


def file_all(database: Database, folder: Path, kept: tuple[Receipt, ...]) -> None:
    store = SqliteReceipts(database, journal=folder / "receipts")
    store.keep(*kept)
    store.close()


def one(
    slot: int, tenant: str, key: str, deployment: str = "small", currency: str = "USD", times: int = 1
) -> AttemptUse:
    priced = bool(currency)
    numbers = (1, 12 * priced, 3 * priced, 20, 5, 4, 0, 0)
    return AttemptUse(slot, tenant, key, deployment, currency, *(times * each for each in numbers))


def test_hours_by_key(database: Database, tmp_path: Path) -> None:
    file_all(database, tmp_path, HISTORY)
    usage = SqliteUsage(database)
    found = usage.read(from_unix_ms=HOUR, to_unix_ms=HOUR + HOUR_MS, tenant="acme", step_ms=HOUR_MS)
    assert found.attempts == [
        one(HOUR, "acme", "one", times=2),
        one(HOUR, "acme", "two", "large"),
        one(HOUR, "acme", "two", "small", ""),
    ]
    assert found.requests == [RequestUse(HOUR, "acme", "one", 2, 1), RequestUse(HOUR, "acme", "two", 1, 0)]
    everything = usage.read(from_unix_ms=0, to_unix_ms=2 * HOUR, tenant=None)
    assert [row for row in everything.attempts if row.key_id == "one"] == [
        one(0, "acme", "one", times=3),
        one(0, "other", "one"),
    ]


def test_what_is_not_filed_yet_counts_and_nothing_counts_twice(database: Database, tmp_path: Path) -> None:
    file_all(database, tmp_path, HISTORY)
    filed = SqliteUsage(database).read(from_unix_ms=HOUR, to_unix_ms=HOUR + HOUR_MS, tenant="acme")
    late = receipt(7, key="three")
    usage = SqliteUsage(database, unfiled=lambda: (*HISTORY, late))
    found = usage.read(from_unix_ms=HOUR, to_unix_ms=HOUR + HOUR_MS, tenant="acme")
    assert found.attempts == [*filed.attempts, one(0, "acme", "three")]
    assert found.requests == [*filed.requests, RequestUse(0, "acme", "three", 1, 0)]


def test_only_whole_hours_are_told(database: Database) -> None:
    with pytest.raises(ValueError, match="beginnings of hours"):
        SqliteUsage(database).read(from_unix_ms=HOUR, to_unix_ms=HOUR + 1, tenant=None)


def test_a_sum_that_no_column_holds_becomes_the_greatest_number_there_is(database: Database, tmp_path: Path) -> None:
    usage = Usage(input_tokens=2**62, output_tokens=5)
    for number in (1, 2):
        file_all(database, tmp_path, (receipt(number, attempts=(make_attempt(usage=usage),)),))
    (row,) = SqliteUsage(database).read(from_unix_ms=HOUR, to_unix_ms=HOUR + HOUR_MS, tenant=None).attempts
    assert (row.input_tokens, row.output_tokens, row.attempts) == (2**63 - 1, 10, 2)


def test_receipts_of_an_earlier_version_are_the_tenants_but_no_keys(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    make_old_database(path, [HISTORY[:3], HISTORY[3:]])
    database = Database.open(path)
    try:
        found = SqliteUsage(database).read(from_unix_ms=HOUR, to_unix_ms=HOUR + HOUR_MS, tenant="acme")
        assert [row for row in found.attempts if row.currency] == [
            one(0, "acme", "", "large"),
            one(0, "acme", "", times=2),
        ]
        assert found.requests == [RequestUse(0, "acme", "", 3, 1)]
    finally:
        database.close()


def test_all_journals_are_asked_for_what_is_not_filed(database: Database, tmp_path: Path) -> None:
    fellow = SqliteReceipts(database, journal=tmp_path / "receipts-1", fellows=[tmp_path / "receipts"])
    store = SqliteReceipts(database, journal=tmp_path / "receipts", fellows=[tmp_path / "receipts-1"])
    try:
        database.run(lambda connection: connection.execute("SELECT 1"))
        store.keep(HISTORY[0])
        fellow.keep(HISTORY[1], HISTORY[3])
        usage = SqliteUsage(database, unfiled=store.unfiled)
        # Wherever they are at this moment.
        found = usage.read(from_unix_ms=HOUR, to_unix_ms=HOUR + HOUR_MS, tenant=None)
        assert sum(row.requests for row in found.requests) == 3
        assert {row.tenant for row in found.attempts} == {"acme", "other"}
    finally:
        store.close()
        fellow.close()


def test_what_waits_in_the_files_of_a_journal_is_not_filed(database: Database, tmp_path: Path) -> None:
    store = SqliteReceipts(database, journal=tmp_path / "receipts")
    try:
        payloads = [encode_receipt(each) for each in HISTORY]
        store._journal.append(*payloads)
        store._indexer._from = Place(0, 0)
        assert {each.id for each in store.unfiled()} == {decode_receipt(each).id for each in payloads}
        store._indexer._from = None
    finally:
        store.close()


def test_limits_are_kept_changed_and_removed(database: Database) -> None:
    store = SqliteLimits(database)
    subject = Subject(SubjectKind.KEY, "a:b")
    tokens = Limit(subject=subject, measure=Measure.TOKENS, window=Window.DAY, amount=10)
    euros = Limit(subject=subject, measure=Measure.MONEY, window=Window.MONTH, amount=1, currency="EUR")
    assert store.put(tokens, most=2)
    assert store.put(euros, most=2)
    assert store.put(replace(tokens, amount=11), most=2)
    assert store.all() == (euros, replace(tokens, amount=11))
    assert not store.put(replace(euros, currency="USD"), most=2)
    assert len(store.all()) == 2
    assert store.remove(tokens)
    assert not store.remove(tokens)
    assert store.all() == (euros,)


def test_a_receipt_without_attempts_or_price_is_read_too(database: Database) -> None:
    bare = receipt(1, attempts=(make_attempt(cost=Cost(amount=None, source="unpriced")),))
    priced = receipt(2, attempts=(make_attempt(cost=Cost(amount=Money(micros=5, currency="EUR"), source="x")),))
    usage = SqliteUsage(database, unfiled=lambda: (bare, priced))
    found = usage.read(from_unix_ms=HOUR, to_unix_ms=HOUR + HOUR_MS, tenant=None)
    assert [(row.currency, row.amount_micros, row.energy_mwh) for row in found.attempts] == [("", 0, 0), ("EUR", 5, 0)]


def test_reading_is_for_threads_too(database: Database) -> None:
    async def scenario() -> None:
        found = await asyncio.to_thread(SqliteUsage(database).read, from_unix_ms=0, to_unix_ms=HOUR, tenant=None)
        assert found == ([], [])

    asyncio.run(scenario())


def test_a_request_that_found_no_room_counts_as_none_whether_it_is_filed_or_not(
    database: Database, tmp_path: Path
) -> None:
    """Queue full: nothing was tried. Preempted: it was, for nothing. Failed: it was, and it counts."""
    kept = (
        receipt(1, outcome=Outcome.FAILED, attempts=(), answered_index=None, error_code="FH-ADMIT-001"),
        receipt(2, outcome=Outcome.REFUSED, answered_index=None, error_code="FH-ADMIT-008"),
        receipt(3, outcome=Outcome.FAILED, answered_index=None),
    )
    span = {"from_unix_ms": HOUR, "to_unix_ms": HOUR + HOUR_MS, "tenant": None}
    before = SqliteUsage(database, unfiled=lambda: kept).read(**span)
    file_all(database, tmp_path, kept)
    after = SqliteUsage(database).read(**span)
    assert after.requests == [RequestUse(0, "acme", "one", 1, 2)]
    for place in (3, 4):
        assert sum(row[place] for row in before.requests) == after.requests[0][place]
