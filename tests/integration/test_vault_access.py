"""Permissions change at random while people search: nobody finds what is forbidden, and everybody finds all the rest."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from freehold.domain.vault_ports import VaultStore
from tests.support.shared_data import shared_data
from tests.support.vaults import with_store, with_store_by_codes

pytest.importorskip("apsw")
pytest.importorskip("sqlite_vec")
pytest.importorskip("numpy")

from tests.support.vault_access import DIMENSIONS, Outcome, scifact, small


@pytest.mark.parametrize("opened", [with_store, with_store_by_codes])
def test_changed_permissions_hold_from_the_next_search_on(tmp_path: Path, opened: Any) -> None:
    chance = random.Random(1)
    world, questions = small(80, chance)

    async def scenario(store: VaultStore) -> Outcome:
        await world.fill(store)
        return await world.run(store, 150, chance, questions)

    outcome = opened(tmp_path / "vault.db", scenario, dimensions=DIMENSIONS)
    assert outcome.hits > 300
    assert (outcome.forbidden, outcome.different) == (0, 0)


def test_nobody_finds_a_forbidden_abstract(tmp_path: Path) -> None:
    """``bench.vault.access`` does so with all of them and 10,000 changes."""
    chance = random.Random(2)
    world, questions = scifact(shared_data("vault", "scifact"))
    world = world.part(300)

    async def scenario(store: VaultStore) -> Outcome:
        await world.fill(store)
        outcome = await world.run(store, 50, chance, questions)
        await world.everybody(store, chance, questions[:10], outcome)
        return outcome

    outcome = with_store(tmp_path / "vault.db", scenario, dimensions=DIMENSIONS)
    assert outcome.hits > 300
    assert (outcome.forbidden, outcome.different) == (0, 0)
