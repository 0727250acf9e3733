"""Giving vectors to pieces that have none yet, behind everything else."""

from __future__ import annotations

from collections.abc import AsyncIterator

from freehold.domain.vault_ports import Embedder, VaultStore

BATCH = 32
"""Pieces that get their vectors together: what is lost at most where the process ends."""


async def fill(store: VaultStore, embedder: Embedder) -> AsyncIterator[int]:
    """Give vectors to all pieces without one, oldest first; yields how many have got theirs, after each batch.

    Two processes that do so at once do some of the work twice and nothing wrong.

    Raises:
        VaultError: The model gives no vectors now, or the store takes nothing; what has vectors keeps them.
    """
    done, last = 0, frozenset[int]()
    while batch := await store.without_vectors(BATCH):
        ids = frozenset(number for number, _ in batch)
        if ids == last:  # they were given, and are asked for again: the store would have it so for ever
            return
        last = ids
        vectors = await embedder.passages([text for _, text in batch])
        await store.put_vectors({number: vector for (number, _), vector in zip(batch, vectors, strict=True)})
        done += len(batch)
        yield done
