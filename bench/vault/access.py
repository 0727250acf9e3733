"""The vault's store on SciFact with its access overlay, while permissions change at random.

Usage: ``python -m bench.vault.access [--changes N]``. Each search is compared with one that looks at every readable
abstract. The data are found as the tests find them: ``FREEHOLD_TEST_DATA``, else ``shared/data`` beside the checkout.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from bench.bars import Bar, bar_table, summary
from freehold.domain.vault_ports import VaultStore
from tests.support.shared_data import shared_data
from tests.support.vault_access import DIMENSIONS, Outcome, scifact
from tests.support.vaults import with_store


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=300)
    given = parser.parse_args()
    chance = random.Random(1)
    world, questions = scifact(shared_data("vault", "scifact"))
    asked = chance.sample(questions, given.questions)

    async def scenario(store: VaultStore) -> Outcome:
        began_s = time.perf_counter()
        await world.fill(store)
        print(f"{len(world.names):,} abstracts added in {time.perf_counter() - began_s:,.0f} s", flush=True)
        as_given = Outcome()
        await world.everybody(store, chance, asked, as_given)
        print(f"as given: {as_given}", flush=True)
        began_s = time.perf_counter()
        outcome = await world.run(store, given.changes, chance, questions)
        taken_s = time.perf_counter() - began_s
        print(f"changing: {outcome}, {1e3 * taken_s / max(given.changes, 1):,.1f} ms for a change and a search")
        for name in ("searches", "hits", "forbidden", "different"):
            setattr(outcome, name, getattr(outcome, name) + getattr(as_given, name))
        return outcome

    with tempfile.TemporaryDirectory() as folder:
        outcome = with_store(Path(folder) / "vault.db", scenario, dimensions=DIMENSIONS)
    bars = [
        Bar(what=f"forbidden among {outcome.hits:,} hits", measured=float(outcome.forbidden), needed=0, digits=0),
        Bar(
            what=f"of {outcome.searches:,} searches, those that differ from looking at all that may be read",
            measured=float(outcome.different),
            needed=0,
            digits=0,
        ),
        Bar(what="permission changes", measured=float(outcome.changes), needed=given.changes, is_floor=True, digits=0),
    ]
    print(bar_table(bars))
    print(summary(bars))


if __name__ == "__main__":
    main()
