"""A search that nobody waits for any more: it stops, and what it searched with is free for the next."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from freehold.domain.vault import ANYTHING, Reader
from freehold.domain.vault_ports import VaultStore
from tests.support.vaults import made, with_store

pytest.importorskip("apsw")
pytest.importorskip("sqlite_vec")

from freehold.vault import store_database


def test_what_nobody_waits_for_is_stopped_and_its_place_free_again(tmp_path: Path) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    begun = threading.Semaphore(0)

    def work(connection: Any) -> None:
        begun.release()
        connection.execute(endless).fetchall()

    async def use(store: VaultStore) -> None:
        await made("one", "the cat sat").into(store)
        reading = [asyncio.ensure_future(store._at.read(work)) for _ in range(3)]  # pyright: ignore[reportAttributeAccessIssue] - of this store
        for _ in reading:
            await asyncio.to_thread(begun.acquire)
        for each in reading:
            each.cancel()
        assert (await asyncio.wait_for(store.counts(reader=Reader(tenant="home")), 20)).documents == 1
        assert all(
            isinstance(each, asyncio.CancelledError) for each in await asyncio.gather(*reading, return_exceptions=True)
        )
        assert len(await store.search_words("cat", reader=Reader(tenant="home"), filters=ANYTHING, limit=3)) == 1

    with_store(tmp_path / "v.db", use)


def test_work_that_is_between_two_statements_when_nobody_waits_any_more_is_stopped_too(tmp_path: Path) -> None:
    long = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 30000000) SELECT count(*) FROM n"
    begun, cancelled = threading.Event(), threading.Event()
    finished: list[bool] = []

    def work(connection: Any) -> None:
        begun.set()
        cancelled.wait(20)
        finished.append(False)
        connection.execute(long).fetchall()
        finished[0] = True

    async def use(store: VaultStore) -> None:
        reading = asyncio.ensure_future(store._at.read(work))  # pyright: ignore[reportAttributeAccessIssue] - of this store
        await asyncio.to_thread(begun.wait, 20)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        cancelled.set()

    with_store(tmp_path / "v.db", use)  # closing waits for whoever reads
    assert finished == [False], "the next statement ran to its end"


def test_the_end_of_what_was_read_is_not_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection whose transaction did not end would begin no other."""
    stopped: list[str] = []

    async def use(store: VaultStore) -> None:
        loop = asyncio.get_running_loop()

        class Traced:
            """A connection whose reader goes away while its transaction ends."""

            def __init__(self, connection: Any) -> None:
                self._connection, self.now = connection, ""

            def execute(self, statement: str) -> None:
                self.now = statement
                if statement == "ROLLBACK":
                    loop.call_soon_threadsafe(reading.cancel)
                    asyncio.run_coroutine_threadsafe(asyncio.wait([reading]), loop).result(20)
                self._connection.execute(statement)

            def interrupt(self) -> None:
                stopped.append(self.now)

            def __getattr__(self, name: str) -> Any:
                return getattr(self._connection, name)

        at: Any = store._at  # pyright: ignore[reportAttributeAccessIssue] - of this store
        connection = at._idle.get()
        at._idle.put(Traced(connection))
        reading = asyncio.ensure_future(at.read(lambda _: None))
        await asyncio.gather(reading, return_exceptions=True)

    with_store(tmp_path / "v.db", use)
    assert stopped == []


def test_what_was_stopped_is_closed_whole_so_that_the_next_may_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_database, "_STEPS", 1)
    begun, cancelled = threading.Event(), threading.Event()

    def work(_connection: Any) -> None:
        begun.set()
        cancelled.wait(20)

    async def use(store: VaultStore) -> None:
        reading = asyncio.ensure_future(store._at.read(work))  # pyright: ignore[reportAttributeAccessIssue] - of this store
        await asyncio.to_thread(begun.wait, 20)
        reading.cancel()
        await asyncio.wait([reading])
        cancelled.set()
        monkeypatch.setattr(store_database, "_STEPS", 10_000)
        found = [
            await asyncio.gather(*(store.generation() for _ in range(4))) for _ in range(8)
        ]  # each connection is used
        assert found == [[0] * 4] * 8

    with_store(tmp_path / "v.db", use)
