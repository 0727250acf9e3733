"""How many run and wait at each deployment in each of several processes: one small file that all of them map.

A row is a deployment, a cell a process's part of it. Whoever reads to decide, or writes, holds the table; the system
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

_MAGIC: Final = b"FHSLOTS1"
_HEAD: Final = struct.Struct("<8sII")
_HEAD_BYTES: Final = 64
_KEY_BYTES: Final = 16
_CELL: Final = struct.Struct("<IIdd")
_PRIVATE_FILE: Final = 0o600
ROWS: Final = 4_096
"""Deployments that may have a row; rows of those that nobody uses any more are taken again."""


class Cell(NamedTuple):
    """One process's part of a deployment.

    Attributes:
        running: Slots that it holds.
        waiting: Requests that wait in it.
        since_s: Since when the first of those waits.
        called_s: When it was told that a slot is free for it, and has not answered yet; 0 where it has nothing to answer.
    """

    running: int = 0
    waiting: int = 0
    since_s: float = 0.0
    called_s: float = 0.0


EMPTY: Final = Cell()


class SlotTable:
    """The open table. ``with table:`` holds it; everything but ``close`` is for who holds it."""

    def __init__(self, descriptor: int, *, workers: int) -> None:
        """Map an open file that ``make`` has laid out."""
        self.workers = workers
        self._descriptor = descriptor
        self._row = struct.Struct("<" + workers * "IIdd")
        self._row_bytes = _KEY_BYTES + self._row.size
        self._map = mmap.mmap(descriptor, _HEAD_BYTES + ROWS * self._row_bytes)

    @classmethod
    def make(cls, path: Path, *, workers: int) -> Self:
        """Lay out an empty table; before any worker opens it.

        Raises:
            OSError: It cannot be written.
        """
        path.unlink(missing_ok=True)  # a process left over from before keeps the old one to itself
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE_FILE)
        os.ftruncate(descriptor, _HEAD_BYTES + ROWS * (_KEY_BYTES + workers * _CELL.size))
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
            if unused < 0 and not any(self._map[place + _KEY_BYTES : place + self._row_bytes]):
                unused = place
        if unused < 0:
            raise LookupError(f"more than {ROWS} deployments are at work at once")
        self._map[unused : unused + _KEY_BYTES] = key
        return unused

    def counts(self, place: int) -> tuple[int, int]:
        """How many run and how many wait in all processes."""
        row = self._row.unpack_from(self._map, place + _KEY_BYTES)
        return sum(row[0::4]), sum(row[1::4])

    def cells(self, place: int) -> list[Cell]:
        """The cells of a row, by process."""
        return [Cell(*each) for each in _CELL.iter_unpack(self._map[place + _KEY_BYTES : place + self._row_bytes])]

    def put(self, place: int, worker: int, cell: Cell) -> None:
        """Write one cell."""
        _CELL.pack_into(self._map, place + _KEY_BYTES + worker * _CELL.size, *cell)

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


def row_key(deployment: str) -> bytes:
    """What a deployment's row is found by."""
    return hashlib.blake2b(deployment.encode(), digest_size=_KEY_BYTES).digest()
