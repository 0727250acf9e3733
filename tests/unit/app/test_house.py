"""In which order a gateway comes to life."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from freehold.app import learning
from freehold.app.batch_runner import BatchRunner
from freehold.gateway.learning import Learning
from freehold.gateway.prerouting import Prerouting
from freehold.gateway.watch_rounds import Watching
from freehold.identity.quotas import Quotas
from freehold.storage.outcomes import SqliteOutcomes
from tests.support.inside import inside


def test_batches_go_on_once_limits_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    refresh = Quotas.refresh

    async def slow_refresh(self: Quotas) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        await refresh(self)
        happened.append("limits")

    async def run(_: BatchRunner) -> None:
        happened.append("batches")
        await asyncio.Event().wait()

    monkeypatch.setattr(Quotas, "refresh", slow_refresh)
    monkeypatch.setattr(BatchRunner, "run", run)
    with inside(tmp_path):
        assert happened[:2] == ["limits", "batches"]


def test_alarms_are_known_before_the_first_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    refresh = Watching.refresh

    async def noted(self: Watching, **how: Any) -> None:
        await refresh(self, **how)
        happened.append("standings")

    async def never(_: Watching) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Watching, "refresh", noted)
    monkeypatch.setattr(Watching, "look", never)
    with inside(tmp_path):
        assert happened == ["standings"]


def test_what_another_process_erases_is_forgotten_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[str] = []
    over = asyncio.Event()

    def forget(_: Prerouting, tenant: str = "") -> None:
        forgotten.append(f"vectors {tenant}")

    def erase(_: Learning, tenant: str = "") -> None:
        forgotten.append(f"texts {tenant}")
        over.set()

    monkeypatch.setattr(learning, "_REFRESH_EVERY_S", 0.001)
    monkeypatch.setattr(Prerouting, "forget", forget)
    monkeypatch.setattr(Learning, "erase", erase)
    with inside(tmp_path) as gateway:
        assert forgotten == []
        gateway.run(SqliteOutcomes(gateway.stores.database).erase(tenant="somebody"))
        gateway.run(over.wait())
        assert forgotten == ["vectors ", "texts "]
