"""The documented path is the executed path."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from tests.unit.gateway.test_pipeline import chat, engine, house

ARCHITECTURE = (Path(__file__).parents[3] / "ARCHITECTURE.md").read_text(encoding="utf-8")
REPEATED = ("admit", "attempt", "judge", "verdict")


def test_executed_steps_are_those_of_the_architecture_page() -> None:
    table = re.findall(r"^\| `(\w+)` \|", ARCHITECTURE, re.MULTILINE)
    at = house(engine("small"), engine("large"))
    asyncio.run(at.ask(chat()))
    once = list(dict.fromkeys(at.receipt.steps))
    assert once == table
    before, after = list(at.receipt.steps[: table.index("admit")]), at.receipt.steps[-1]
    assert list(at.receipt.steps) == [*before, *REPEATED, *REPEATED, after]
