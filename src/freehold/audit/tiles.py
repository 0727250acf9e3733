"""Merkle trees in tiles: hashes and proofs of RFC 6962, file layout of C2SP tlog-tiles. Pure.

A tree of ``size`` entries is kept as tiles of 256 hashes. A hash in a tile of level L is the root of a perfect
subtree of 256**L entries. Where a function speaks of a *node*, it is a perfect subtree of ``2**level`` entries, the
``index``-th of its kind from the left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from freehold.domain.errors.audit import AuditBroken

TILE_WIDTH = 256
TILE_BITS = 8
HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

NodeReader = Callable[[int, int], bytes]
"""The hash of the node at (level, index)."""


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256 of 0x00 and the entry (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 0x01 and both children (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\1" + left + right).digest()


def subtree_root(hashes: Sequence[bytes]) -> bytes:
    """Root over the hashes of neighbouring perfect subtrees of one size, the last of which may be smaller.

    Pairing level by level, with an odd last one moved up, gives the tree of RFC 6962, section 2.1.

    Raises:
        ValueError: There are none.
    """
    if not hashes:
        raise ValueError("no hashes")
    row = list(hashes)
    while len(row) > 1:
        odd = row[-1:] if len(row) % 2 else []
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)] + odd
    return row[0]


# --- where tiles lie --------------------------------------------------------------------------------


def tile_path(level: int | None, index: int, width: int = TILE_WIDTH) -> str:
    """Path of a tile: ``tile/0/x001/x234/067`` or, cut to its first ``width`` hashes, ``….p/5``.

    Args:
        level: Level of the tile's hashes; ``None`` for the bundle of entries.
        index: Place from the left.
        width: Hashes or entries that there are, 1 to 256.
    """
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03d}")
    kind = "entries" if level is None else str(level)
    path = f"tile/{kind}/" + "/".join(reversed(groups))
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def tiles_of(level: int, size: int) -> tuple[int, int]:
    """Number of full tiles at ``level`` in a tree of ``size`` entries, and hashes in the partial one after them."""
    return divmod(size >> TILE_BITS * level, TILE_WIDTH)


def tile_levels(size: int) -> int:
    """Levels that hold at least one hash."""
    levels = 0
    while size >> TILE_BITS * levels:
        levels += 1
    return levels


# --- proofs -----------------------------------------------------------------------------------------


def range_root(low: int, high: int, node: NodeReader) -> bytes:
    """Root over the entries ``low`` to ``high`` (excluded), a range that RFC 6962's splitting arrives at."""
    count = high - low
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return node(level, low >> level)
    split = _split(count)
    return node_hash(range_root(low, low + split, node), range_root(low + split, high, node))


def inclusion_path(index: int, size: int, node: NodeReader) -> tuple[bytes, ...]:
    """Audit path of entry ``index`` in the tree of ``size`` entries, nearest the leaf first (RFC 6962, section 2.1.1).

    Raises:
        ValueError: There is no such entry.
    """
    if not 0 <= index < size:
        raise ValueError(f"no entry {index} in a tree of {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(range_root(middle, high, node))
            high = middle
        else:
            path.append(range_root(low, middle, node))
            low = middle
    return tuple(reversed(path))


def root_from_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that a leaf hash and its audit path lead to (RFC 9162, section 2.1.3.2).

    Raises:
        AuditBroken: The path does not fit the place.
    """
    if not 0 <= index < size:
        raise AuditBroken(reason=f"there is no entry {index} in a tree of {size}")
    place, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise AuditBroken(reason=f"the proof of entry {index} is too long")
        if place % 2 or place == last:
            root = node_hash(sibling, root)
            while place % 2 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise AuditBroken(reason=f"the proof of entry {index} is too short")
    return root


def consistency_path(old: int, new: int, node: NodeReader) -> tuple[bytes, ...]:
    """Proof that the tree of ``old`` entries is a beginning of the tree of ``new`` ones (RFC 6962, section 2.1.2).

    Raises:
        ValueError: Not 0 < old <= new.
    """
    if not 0 < old <= new:
        raise ValueError(f"no proof from {old} to {new}")
    path: list[bytes] = []
    low, high, whole = 0, new, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(range_root(middle, high, node))
            high = middle
        else:
            path.append(range_root(low, middle, node))
            low, whole = middle, False
    if not whole:
        path.append(range_root(low, high, node))
    return tuple(reversed(path))


def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether ``path`` proves that the old tree is a beginning of the new one (RFC 9162, section 2.1.4.2)."""
    if not 0 < old <= new or (old == new and path) or (old != new and not path):
        return False
    if old == new:
        return old_root == new_root
    steps = list(path if old & (old - 1) else (old_root, *path))
    place, last = old - 1, new - 1
    while place % 2:
        place, last = place >> 1, last >> 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if place % 2 or place == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while place % 2 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            second = node_hash(second, step)
        place, last = place >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def _split(count: int) -> int:
    """The largest power of two smaller than ``count``."""
    return 1 << (count - 1).bit_length() - 1


# --- a tree that grows ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tile:
    """Some hashes of one level, ready to be a file."""

    level: int
    index: int
    hashes: tuple[bytes, ...]

    @property
    def path(self) -> str:
        """Where it lies."""
        return tile_path(self.level, self.index, len(self.hashes))

    @property
    def data(self) -> bytes:
        """What the file holds."""
        return b"".join(self.hashes)


@dataclass(slots=True)
class TreeEdge:
    """The right edge of a tree: the hashes of its partial tiles, enough to grow it and to know its root.

    Attributes:
        size: Entries so far.
        rows: For each level the hashes of its partial tile, fewer than 256.
    """

    size: int = 0
    rows: list[list[bytes]] = field(default_factory=list[list[bytes]])

    def append(self, leaf: bytes) -> list[Tile]:
        """Add one leaf hash; returns the tiles that it made full."""
        full: list[Tile] = []
        self.size += 1
        level = 0
        while True:
            if level == len(self.rows):
                self.rows.append([])
            row = self.rows[level]
            row.append(leaf)
            if len(row) < TILE_WIDTH:
                return full
            full.append(Tile(level, (self.size >> TILE_BITS * (level + 1)) - 1, tuple(row)))
            self.rows[level] = []
            leaf = subtree_root(full[-1].hashes)
            level += 1

    def extend(self, leaves: Sequence[bytes]) -> list[Tile]:
        """Add leaf hashes that fill one tile at most; returns the tiles that they made full.

        Raises:
            ValueError: They do not fit into the tile that is open now.
        """
        if not leaves:
            return []
        if not self.rows:
            self.rows.append([])
        if len(self.rows[0]) + len(leaves) > TILE_WIDTH:
            raise ValueError("more leaves than fit into one tile")
        self.rows[0] += leaves[:-1]
        self.size += len(leaves) - 1
        return self.append(leaves[-1])

    def partial(self) -> Iterator[Tile]:
        """The partial tiles."""
        for level, row in enumerate(self.rows):
            if row:
                yield Tile(level, self.size >> TILE_BITS * (level + 1), tuple(row))

    def root(self) -> bytes:
        """The tree's root."""
        below: list[bytes] = []
        for row in self.rows:
            if row or below:
                below = [subtree_root([*row, *below])]
        return below[0] if below else EMPTY_ROOT
