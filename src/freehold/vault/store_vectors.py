"""Search by vectors, with the tenant and what may be read inside the nearest-neighbour search."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

from freehold.domain.vault import Hit
from freehold.vault.store_access import Reach
from freehold.vault.store_database import Database
from freehold.vault.store_schema import ORDINAL_BITS

_Seen = tuple[int, list[Hit]]
_ORDINALS = (1 << ORDINAL_BITS) - 1

K_MAX = 4096
"""sqlite-vec's own bound."""

PARTS = 2
"""Of a tenant's vectors, each searched by a thread of its own: a search reads all of them, and one thread reads slowly."""

_TRIES = 3
_TOGETHER = 4096
"""Pieces that follow one another are in one part, so that a small tenant has no more than one."""


def _part(chunk_id: int) -> int:
    tenant, ordinal = chunk_id >> ORDINAL_BITS, chunk_id & _ORDINALS
    return tenant * PARTS + ordinal // _TOGETHER % PARTS


async def by_parts(
    read: Callable[[Callable[[Database], _Seen]], Awaitable[_Seen]],
    look: Callable[[int, Database], list[Hit]],
    limit: int,
) -> list[Hit]:
    """Those of all parts, best first; of equal ones the older first.

    Each part is looked at in a transaction of its own. Where something was changed in between they saw different states, of
    which one may lack a document and the other too: then it is done again, and at last in one transaction.

    Args:
        read: Runs something in a transaction, on a thread.
        look: Searches one part.
        limit: Hits at most.
    """
    for _ in range(_TRIES):
        seen = await asyncio.gather(*(read(partial(_with_state, look, (part,))) for part in range(PARTS)))
        if len({state for state, _ in seen}) == 1:
            break
    else:
        seen = [await read(partial(_with_state, look, range(PARTS)))]
    return sorted((hit for _, hits in seen for hit in hits), key=lambda hit: (-hit.score, hit.chunk_id))[:limit]


def _with_state(look: Callable[[int, Database], list[Hit]], parts: Iterable[int], connection: Database) -> _Seen:
    ((state,),) = connection.execute("SELECT value FROM meta WHERE name = 'generation'").fetchall()
    return state, [hit for part in parts for hit in look(part, connection)]


def put(connection: Database, vectors: Iterable[tuple[int, bytes]], *, access: int) -> None:
    """Give pieces of one document their vectors."""
    connection.executemany(
        "INSERT INTO vector (chunk, part, access, embedding) VALUES (?, ?, ?, ?)",
        ((chunk_id, _part(chunk_id), access, vector) for chunk_id, vector in vectors),
    )


def set_access(connection: Database, *, low: int, count: int, access: int) -> None:
    """Give pieces another access."""
    for chunk_id in range(low, low + count):
        connection.execute("UPDATE vector SET access = ? WHERE chunk = ?", (access, chunk_id))


def remove(connection: Database, *, low: int, count: int) -> None:
    """Take pieces' vectors out."""
    for chunk_id in range(low, low + count):
        connection.execute("DELETE FROM vector WHERE chunk = ?", (chunk_id,))


def search(
    connection: Database,
    vector: bytes,
    *,
    part: int,
    reach: Reach,
    ranges: Sequence[tuple[int, int]] | None,
    limit: int,
) -> list[Hit]:
    """Pieces by the cosine, best first, exactly; of equal ones the older first.

    Args:
        connection: In a transaction.
        vector: What is asked.
        part: Which part of the tenant's is searched, from 0.
        reach: What the reader may read.
        ranges: Ordinals (first, count) of which a hit must be; ``None`` for no such bound.
        limit: Hits at most; 4,096 are as many as there can be.
    """
    query = "SELECT chunk, distance FROM vector WHERE part = ? AND embedding MATCH ? AND k = ?"
    values: list[object] = []
    if not reach.all:
        query += " AND access IN (SELECT value FROM json_each(?))"
        values.append(reach.json)
    if ranges is not None:
        low = reach.tenant << ORDINAL_BITS
        chunk_ids = [low + at for first, count in ranges for at in range(first, first + count)]
        query += " AND chunk IN (SELECT value FROM json_each(?))"
        values.append(json.dumps(chunk_ids))
    # Which of several equal ones the search keeps at its end depends on how they lie in the file, so it is asked for
    # more until the last ones differ.
    asked = limit + 1
    while True:
        asked = min(asked, K_MAX)
        found = connection.execute(query, (reach.tenant * PARTS + part, vector, asked, *values)).fetchall()
        if len(found) < asked or asked == K_MAX or found[-1][1] > found[limit - 1][1]:
            break
        asked *= 4
    found.sort(key=lambda row: (row[1], row[0]))
    return [Hit(chunk_id=chunk_id, score=1.0 - distance) for chunk_id, distance in found[:limit]]
