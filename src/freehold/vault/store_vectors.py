"""Search by vectors, with the tenant and what may be read inside the nearest-neighbour search."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from freehold.domain.vault import Hit
from freehold.vault import store_codes
from freehold.vault.store_access import Reach
from freehold.vault.store_database import Database
from freehold.vault.store_schema import ORDINAL_BITS

K_MAX = 4096
"""sqlite-vec's own bound."""

CODES_FROM = 16_384
"""Pieces from which it is faster to see by their codes which ones can be near, than to compare all."""

_COMPARED_MAX = 2_048
"""Pieces to look up one by one: with more of them comparing all is faster."""


def put(connection: Database, vectors: Iterable[tuple[int, bytes]], *, tenant: int, access: int) -> None:
    """Give pieces of one document their vectors."""
    given = sorted(vectors)
    connection.executemany(
        "INSERT INTO vector (chunk, tenant, access, embedding) VALUES (?, ?, ?, ?)",
        ((chunk_id, tenant, access, vector) for chunk_id, vector in given),
    )
    store_codes.put(connection, given, access=access)


def set_access(connection: Database, *, low: int, count: int, access: int) -> None:
    """Give pieces another access."""
    for chunk_id in range(low, low + count):
        connection.execute("UPDATE vector SET access = ? WHERE chunk = ?", (access, chunk_id))
    store_codes.set_access(connection, low=low, count=count, access=access)


def remove(connection: Database, *, low: int, count: int) -> None:
    """Take pieces' vectors out."""
    for chunk_id in range(low, low + count):
        connection.execute("DELETE FROM vector WHERE chunk = ?", (chunk_id,))
    store_codes.remove(connection, low=low, count=count)


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
    if limit < 1:
        return []
    if _meant(connection, reach, ranges) >= CODES_FROM:
        near = store_codes.can_be_nearest(connection, vector, reach=reach, ranges=ranges, limit=limit)
        if len(near) <= _COMPARED_MAX:
            return _of(connection, vector, near)[:limit]
    return _of_all(connection, vector, reach=reach, ranges=ranges, limit=limit)


def _meant(connection: Database, reach: Reach, ranges: Sequence[tuple[int, int]] | None) -> int:
    """How many pieces are compared, at most."""
    if ranges is not None:
        return sum(count for _, count in ranges)
    ((count,),) = connection.execute("SELECT ordinals FROM tenant WHERE id = ?", (reach.tenant,)).fetchall()
    return count


def _of(connection: Database, vector: bytes, chunk_ids: Sequence[int]) -> list[Hit]:
    """These pieces, best first."""
    # One statement with all of the ids would look at every row: vec0 finds one by its key, and no list of them.
    query = "SELECT chunk, vec_distance_cosine(embedding, ?) FROM vector WHERE chunk = ?"
    return _ordered(connection.executemany(query, ((vector, chunk_id) for chunk_id in chunk_ids)))


def _ordered(found: Iterable[tuple[int, float]]) -> list[Hit]:
    ordered = sorted(found, key=lambda row: (row[1], row[0]))
    return [Hit(chunk_id=chunk_id, score=1.0 - distance) for chunk_id, distance in ordered]


def _of_all(
    connection: Database, vector: bytes, *, reach: Reach, ranges: Sequence[tuple[int, int]] | None, limit: int
) -> list[Hit]:
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
    return _ordered(found)[:limit]
