"""What the request path knows of approved releases, on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.domain.decisions import Outcome
from freehold.domain.errors.audit import AuditUnwritable
from freehold.domain.errors.policy import NoPermittedDeployment
from freehold.domain.errors.release import ReleaseSpent
from freehold.domain.request import Purpose
from freehold.gateway.releasing import REFUSED_EACH_S, LiveReleases
from freehold.storage.database import Database
from freehold.storage.keys import KeyEvent
from freehold.storage.releases import SqliteReleases
from tests.support.gateway import GOOD_KEY, ManualClock, MemoryAudit, OneKey
from tests.unit.gateway.test_pipeline import chat, engine
from tests.unit.gateway.test_releasing import EU, refused, release, releasing

EVENT = KeyEvent(unix_ms=0, event="x", key_id="", tenant="default", by="key-1")


@pytest.fixture
def database(tmp_path: Path) -> Generator[Database]:
    opened = Database.open(tmp_path / "freehold.db")
    yield opened
    opened.close()


def live(database: Database, audit: MemoryAudit, clock: ManualClock | None = None) -> LiveReleases:
    store = SqliteReleases(database)
    return LiveReleases(store=store, key=store.key(), audit=audit, clock=clock or ManualClock())


async def approved(database: Database) -> None:
    store = SqliteReleases(database)
    made = replace(release(chat(), releasing()), approved_by="", approved_unix_ms=None)
    await store.add(made, most=5, event=EVENT)
    await store.approve(made.id, by="key-2", unix_ms=made.requested_unix_ms, event=EVENT)


def test_what_is_used_in_one_process_is_spent_in_the_other(database: Database) -> None:
    async def run() -> None:
        audit = MemoryAudit()
        one, other = live(database, audit), live(database, MemoryAudit())
        await approved(database)
        assert not one.live
        await one.refresh()
        await other.refresh()
        assert [each.id for each in other.live["default"]] == ["r-1"]
        await one.use("r-1", request_id="q-1", tenant="default")
        assert not one.live, "at once here"
        with pytest.raises(ReleaseSpent):
            await one.use("r-1", request_id="q-2", tenant="default")
        with pytest.raises(ReleaseSpent):
            await other.use("r-1", request_id="q-3", tenant="default")
        await other.refresh()
        assert not other.live
        (record,) = audit.records
        assert (record.event, record.request_id, record.detail["approved_by"]) == ("release.use", "q-1", "key-2")

    asyncio.run(run())


def test_of_another_tenant_it_is_none(database: Database) -> None:
    async def run() -> None:
        one = live(database, MemoryAudit())
        await approved(database)
        await one.refresh()
        with pytest.raises(ReleaseSpent):
            await one.use("r-1", request_id="q-1", tenant="other")
        assert one.live

    asyncio.run(run())


def test_where_its_use_is_not_recorded_it_is_spent_all_the_same(database: Database) -> None:
    async def run() -> None:
        one = live(database, MemoryAudit(broken=True))
        await approved(database)
        await one.refresh()
        with pytest.raises(AuditUnwritable):
            await one.use("r-1", request_id="q-1", tenant="default")
        await one.refresh()
        assert not one.live

    asyncio.run(run())


def test_refused_requests_are_noted_but_not_without_end(database: Database) -> None:
    async def run() -> None:
        clock = ManualClock()
        one, store = live(database, MemoryAudit(), clock), SqliteReleases(database)
        caller = OneKey().authenticate(GOOD_KEY)

        async def is_known(receipt: str) -> bool:
            return await store.refused(receipt, tenant="default", unix_ms=clock.unix_ms()) is not None

        for number in range(REFUSED_EACH_S + 1):
            one.refused(replace(chat(), id=f"q-{number}"), caller, "confidential", scan_complete=True)
        assert await is_known(f"q-{REFUSED_EACH_S - 1}")
        assert not await is_known(f"q-{REFUSED_EACH_S}")
        clock.now_s += 1
        one.refused(replace(chat(), id="q-later"), caller, "confidential", scan_complete=True)
        one.refused(replace(chat(), id="q-shadow", purpose=Purpose.SHADOW), caller, "confidential", scan_complete=True)
        assert await is_known("q-later")
        assert not await is_known("q-shadow")

    asyncio.run(run())


def test_commitments_are_keyed_and_texts_are_no_bodies(database: Database) -> None:
    one = live(database, MemoryAudit())
    other = LiveReleases(store=SqliteReleases(database), key=b"another", audit=MemoryAudit(), clock=ManualClock())
    assert one.commit(chat()) == one.commit(chat()) != other.commit(chat())
    assert one.commit_text("a") != other.commit_text("a")


def test_a_database_that_is_gone_fails_no_refusal(database: Database, tmp_path: Path) -> None:
    """The client hears why its text may not leave, as ever; who asks for a release then brings the body along."""
    house, request = releasing(engine("cloud", zone=EU)), chat(label="confidential")
    one = live(database, MemoryAudit(), house.clock)
    house.releases = one  # type: ignore[assignment] - the real ones
    committed = one.commit(request)
    database.close()
    refused(house, request)
    assert (house.receipt.outcome, house.receipt.error_code) == (Outcome.REFUSED, NoPermittedDeployment.code)
    assert one.commit(request) == committed, "of a body that is brought along"
    again = Database.open(tmp_path / "freehold.db")
    try:
        kept = asyncio.run(SqliteReleases(again).refused(request.id, tenant="default", unix_ms=house.clock.unix_ms()))
    finally:
        again.close()
    assert kept is None, "nothing was kept of it"
