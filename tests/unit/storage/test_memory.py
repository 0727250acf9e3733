"""Fingerprints in the database: numbers, bounds, and what goes by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path

import pytest

from freehold.app.memory import key_of
from freehold.domain.errors.server import DataFolderUnusable
from freehold.domain.memory import KeptPassage
from freehold.storage.database import Database
from freehold.storage.memory import SqliteMemory
from freehold.storage.outcomes import SqliteOutcomes


@pytest.fixture
def database(tmp_path: Path) -> Generator[Database]:
    database = Database.open(tmp_path / "f.db")
    yield database
    database.close()


def passage(name: str, *, tenant: str = "a", until: int = 1_000, size: int = 10) -> KeptPassage:
    return KeptPassage(
        tenant=tenant, id=name, part=7, label="restricted", expires_unix_ms=until, prints=name.encode() * size
    )


def kept_in(database: Database, *, after: int = 0) -> list[KeptPassage]:
    database.run(lambda _: None)  # what was posted before is committed then
    return [*asyncio.run(SqliteMemory(database, bytes_max=0).after(after))]


def names(database: Database, *, after: int = 0) -> list[str]:
    return [each.id for each in kept_in(database, after=after)]


def test_passages_are_numbered_and_kept_once(database: Database) -> None:
    store = SqliteMemory(database, bytes_max=1_000)
    store.keep([], unix_ms=0)
    store.keep([passage("1"), passage("2")], unix_ms=0)
    store.keep([passage("2"), passage("3", tenant="b")], unix_ms=0)
    kept = kept_in(database)
    assert [(each.id, each.tenant, each.part, each.prints) for each in kept] == [
        ("1", "a", 7, b"1" * 10), ("2", "a", 7, b"2" * 10), ("3", "b", 7, b"3" * 10),
    ]  # fmt: skip
    assert names(database, after=kept[1].seq) == ["3"]


def test_what_is_out_of_date_goes_and_the_oldest_beyond_the_bound(database: Database) -> None:
    store = SqliteMemory(database, bytes_max=25)
    store.keep([passage("1", until=10), passage("2"), passage("b", tenant="b")], unix_ms=0)
    store.keep([passage("3")], unix_ms=10)
    assert names(database) == ["2", "b", "3"]
    store.keep([passage("4")], unix_ms=10)
    assert names(database) == ["b", "3", "4"]


def test_erasures_are_seen(database: Database) -> None:
    store = SqliteMemory(database, bytes_max=1_000)
    assert asyncio.run(store.erased()) == 0
    store.keep([passage("1"), passage("2", tenant="b")], unix_ms=0)
    asyncio.run(SqliteOutcomes(database).erase(tenant="a"))
    assert (asyncio.run(store.erased()), names(database)) == (1, ["2"])


def test_every_tenant_has_a_key_of_its_own_that_stays(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    first = key_of(folder, "a/../b")
    assert first == key_of(folder, "a/../b") != key_of(folder, "other")
    files = [*folder.iterdir()]
    assert len(files) == 2 and all(path.stat().st_mode & 0o777 == 0o600 for path in files)
    files[0].chmod(0o644)
    with pytest.raises(DataFolderUnusable):
        [key_of(folder, name) for name in ("a/../b", "other")]
