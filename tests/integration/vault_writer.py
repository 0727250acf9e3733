"""Adds, relabels and erases documents of a vault, and says each on a line of its own once it is done, until killed."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from freehold.domain.labels import Level
from freehold.domain.vault import Readers
from freehold.vault.store import open_store
from tests.support.vaults import DIMENSIONS, KEY, MODEL, made


def say(*words: object) -> None:
    """One line, at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def main(path: Path, name: str) -> None:
    """Write for ever."""
    chance = random.Random(name)
    store = await open_store(path, key=KEY, model=MODEL, dimensions=DIMENSIONS)
    mine: list[str] = []
    say("open", name)
    while True:
        number = f"{name}-{len(mine)}"
        texts = [f"word {number} piece{at} " + "x" * chance.randrange(3000) for at in range(chance.randrange(1, 6))]
        await made(number, *texts).into(store, vectors=chance.random() < 0.8)
        mine.append(number)
        say("added", number)
        if chance.random() < 0.2:
            target = chance.choice(mine)
            if await store.relabel(target, tenant="home", label="x", readers=Readers(level=Level.RESTRICTED)):
                say("hidden", target)
        if chance.random() < 0.1:
            target = chance.choice(mine)
            say("erasing", target)
            await store.erase([target], tenant="home")
            say("erased", target)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
