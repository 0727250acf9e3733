"""A search that nobody waits for any more leaves its connection as it found it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from freehold.domain.vault_ports import VaultStore
from tests.support.vaults import with_store

pytest.importorskip("apsw")

from freehold.vault import store_database


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
        for _ in range(8):  # each of the connections is used
            await asyncio.gather(*(store.generation() for _ in range(4)))

    with_store(tmp_path / "v.db", use)
