"""Search by words: postings in blocks, and BM25 by what the reader may read.

SQLite's own bm25 counts over every document, so a hidden one changes the order and the scores of those that are seen.
Here the number of pieces, how many have a term, and their mean length are all of the reader's own view.

A tenant's pieces have ordinals from 0. A block is ``BLOCK`` of them. Of each block the file keeps its view (length in
terms and access of each piece; access 0: none there) and, for each term, which pieces have it how often.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from freehold.domain.vault import Hit
from freehold.vault.store_access import Reach
from freehold.vault.store_database import Database
from freehold.vault.store_schema import ORDINAL_BITS
from freehold.vault.store_seal import fingerprint
from freehold.vault.words import asked_terms, kept_terms

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

BLOCK = 1024
K1, B = 1.2, 0.75
_BLOCK_BITS = 24
_LAST_BLOCK = (1 << _BLOCK_BITS) - 1
_OFTEN_MAX = 65_535


@dataclass(frozen=True, slots=True)
class _View:
    """A tenant's pieces, as far as blocks have any.

    Attributes:
        bases: By block: where its pieces begin below; -1 for a block that isn't there.
        ordinals: Of each piece.
        lengths: Of each piece, in terms.
        access: Of each piece; 0 for one that isn't there.
    """

    bases: npt.NDArray[np.int64]
    ordinals: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.uint32]
    access: npt.NDArray[np.uint32]


def index(connection: Database, *, pepper: bytes, tenant: int, first: int, access: int, texts: Sequence[str]) -> bytes:
    """Put pieces with the ordinals from ``first`` into the postings; the terms that they have, for ``unindex``."""
    import numpy as np

    postings: defaultdict[str, defaultdict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    lengths: list[int] = []
    for at, text in enumerate(texts, start=first):
        counted = Counter(kept_terms(text).split())
        lengths.append(counted.total())
        block, local = divmod(at, BLOCK)
        for term, often in counted.items():
            postings[term][block] += (local, min(often, _OFTEN_MAX))
    numbers = _term_numbers(connection, pepper, tenant, postings)
    connection.executemany(
        "INSERT INTO posting VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET data = CAST(data || excluded.data AS BLOB)",
        (
            (numbers[term] << _BLOCK_BITS | block, np.array(pairs, dtype="<u2").tobytes())
            for term, blocks in postings.items()
            for block, pairs in blocks.items()
        ),
    )
    _write_view(connection, tenant, first, lengths=lengths, access=[access] * len(lengths))
    return np.array(sorted(numbers.values()), dtype="<u4").tobytes()


def set_access(connection: Database, *, tenant: int, first: int, count: int, access: int) -> None:
    """Give pieces another access."""
    _write_view(connection, tenant, first, access=[access] * count)


def unindex(connection: Database, *, tenant: int, first: int, count: int, terms: bytes) -> None:
    """Take pieces out of the postings, and with them the terms that no other piece of the tenant has."""
    import numpy as np

    if not count:
        return
    last_block = (first + count - 1) // BLOCK
    for number in np.frombuffer(terms, dtype="<u4").tolist():
        for block in range(first // BLOCK, last_block + 1):
            key = number << _BLOCK_BITS | block
            for (data,) in connection.execute("SELECT data FROM posting WHERE id = ?", (key,)).fetchall():
                pairs = np.frombuffer(data, dtype="<u2").reshape(-1, 2)
                at = pairs[:, 0].astype(np.int64) + block * BLOCK
                left = pairs[(at < first) | (at >= first + count)]
                if len(left):
                    connection.execute("UPDATE posting SET data = ? WHERE id = ?", (left.tobytes(), key))
                else:
                    connection.execute("DELETE FROM posting WHERE id = ?", (key,))
        connection.execute(
            "DELETE FROM term WHERE id = ? AND NOT EXISTS (SELECT 1 FROM posting WHERE id BETWEEN ? AND ?)",
            (number, number << _BLOCK_BITS, number << _BLOCK_BITS | _LAST_BLOCK),
        )
    _write_view(connection, tenant, first, lengths=[0] * count, access=[0] * count)


def search(
    connection: Database,
    text: str,
    *,
    pepper: bytes,
    reach: Reach,
    ranges: Iterable[tuple[int, int]] | None,
    limit: int,
) -> list[Hit]:
    """Pieces by their words.

    BM25 as Lucene has it, k1 1.2 and b 0.75: ``idf = ln(1 + (N - n + .5) / (n + .5))``, and for a term that a piece of
    length l has f times ``idf * f * (k1 + 1) / (f + k1 * (1 - b + b * l / mean))``. Equal scores: the older piece first.

    Args:
        connection: In a transaction.
        text: What is asked.
        pepper: The vault's own secret.
        reach: What the reader may read.
        ranges: Ordinals (first, count) of which a hit must be; ``None`` for no such bound. They don't change scores.
        limit: Hits at most.
    """
    import numpy as np

    view = _read_view(connection, reach.tenant)
    if view is None:
        return []
    readable = _readable(view, reach)
    count = int(readable.sum())
    if not count:
        return []
    mean = max(int(view.lengths[readable].sum(dtype=np.int64)) / count, 1.0)
    norms = K1 * (1 - B + B * view.lengths / mean)
    scores = np.zeros(len(norms))
    for number in _asked_numbers(connection, pepper, reach.tenant, text).values():
        positions, often = _postings(connection, number, view)
        seen = readable[positions]
        positions, often = positions[seen], often[seen]
        if len(positions):
            scores[positions] += _idf(len(positions), count) * (K1 + 1) * often / (often + norms[positions])
    if ranges is not None:
        scores *= _within(view, ranges)
    return [
        Hit(chunk_id=reach.tenant << ORDINAL_BITS | int(view.ordinals[at]), score=float(scores[at]))
        for at in _best(scores, limit)
    ]


def rarity(connection: Database, text: str, *, pepper: bytes, reach: Reach | None) -> dict[str, float]:
    """The ``idf`` that ``search`` uses of each term that is asked for and that a piece in reach has."""
    view = None if reach is None else _read_view(connection, reach.tenant)
    if reach is None or view is None:
        return {}
    readable = _readable(view, reach)
    count = int(readable.sum())
    found: dict[str, float] = {}
    for term, number in _asked_numbers(connection, pepper, reach.tenant, text).items():
        having = int(readable[_postings(connection, number, view)[0]].sum())
        if having:
            found[term] = _idf(having, count)
    return found


def _idf(having: int, count: int) -> float:
    return math.log(1 + (count - having + 0.5) / (having + 0.5))


def _readable(view: _View, reach: Reach) -> npt.NDArray[np.bool_]:
    """Which pieces of the view are in reach."""
    import numpy as np

    table = np.zeros(int(view.access.max()) + 1, dtype=bool)
    table[[number for number in reach.allowed if number < len(table)]] = True
    return table[view.access]


def _best(scores: npt.NDArray[np.float64], limit: int) -> Iterable[int]:
    import numpy as np

    found = np.flatnonzero(scores)
    if len(found) > limit:
        least = np.partition(scores[found], len(found) - limit)[len(found) - limit]
        found = found[scores[found] >= least]
    # Stable: among equal scores the older piece stays first.
    return found[np.argsort(-scores[found], kind="stable")][:limit].tolist()


def _within(view: _View, ranges: Iterable[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    import numpy as np

    edges = np.array([(first, first + count) for first, count in ranges], dtype=np.int64).reshape(-1, 2)
    steps = np.zeros(len(view.ordinals) + 1, dtype=np.int64)
    np.add.at(steps, np.searchsorted(view.ordinals, edges[:, 0]), 1)
    np.add.at(steps, np.searchsorted(view.ordinals, edges[:, 1]), -1)
    return np.cumsum(steps)[:-1] > 0


def _read_view(connection: Database, tenant: int) -> _View | None:
    import numpy as np

    low = tenant << _BLOCK_BITS
    rows = connection.execute("SELECT id, data FROM view WHERE id BETWEEN ? AND ?", (low, low | _LAST_BLOCK)).fetchall()
    if not rows:
        return None
    blocks = np.array([number & _LAST_BLOCK for number, _ in rows], dtype=np.int64)
    bases = np.full(int(blocks[-1]) + 1, -1, dtype=np.int64)
    bases[blocks] = np.arange(len(blocks)) * BLOCK
    held = np.frombuffer(b"".join(data for _, data in rows), dtype="<u4").reshape(-1, 2, BLOCK)
    ordinals = (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()
    return _View(bases, ordinals, held[:, 0].ravel(), held[:, 1].ravel())


def _write_view(
    connection: Database, tenant: int, first: int, *, access: Sequence[int], lengths: Sequence[int] | None = None
) -> None:
    """Change what the view says of the pieces from ``first``."""
    import numpy as np

    done = 0
    while done < len(access):
        block, local = divmod(first + done, BLOCK)
        here = min(BLOCK - local, len(access) - done)
        key = tenant << _BLOCK_BITS | block
        rows = connection.execute("SELECT data FROM view WHERE id = ?", (key,)).fetchall()
        held: Any = (
            np.frombuffer(rows[0][0], dtype="<u4").reshape(2, BLOCK).copy() if rows else np.zeros((2, BLOCK), "<u4")
        )
        if lengths is not None:
            held[0, local : local + here] = lengths[done : done + here]
        held[1, local : local + here] = access[done : done + here]
        if held[1].any():
            connection.execute(
                "INSERT INTO view VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET data = excluded.data",
                (key, held.tobytes()),
            )
        else:
            connection.execute("DELETE FROM view WHERE id = ?", (key,))
        done += here


def _term_numbers(connection: Database, pepper: bytes, tenant: int, terms: Iterable[str]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for term in terms:
        row = (_fingerprint(pepper, tenant, term),)
        found = connection.execute("SELECT id FROM term WHERE fingerprint = ?", row).fetchall()
        if not found:
            connection.execute("INSERT INTO term (fingerprint) VALUES (?)", row)
            numbers[term] = connection.last_insert_rowid()
        else:
            numbers[term] = found[0][0]
    return numbers


def _asked_numbers(connection: Database, pepper: bytes, tenant: int, text: str) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for term in asked_terms(text):
        row = (_fingerprint(pepper, tenant, term),)
        for (number,) in connection.execute("SELECT id FROM term WHERE fingerprint = ?", row).fetchall():
            numbers[term] = number
    return numbers


def _fingerprint(pepper: bytes, tenant: int, term: str) -> int:
    return fingerprint(pepper, "term", str(tenant), term)


def _postings(connection: Database, number: int, view: _View) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Which pieces have a term, as positions in the view, and how often."""
    import numpy as np

    low = number << _BLOCK_BITS
    rows = connection.execute(
        "SELECT id, data FROM posting WHERE id BETWEEN ? AND ?", (low, low | _LAST_BLOCK)
    ).fetchall()
    pairs = np.frombuffer(b"".join(data for _, data in rows), dtype="<u2").reshape(-1, 2)
    bases = view.bases[[key & _LAST_BLOCK for key, _ in rows]]
    positions = pairs[:, 0] + np.repeat(bases, [len(data) // 4 for _, data in rows])
    return positions, pairs[:, 1].astype(np.float64)
