"""Limits go on being read, whatever one reading met."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from freehold.app import house
from freehold.app.house import House
from freehold.domain.errors.server import StorageFailed


@pytest.mark.parametrize("error", [LookupError("full"), StorageFailed(name="freehold.db", done="read", reason="disk")])
def test_a_reading_that_fails_is_not_the_last(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house, "_LIMITS_EVERY_S", 0)
    readings = 0

    async def refresh() -> None:
        nonlocal readings
        readings += 1
        if readings > 1:
            raise asyncio.CancelledError
        raise error

    keeping = House._keep_limits(cast("Any", SimpleNamespace(_quotas=SimpleNamespace(refresh=refresh))))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(keeping)
    assert readings == 2
