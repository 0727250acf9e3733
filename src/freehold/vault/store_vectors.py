"""Search by vectors, with the tenant and what may be read inside the nearest-neighbour search."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from freehold.domain.vault import Hit
from freehold.vault.store_access import Reach
from freehold.vault.store_database import Database
from freehold.vault.store_schema import ORDINAL_BITS

K_MAX = 4096
"""sqlite-vec's own bound."""


def put(connection: Database, vectors: Iterable[tuple[int, bytes]], *, tenant: int, access: int) -> None:
    """Give pieces of one document their vectors."""
    connection.executemany(
        "INSERT INTO vector (chunk, tenant, access, embedding) VALUES (?, ?, ?, ?)",
        ((chunk_id, tenant, access, vector) for chunk_id, vector in vectors),
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
    reach: Reach,
    ranges: Sequence[tuple[int, int]] | None,
    limit: int,
) -> list[Hit]:
    """Pieces by the cosine, best first, exactly; of equal ones the older first.

    Args:
        connection: In a transaction.
        vector: What is asked.
        reach: What the reader may read.
        ranges: Ordinals (first, count) of which a hit must be; ``None`` for no such bound.
        limit: Hits at most; 4,096 are as many as there can be.
    """
    query = "SELECT chunk, distance FROM vector WHERE tenant = ? AND embedding MATCH ? AND k = ?"
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
        found = connection.execute(query, (reach.tenant, vector, asked, *values)).fetchall()
        if len(found) < asked or asked == K_MAX or found[-1][1] > found[limit - 1][1]:
            break
        asked *= 4
    found.sort(key=lambda row: (row[1], row[0]))
    return [Hit(chunk_id=chunk_id, score=1.0 - distance) for chunk_id, distance in found[:limit]]
