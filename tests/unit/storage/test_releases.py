"""Releases and publications in the database: used once for all processes, ended with an event, forgotten in time."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.domain.releases import RefusedBody, Release
from freehold.storage.database import Database
from freehold.storage.keys import KeyEvent, SqliteKeys
from freehold.storage.releases import KEPT_MS, REFUSED_KEPT_MS, SECOND_PERSON_MS, Publication, SqliteReleases

NOW_MS = 1_700_000_000_000
RELEASE = Release(
    id="r-1",
    tenant="acme",
    deployment="cloud",
    place="p",
    commitment="c",
    label="confidential",
    rules=("zone", "level"),
    reason="because",
    receipt="",
    requested_by="key-1",
    requested_line="line-1",
    requested_unix_ms=NOW_MS,
    expires_unix_ms=NOW_MS + 1000,
)


@pytest.fixture
def database(tmp_path: Path) -> Generator[Database]:
    opened = Database.open(tmp_path / "freehold.db")
    yield opened
    opened.close()


@pytest.fixture
def store(database: Database) -> SqliteReleases:
    return SqliteReleases(database)


def event(name: str) -> KeyEvent:
    return KeyEvent(unix_ms=NOW_MS, event=name, key_id="", tenant="acme", by="key-1")


def events(database: Database) -> list[str]:
    return [each.event for each in SqliteKeys(database).events()]


async def approve(store: SqliteReleases, release_id: str = "r-1", *, unix_ms: int = NOW_MS) -> bool:
    return await store.approve(release_id, by="key-2", unix_ms=unix_ms, event=event("approve"))


async def add(store: SqliteReleases, release: Release = RELEASE, *, most: int = 10) -> bool:
    return await store.add(release, most=most, event=event("request"))


def test_the_key_of_commitments_is_made_once(database: Database, store: SqliteReleases) -> None:
    assert store.key() == SqliteReleases(database).key()
    assert len(store.key()) == 32


def test_it_is_used_once_whoever_tries(database: Database, store: SqliteReleases) -> None:
    async def run() -> None:
        other = SqliteReleases(database)
        assert await add(store)
        assert await store.get("r-1", tenant="acme") == RELEASE
        assert await store.get("r-1", tenant="other") is None
        assert not await store.use("r-1", request_id="q", unix_ms=NOW_MS), "nobody has approved it"
        assert await store.live(NOW_MS) == []
        assert await approve(store)
        assert not await approve(other), "twice"
        (live,) = await other.live(NOW_MS)
        assert (live.approved_by, live.state(NOW_MS)) == ("key-2", "approved")
        tries = [each.use("r-1", request_id=f"q-{n}", unix_ms=NOW_MS) for n, each in enumerate((store, other) * 5)]
        assert sorted(await asyncio.gather(*tries)) == [False] * 9 + [True]
        assert await store.live(NOW_MS) == []
        used = await store.get("r-1", tenant=None)
        assert used is not None
        assert (used.state(NOW_MS), used.used_by[:2]) == ("used", "q-")

    asyncio.run(run())
    assert events(database) == ["request", "approve"]


@pytest.mark.parametrize("late_ms", [1000, 5000])
def test_what_has_expired_is_neither_approved_nor_used(store: SqliteReleases, late_ms: int) -> None:
    async def run() -> None:
        await add(store)
        await add(store, replace(RELEASE, id="r-2"))
        assert await approve(store)
        late = NOW_MS + late_ms
        assert not await approve(store, "r-2", unix_ms=late)
        assert not await store.use("r-1", request_id="q", unix_ms=late)
        assert await store.live(late) == []

    asyncio.run(run())


def test_the_end_of_one_is_told_once_and_not_of_one_that_was_used(database: Database, store: SqliteReleases) -> None:
    async def run() -> None:
        for number in range(3):
            await add(store, replace(RELEASE, id=f"r-{number}"))
        await approve(store, "r-1")
        await approve(store, "r-2")
        await store.use("r-2", request_id="q", unix_ms=NOW_MS)
        assert await store.end_expired(NOW_MS + 999) == 0
        assert await store.end_expired(NOW_MS + 1000) == 2
        assert await store.end_expired(NOW_MS + 1000) == 0

    asyncio.run(run())
    told = [each for each in SqliteKeys(database).events() if each.event == "release.expire"]
    assert [(each.detail["release"], each.detail["approved"], each.tenant) for each in told] == [
        ("r-0", False, "acme"),
        ("r-1", True, "acme"),
    ]


def test_a_tenant_has_only_so_many_open(database: Database, store: SqliteReleases) -> None:
    async def run() -> None:
        assert await add(store, most=1)
        assert not await add(store, replace(RELEASE, id="r-2"), most=1)
        assert await add(store, replace(RELEASE, id="r-3", tenant="other"), most=1)
        assert [each.id for each in await store.list(tenant="acme", limit=5)] == ["r-1"]
        assert [each.id for each in await store.list(tenant=None, limit=5)] == ["r-3", "r-1"]

    asyncio.run(run())
    assert events(database) == ["request", "request"]


def test_refused_bodies_are_known_for_a_while(store: SqliteReleases) -> None:
    body = RefusedBody(
        receipt="q-1", tenant="acme", unix_ms=NOW_MS, commitment="c", label="confidential", scan_complete=False
    )

    async def run() -> None:
        store.note_refused(body)
        assert await store.refused("q-1", tenant="acme", unix_ms=NOW_MS) == body
        assert await store.refused("q-1", tenant=None, unix_ms=NOW_MS + REFUSED_KEPT_MS) == body
        assert await store.refused("q-1", tenant="other", unix_ms=NOW_MS) is None
        assert await store.refused("q-1", tenant="acme", unix_ms=NOW_MS + REFUSED_KEPT_MS + 1) is None
        await store.drop_old(NOW_MS + REFUSED_KEPT_MS)
        assert await store.refused("q-1", tenant="acme", unix_ms=NOW_MS) == body
        await store.drop_old(NOW_MS + REFUSED_KEPT_MS + 1)
        assert await store.refused("q-1", tenant="acme", unix_ms=NOW_MS) is None

    asyncio.run(run())


def test_what_is_over_is_forgotten_later(store: SqliteReleases) -> None:
    async def run() -> None:
        await add(store)
        await store.drop_old(RELEASE.expires_unix_ms + KEPT_MS + 1)
        assert await store.get("r-1", tenant=None) is not None, "its end was not told yet"
        await store.end_expired(RELEASE.expires_unix_ms)
        await store.drop_old(RELEASE.expires_unix_ms + KEPT_MS)
        assert await store.get("r-1", tenant=None) is not None
        await store.drop_old(RELEASE.expires_unix_ms + KEPT_MS + 1)
        assert await store.get("r-1", tenant=None) is None

    asyncio.run(run())


def test_a_second_person_must_ask_for_the_same_within_a_day(database: Database, store: SqliteReleases) -> None:
    asked = Publication(
        file_id="f", before="restricted", label="public", requested_line="ann", requested_unix_ms=NOW_MS
    )

    async def publish(publication: Publication, *, alone: bool = False) -> bool | None:
        return await store.publish(publication, alone=alone, event=event("publish"), asked=event("asked"))

    async def run() -> None:
        assert await publish(asked) is False
        assert await publish(asked) is False, "the same person"
        late = NOW_MS + SECOND_PERSON_MS
        assert await publish(replace(asked, requested_line="bob", requested_unix_ms=late)) is False, "a day later"
        assert await publish(replace(asked, requested_line="ann", label="internal", requested_unix_ms=late)) is False
        assert await publish(replace(asked, requested_line="cat", requested_unix_ms=late)) is False, "another label"
        done = await publish(replace(asked, requested_line="dan", requested_unix_ms=late))
        assert done is None, "two ask for the same, but there is no such file"
        assert await publish(asked, alone=True) is None

    asyncio.run(run())
    assert events(database) == ["asked"] * 4
