"""How many run and wait at each deployment in each of several processes: one small file that all of them map.

A row is a deployment, a cell a process's part of it. Behind the rows are the tags of tenants (``order.py``), which are
numbers of all processes: one that is lost, since there is no room, puts a tenant level with the others again. Whoever reads to decide, or writes, holds the table; the system
lets go of it for a process that dies, and each process writes its own cell in one go, so that there is nothing to mend.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
from pathlib import Path
from typing import Final, NamedTuple, Self

from freehold.domain.priority import Priority

_MAGIC: Final = b"FHSLOTS3"
_HEAD: Final = struct.Struct("<8sII")
_HEAD_BYTES: Final = 64
_KEY_BYTES: Final = 16
_SHARES: Final = struct.Struct("<3i4x3d")
_CELL_FORMAT: Final = "8I3Q4d"
_CELL: Final = struct.Struct("<" + _CELL_FORMAT)
_CELL_FIELDS: Final = 15
_CELLS_AT: Final = _KEY_BYTES + _SHARES.size
_TAG: Final = struct.Struct("<Qd")
_PROBES: Final = 8
_PRIVATE_FILE: Final = 0o600
ROWS: Final = 4_096
"""Deployments that may have a row; rows of those that nobody uses any more are taken again."""

TAGS: Final = 16_384
"""Tags that are kept, of a tenant in a class at a deployment each."""


class Cell(NamedTuple):
    """One process's part of a deployment.

    Attributes:
        running: Slots that it holds.
        waiting: Requests that wait in it.
        low: Those of low urgency among them.
        batch: Batch requests among them.
        soft: Batch attempts that could give their slots up, without those that were asked to.
        asked: Those that were asked to, and have not done it yet.
        wanted: How many more other processes want to be asked.
        firm: Batch attempts that are left to their end, since batch was owed a slot.
        batch_first: Whose request is next of the batch ones: the key of a tag.
        low_first: The same of the low ones.
        normal_first: The same of the normal ones.
        batch_since_s: Since when that waits.
        low_since_s: The same of the low ones.
        normal_since_s: The same of the normal ones.
        called_s: When it was told that a slot is free for it, and has not answered yet; 0 where it has nothing to answer.
    """

    running: int = 0
    waiting: int = 0
    low: int = 0
    batch: int = 0
    soft: int = 0
    asked: int = 0
    wanted: int = 0
    firm: int = 0
    batch_first: int = 0
    low_first: int = 0
    normal_first: int = 0
    batch_since_s: float = 0.0
    low_since_s: float = 0.0
    normal_since_s: float = 0.0
    called_s: float = 0.0

    def waiting_in(self, priority: Priority) -> int:
        """How many wait in a class."""
        by_class = self.batch, self.low, self.waiting - self.low - self.batch
        return by_class[priority]

    def first(self, priority: Priority) -> tuple[int, float]:
        """Who is next of a class, and since when that waits."""
        keys = self.batch_first, self.low_first, self.normal_first
        since_s = self.batch_since_s, self.low_since_s, self.normal_since_s
        return keys[priority], since_s[priority]


EMPTY: Final = Cell()


class RowShares(NamedTuple):
    """What a deployment's classes have had, over all processes.

    Attributes:
        passed: More urgent starts that each class has let pass; below 0 where its turn was put off.
        floors: The tag of who started last in each class.
    """

    passed: tuple[int, ...]
    floors: tuple[float, ...]


class SlotTable:
    """The open table. ``with table:`` holds it; everything but ``close`` is for who holds it."""

    def __init__(self, descriptor: int, *, workers: int) -> None:
        """Map an open file that ``make`` has laid out."""
        self.workers = workers
        self._descriptor = descriptor
        self._row = struct.Struct("<" + workers * _CELL_FORMAT)
        self._row_bytes = _row_bytes(workers)
        self._tags_at = _HEAD_BYTES + ROWS * self._row_bytes
        self._map = mmap.mmap(descriptor, _file_bytes(workers))

    @classmethod
    def make(cls, path: Path, *, workers: int) -> Self:
        """Lay out an empty table; before any worker opens it.

        Raises:
            OSError: It cannot be written.
        """
        path.unlink(missing_ok=True)  # a process left over from before keeps the old one to itself
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE_FILE)
        os.ftruncate(descriptor, _file_bytes(workers))
        os.pwrite(descriptor, _HEAD.pack(_MAGIC, workers, ROWS), 0)
        return cls(descriptor, workers=workers)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the table that ``make`` laid out.

        Raises:
            OSError: It is not there.
            ValueError: It is none.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        head = os.pread(descriptor, _HEAD.size, 0)
        magic, workers, rows = _HEAD.unpack(head) if len(head) == _HEAD.size else (b"", 0, 0)
        if (magic, rows) != (_MAGIC, ROWS):
            os.close(descriptor)
            raise ValueError(f"{path} is no table of slots")
        return cls(descriptor, workers=workers)

    def __enter__(self) -> Self:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def place(self, key: bytes, before: int = -1) -> int:
        """Where the row of a deployment is, which is made where it is missing.

        Args:
            key: Of ``row_key``.
            before: Where it was the last time, which is looked at first.

        Raises:
            LookupError: Every row is in use.
        """
        if before >= 0 and self._map[before : before + _KEY_BYTES] == key:
            return before
        start, unused = int.from_bytes(key[:4], "little") % ROWS, -1
        for step in range(ROWS):
            place = _HEAD_BYTES + (start + step) % ROWS * self._row_bytes
            found = self._map[place : place + _KEY_BYTES]
            if found == key:
                return place
            if not any(found):
                unused = unused if unused >= 0 else place
                break
            if unused < 0 and not any(self._map[place + _CELLS_AT : place + self._row_bytes]):
                unused = place
        if unused < 0:
            raise LookupError(f"more than {ROWS} deployments are at work at once")
        self._map[unused : unused + _KEY_BYTES] = key
        self.put_shares(unused, RowShares((0, 0, 0), (0.0, 0.0, 0.0)))
        return unused

    def counts(self, place: int) -> tuple[int, int]:
        """How many run and how many wait in all processes."""
        row = self._row.unpack_from(self._map, place + _CELLS_AT)
        return sum(row[0::_CELL_FIELDS]), sum(row[1::_CELL_FIELDS])

    def cells(self, place: int) -> list[Cell]:
        """The cells of a row, by process."""
        return [Cell(*each) for each in _CELL.iter_unpack(self._map[place + _CELLS_AT : place + self._row_bytes])]

    def cell(self, place: int, worker: int) -> Cell:
        """The cell of one process in a row."""
        return Cell(*_CELL.unpack_from(self._map, place + _CELLS_AT + worker * _CELL.size))

    def put(self, place: int, worker: int, cell: Cell) -> None:
        """Write one cell."""
        _CELL.pack_into(self._map, place + _CELLS_AT + worker * _CELL.size, *cell)

    def shares(self, place: int) -> RowShares:
        """What the classes of a row have had."""
        values = _SHARES.unpack_from(self._map, place + _KEY_BYTES)
        return RowShares(values[:3], values[3:])

    def put_shares(self, place: int, shares: RowShares) -> None:
        """Write that."""
        _SHARES.pack_into(self._map, place + _KEY_BYTES, *shares.passed, *shares.floors)

    def tag(self, key: int) -> float:
        """A tenant's tag; 0 where it has none, or none any more."""
        for at in self._probes(key):
            found, tag = _TAG.unpack_from(self._map, at)
            if found == key:
                return tag
        return 0.0

    def put_tag(self, key: int, tag: float) -> None:
        """Keep a tag, in place of the lowest one where there is no room."""
        places = [(*_TAG.unpack_from(self._map, at), at) for at in self._probes(key)]
        known = [at for found, _, at in places if found == key]
        at = known[0] if known else min((kept, at) for _, kept, at in places)[1]
        _TAG.pack_into(self._map, at, key, tag)

    def _probes(self, key: int) -> list[int]:
        return [self._tags_at + (key + step) % TAGS * _TAG.size for step in range(_PROBES)]

    def clear(self, worker: int) -> None:
        """Give back all that a process held, which is dead."""
        for row in range(ROWS):
            place = _HEAD_BYTES + row * self._row_bytes
            if any(self._map[place : place + _KEY_BYTES]):
                self.put(place, worker, EMPTY)

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        if self._descriptor >= 0:
            self._map.close()
            os.close(self._descriptor)
            self._descriptor = -1


def _row_bytes(workers: int) -> int:
    return _CELLS_AT + workers * _CELL.size


def _file_bytes(workers: int) -> int:
    return _HEAD_BYTES + ROWS * _row_bytes(workers) + TAGS * _TAG.size


def row_key(deployment: str) -> bytes:
    """What a deployment's row is found by."""
    return hashlib.blake2b(deployment.encode(), digest_size=_KEY_BYTES).digest()


def tag_key(deployment: str, priority: Priority, tenant: str) -> int:
    """What a tenant's tag in a class at a deployment is found by; never 0."""
    named = f"{deployment}\0{priority.value}\0{tenant}".encode()
    return int.from_bytes(hashlib.blake2b(named, digest_size=8).digest(), "little") or 1
