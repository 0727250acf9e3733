"""The documented path is the executed path."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

from freehold.domain.vault import VaultAsk
from tests.support.fake_vault import FakeVault, passage
from tests.unit.gateway.test_pipeline import chat, engine, house

ARCHITECTURE = (Path(__file__).parents[3] / "ARCHITECTURE.md").read_text(encoding="utf-8")
REPEATED = ("admit", "attempt", "judge", "verdict")


def test_executed_steps_are_those_of_the_architecture_page() -> None:
    table = re.findall(r"^\| `(\w+)` \|", ARCHITECTURE, re.MULTILINE)
    at = house(engine("small"), engine("large"))
    at.vault = FakeVault(kept=(passage("the answer is 43"),))
    asyncio.run(at.ask(replace(chat(), vault=VaultAsk())))
    once = list(dict.fromkeys(at.receipt.steps))
    assert once == table
    before, after = list(at.receipt.steps[: table.index("admit")]), at.receipt.steps[-1]
    assert list(at.receipt.steps) == [*before, *REPEATED, *REPEATED, after]


def test_who_asks_for_no_documents_has_none_looked_for() -> None:
    table = re.findall(r"^\| `(\w+)` \|", ARCHITECTURE, re.MULTILINE)
    at = house(engine("small"), engine("large"))
    asyncio.run(at.ask(chat()))
    assert list(dict.fromkeys(at.receipt.steps)) == [step for step in table if step != "retrieve"]
