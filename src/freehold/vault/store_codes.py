r"""Vectors once more, a byte a number: which pieces of a large tenant can be among the nearest at all.

An exact search reads four bytes a number, of every piece. This reads one, and knows how wrong it can be: a vector
:math:`x` of length 1 is kept as :math:`s c` with whole numbers :math:`c`, and with it :math:`e = |x - s c|`. For a
question :math:`q` of length 1, :math:`q \cdot x` lies within :math:`q \cdot s c \pm e` (Cauchy and Schwarz). What
cannot reach the k-th best lower end is left out; what remains is compared exactly, so that nothing is lost.

Vectors are turned first, by random signs and Hadamard's matrix: a few numbers that are always large would make the
steps of all the others wide (Ailon and Chazelle, The fast Johnson-Lindenstrauss transform, 2009, section 2).
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from freehold.vault.store_access import Reach
from freehold.vault.store_database import Database
from freehold.vault.store_schema import ORDINAL_BITS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

TABLE = """
CREATE TABLE code (id INTEGER PRIMARY KEY, head BLOB NOT NULL, body BLOB NOT NULL);
"""
BLOCK_BITS = 8
BLOCK = 1 << BLOCK_BITS
"""Pieces whose codes lie together; those that are no longer there, or have no vector, have the access 0."""

_HEAD = [("step", "<f4"), ("error", "<f4"), ("access", "<i8")]
_HEAD_BYTES = 16
_ROUNDING = 1e-4
"""More than what sums of single-precision products are off by; two vectors of length 1 with a thousand numbers."""
_BLOCKS_OF_TENANT_BITS = ORDINAL_BITS - BLOCK_BITS


def put(connection: Database, vectors: Iterable[tuple[int, bytes]], *, access: int) -> None:
    """Keep pieces' vectors, in the order of their ids."""
    import numpy as np

    for block, found in itertools.groupby(vectors, key=lambda each: each[0] >> BLOCK_BITS):
        pieces = list(found)
        rows = np.array([chunk_id % BLOCK for chunk_id, _ in pieces])
        given = np.frombuffer(b"".join(vector for _, vector in pieces), dtype="<f4").reshape(len(pieces), -1)
        turned, lengths = _turned(given)
        step = np.abs(turned).max(axis=1) / 127
        with np.errstate(divide="ignore", invalid="ignore"):
            codes = np.rint(turned / step[:, None])
        # A vector without a length is like nothing: it is never found.
        is_there = np.isfinite(codes).all(axis=1) & (lengths > 0)
        codes = np.where(is_there[:, None], codes, 0)
        head = np.zeros(len(pieces), dtype=_HEAD)
        head["step"] = np.where(is_there, step, 0)
        head["error"] = np.linalg.norm(turned - codes * step[:, None], axis=1) + _ROUNDING
        head["access"] = np.where(is_there, access, 0)
        _write(connection, block, rows, head, codes.astype(np.int8))


def set_access(connection: Database, *, low: int, count: int, access: int) -> None:
    """Give pieces another access."""
    for block, first, last in _blocks(low, count):
        for (head,) in connection.execute("SELECT head FROM code WHERE id = ?", (block,)).fetchall():
            changed = _heads(head).copy()
            part = changed[first:last]
            part["access"][part["access"] != 0] = access
            connection.execute("UPDATE code SET head = ? WHERE id = ?", (changed.tobytes(), block))


