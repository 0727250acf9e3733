"""In which order a gateway comes to life."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from freehold.app.batch_runner import BatchRunner
from freehold.identity.quotas import Quotas
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
