"""The tiles of one log as files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from freehold.audit.bundle import join_entries, split_entries
from freehold.audit.tiles import (
    HASH_BYTES,
    TILE_BITS,
    TILE_WIDTH,
    NodeReader,
    TreeEdge,
    leaf_hash,
    subtree_root,
    tile_levels,
    tile_path,
    tiles_of,
)
from freehold.domain.errors.audit import AuditBroken
from freehold.storage import disk

CHECKPOINT = "checkpoint"


class TileStore:
    """Reads and writes the files below ``folder`` that foreign tools read too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def checkpoint(self) -> bytes | None:
        """The newest checkpoint as it lies there."""
        try:
            return (self.folder / CHECKPOINT).read_bytes()
        except FileNotFoundError:
            return None

    def tile(self, level: int, index: int, width: int) -> tuple[bytes, ...]:
        """The first ``width`` hashes of a tile.

        Raises:
            AuditBroken: It is missing or cut.
        """
        data = self._read(level, index, width, width * HASH_BYTES)
        return tuple(data[place : place + HASH_BYTES] for place in range(0, width * HASH_BYTES, HASH_BYTES))

    def bundle(self, index: int, width: int) -> tuple[bytes, ...]:
        """The first ``width`` entries of a bundle.

        Raises:
            AuditBroken: It is missing or cannot be read.
        """
        entries = split_entries(self._read(None, index, width, 0))
        if entries is None or len(entries) < width:
            raise AuditBroken(reason=f"{tile_path(None, index, width)} does not hold {width} entries")
        return entries[:width]

    def entry(self, index: int, size: int) -> bytes:
        """One entry of the tree of ``size`` entries.

        Raises:
            AuditBroken: Its bundle is missing or cannot be read.
        """
        place, offset = divmod(index, TILE_WIDTH)
        return self.bundle(place, min(TILE_WIDTH, size - place * TILE_WIDTH))[offset]

    def nodes(self, size: int) -> NodeReader:
        """Reads the nodes of the tree of ``size`` entries, each tile at most once."""
        read: dict[tuple[int, int], tuple[bytes, ...]] = {}

        def node(level: int, index: int) -> bytes:
            tile_level, inner = divmod(level, TILE_BITS)
            place, offset = divmod(index << inner, TILE_WIDTH)
            full, rest = tiles_of(tile_level, size)
            if (tile_level, place) not in read:
                read[tile_level, place] = self.tile(tile_level, place, TILE_WIDTH if place < full else rest)
            return subtree_root(read[tile_level, place][offset : offset + (1 << inner)])

        return node

    def edge(self, size: int) -> tuple[TreeEdge, list[bytes]]:
        """The right edge of the tree of ``size`` entries and the entries of its partial bundle.

        Raises:
            AuditBroken: A file is missing, or entries and hashes do not fit.
        """
        edge = TreeEdge(size)
        for level in range(tile_levels(size)):
            full, rest = tiles_of(level, size)
            edge.rows.append(list(self.tile(level, full, rest)) if rest else [])
        full, rest = tiles_of(0, size)
        entries = list(self.bundle(full, rest)) if rest else []
        if entries and [leaf_hash(entry) for entry in entries] != edge.rows[0]:
            raise AuditBroken(reason=f"{tile_path(None, full, rest)} does not fit {tile_path(0, full, rest)}")
        return edge, entries

    def write(self, files: Mapping[str, bytes]) -> None:
        """Put files in place; contents and names are on disk at return.

        Raises:
            OSError: Not all of them may be.
        """
        changed: set[str] = set()
        for name, data in files.items():
            path = f"{self.folder}/{name}"
            folder, _, _ = path.rpartition("/")
            if not os.path.isdir(folder):  # noqa: PTH112 - as for ``replace_file``
                changed.update(map(str, disk.make_folders(Path(folder))))
            changed.add(folder)
            disk.replace_file(path, data)
        for folder in sorted(changed):
            disk.sync_folder(folder)

    def _read(self, level: int | None, index: int, width: int, length: int) -> bytes:
        """A tile's bytes from its own file, or from a wider one that has replaced it; at least ``length``."""
        for name in self._names(level, index, width):
            try:
                data = (self.folder / name).read_bytes()
            except FileNotFoundError:
                continue
            if len(data) < length:
                raise AuditBroken(reason=f"{name} has {len(data)} bytes, {length} are due")
            return data
        raise AuditBroken(reason=f"{tile_path(level, index, width)} is missing")

    def _names(self, level: int | None, index: int, width: int) -> Iterator[str]:
        """Where a tile's bytes may be: its own file, the full one, and wider partial ones of a log in use."""
        yield tile_path(level, index, width)
        if width == TILE_WIDTH:
            return
        yield tile_path(level, index)
        partial = self.folder / f"{tile_path(level, index)}.p"
        if partial.is_dir():
            widths = sorted(int(path.name) for path in partial.iterdir() if path.name.isdigit())
            yield from (tile_path(level, index, wider) for wider in widths if width < wider < TILE_WIDTH)


def bundle_file(index: int, entries: list[bytes]) -> tuple[str, bytes]:
    """Name and content of the bundle that holds ``entries``."""
    return tile_path(None, index, len(entries)), join_entries(entries)
