"""Items that wait alone, and what their results are labelled with."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from freehold.api.batch_item import ItemAnswer
from freehold.domain.batch import cancelled
from freehold.domain.errors.limits import LimitTooSmall
from freehold.serving import batch_turns
from tests.unit.app.test_batch_runner import DOWN, House, Items, run


class Labelled(Items):
    """Its answers have labels, by the names of their items."""

    def __init__(self, labels: dict[str, str]) -> None:
        super().__init__()
        self.labels = labels

    async def run(self, body: bytes, **more: Any) -> ItemAnswer:
        answer = await super().run(body, **more)
        return replace(answer, label=self.labels.get(json.loads(body)["name"], ""))


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.setattr(batch_turns, "_PAUSE_S_MIN", 0.01)
    made = House(tmp_path)
    yield made
    made.database.close()


def test_an_item_that_is_too_large_for_what_is_left_does_not_hold_up_the_others(house):
    said = dict.fromkeys(("wanted", "subject", "left", "limit", "window", "resets", "retry_s"), "x")
    house.items.script = {"large": [LimitTooSmall(source="freehold", param=None, retry_after_s=900, **said)]}

    async def scenario(runner):
        await house.put(1, ["large", *["small"] * 20])
        while house.items.asked.count("small") < 20:
            await asyncio.sleep(0.005)
        await house.change(1, lambda batch: cancelled(batch, unix_ms=1))
        runner.nudge()
        return await house.over(1)

    batch = run(house, scenario)
    assert (batch.completed, house.items.asked.count("large")) == (20, 1)


def test_files_of_results_carry_the_labels_of_all_that_is_in_them(house):
    labels = {"from a route": "restricted;zones=device;kinds=pii", "another": "confidential;zones=lan"}
    house.items = Labelled(labels)
    house.items.script = {"bad": [DOWN.again() for _ in range(9)]}

    async def scenario(_runner):
        await house.put(1, ["from a route", "another", "plain", "bad"], label="internal")
        batch = await house.over(1)
        files = [
            await house.files.get(each, tenant=None, unix_ms=0) for each in (batch.output_file_id, batch.error_file_id)
        ]
        return [each.label for each in files]

    assert run(house, scenario) == ["restricted;zones=device;kinds=pii", "internal;zones=world"]
