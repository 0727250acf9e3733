"""A server that says that it counts no tokens is asked again after a while."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from freehold.engines.openai_compatible import OpenAICompatibleEngine
from freehold.engines.remote import NO_COUNT_S
from tests.support.gateway import ManualClock
from tests.unit.app.test_outliers import engine


def test_one_404_does_not_make_every_count_an_estimate_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, answers = ManualClock(), [None, 7]

    async def computed(*_: object, **__: object) -> int | None:
        return answers.pop(0)

    monkeypatch.setattr(OpenAICompatibleEngine, "_computed", computed)
    made = engine("a", clock, failures=0, calls=0)
    call: Any = None
    assert made.counts
    assert asyncio.run(made.count(call, permit=None, deadline_s=1.0)) is None
    assert not made.counts
    clock.now_s += NO_COUNT_S - 1
    assert not made.counts
    clock.now_s += 1
    assert made.counts
    assert asyncio.run(made.count(call, permit=None, deadline_s=1.0)) == 7
    assert made.counts