def remove(connection: Database, *, low: int, count: int) -> None:
    """Write nothing over pieces' codes."""
    import numpy as np

    for block, first, last in _blocks(low, count):
        for (size_bytes,) in connection.execute("SELECT length(body) FROM code WHERE id = ?", (block,)).fetchall():
            rows = np.arange(first, last)
            nothing = np.zeros((len(rows), size_bytes // BLOCK), dtype=np.int8)
            _write(connection, block, rows, np.zeros(len(rows), dtype=_HEAD), nothing)


def can_be_nearest(
    connection: Database,
    vector: bytes,
    *,
    reach: Reach,
    ranges: Sequence[tuple[int, int]] | None,
    limit: int,
) -> list[int]:
    """Pieces among which the nearest ones are, with all that are as near as the last of them.

    Args:
        connection: In a transaction.
        vector: What is asked.
        reach: What the reader may read.
        ranges: Ordinals (first, count) of which a piece must be; ``None`` for no such bound.
        limit: How many of the nearest are wanted, at least one.
    """
    import numpy as np

    turned, lengths = _turned(np.frombuffer(vector, dtype="<f4")[None, :])
    if not lengths[0]:
        return []
    first = reach.tenant << _BLOCKS_OF_TENANT_BITS
    query = "SELECT id, head, body FROM code WHERE id BETWEEN ? AND ?"
    blocks: list[int] = []
    heads: list[bytes] = []
    products: list[Floats] = []
    for block, head, body in connection.execute(query, (first, first + (1 << _BLOCKS_OF_TENANT_BITS) - 1)):
        if ranges is None or any(_overlap(each, (block - first) << BLOCK_BITS) for each in ranges):
            blocks.append(block)
            heads.append(head)
            products.append(np.frombuffer(body, dtype=np.int8).reshape(BLOCK, -1).astype(np.float32) @ turned[0])
    if not blocks:
        return []
    told = _heads(b"".join(heads))
    ids = ((np.array(blocks)[:, None] << BLOCK_BITS) + np.arange(BLOCK)).reshape(-1)
    is_meant = told["access"] != 0 if reach.all else np.isin(told["access"], np.array(reach.allowed))
    if ranges is not None:
        is_meant &= _within(ranges, ids & ((1 << ORDINAL_BITS) - 1))
    likeness = (np.concatenate(products) * told["step"])[is_meant]
    error = told["error"][is_meant]
    ids, lower = ids[is_meant], likeness - error
    if len(ids) > limit:
        reached = np.partition(lower, len(lower) - limit)[len(lower) - limit]
        ids = ids[likeness + error >= reached]
    return ids.tolist()


def fill(connection: Database) -> None:
    """Make the table, with a code for each vector there is."""
    connection.execute(TABLE)
    query = "SELECT chunk, access, embedding FROM vector"
    found = sorted(connection.execute(query).fetchall(), key=lambda row: (row[1], row[0]))
    for access, rows in itertools.groupby(found, key=lambda row: row[1]):
        put(connection, ((chunk_id, vector) for chunk_id, _, vector in rows), access=access)


def _turned(vectors: Floats) -> tuple[Floats, Floats]:
    """Vectors made 1 long and turned, and how long they were."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = np.where(lengths[:, None] > 0, vectors / lengths[:, None], 0)
    dimensions = vectors.shape[1]
    signs, matrix = _turn(dimensions)
    return ((unit * signs).reshape(-1, len(matrix)) @ matrix).reshape(-1, dimensions).astype(np.float32), lengths


@functools.lru_cache(maxsize=4)
def _turn(dimensions: int) -> tuple[Floats, Floats]:
    """Signs, and Hadamard's matrix of the largest power of two that divides ``dimensions``."""
    import numpy as np

    drawn = hashlib.shake_128(b"freehold vault codes").digest(-(-dimensions // 8))
    signs = np.unpackbits(np.frombuffer(drawn, dtype=np.uint8))[:dimensions].astype(np.float32) * 2 - 1
    matrix = np.ones((1, 1), dtype=np.float32)
    while len(matrix) < dimensions & -dimensions:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return signs, matrix / np.sqrt(np.float32(len(matrix)))


def _heads(head: bytes) -> npt.NDArray[np.void]:
    import numpy as np

    return np.frombuffer(head, dtype=_HEAD)


def _blocks(low: int, count: int) -> Iterable[tuple[int, int, int]]:
    """Each block that pieces from the id ``low`` lie in: its number, and their first place and last but one in it."""
    end = low + count
    for block in range(low >> BLOCK_BITS, -(-end >> BLOCK_BITS)):
        begins = block << BLOCK_BITS
        yield block, max(low - begins, 0), min(end - begins, BLOCK)


def _overlap(bounds: tuple[int, int], begins: int) -> bool:
    """Whether ordinals (first, count) have one in the block that begins at an ordinal."""
    first, count = bounds
    return first < begins + BLOCK and begins < first + count


def _within(ranges: Sequence[tuple[int, int]], ordinals: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which of the ordinals, that rise, lie in one of the ranges."""
    import numpy as np

    inside = np.zeros(len(ordinals), dtype=np.bool_)
    for first, count in ranges:
        low, high = np.searchsorted(ordinals, (first, first + count))
        inside[low:high] = True
    return inside


def _write(
    connection: Database,
    block: int,
    rows: npt.NDArray[np.int64],
    head: npt.NDArray[np.void],
    codes: npt.NDArray[np.int8],
) -> None:
    """Write over what lies at consecutive or single places of a block, and over nothing else."""
    dimensions = codes.shape[1]
    connection.execute(
        "INSERT INTO code VALUES (?, zeroblob(?), zeroblob(?)) ON CONFLICT (id) DO NOTHING",
        (block, BLOCK * _HEAD_BYTES, BLOCK * dimensions),
    )
    for column, width, values in (("head", _HEAD_BYTES, head), ("body", dimensions, codes)):
        # In place: a whole block anew for each document would be written many times over.
        with connection.blob_open("main", "code", column, block, True) as blob:
            for row, value in zip(rows.tolist(), values, strict=True):
                blob.seek(row * width)
                blob.write(value.tobytes())
