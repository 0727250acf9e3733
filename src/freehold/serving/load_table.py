"""How much each of several processes has run on this machine: one small file that all of them map.

Each process writes its own cell in one go: what it has run, how many it runs, and when that was. A reader that meets a cell
half written is off by the little that happened meanwhile.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Final, Self

_CELL: Final = struct.Struct("<3d")
_PRIVATE_FILE: Final = 0o600


class LoadTable:
    """The open table, as one of its processes sees it; the parent's has no cell. Times are ``CLOCK_MONOTONIC``'s."""

    def __init__(self, descriptor: int, *, workers: int, worker: int) -> None:
        self._descriptor = descriptor
        self._all = struct.Struct(f"<{3 * workers}d")
        self._map = mmap.mmap(descriptor, self._all.size)
        self._worker = worker

    @classmethod
    def make(cls, path: Path, *, workers: int) -> Self:
        """Lay out an empty table; before any worker opens it.

        Raises:
            OSError: It cannot be written.
        """
        path.unlink(missing_ok=True)  # a process left over from before keeps the old one to itself
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE_FILE)
        os.ftruncate(descriptor, _CELL.size * workers)
        return cls(descriptor, workers=workers, worker=-1)

    @classmethod
    def open(cls, path: Path, *, worker: int) -> Self:
        """Open the table that ``make`` laid out, as one of its workers, which has run nothing yet.

        Raises:
            OSError: It is not there.
            ValueError: It has no room for this worker.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        workers = os.fstat(descriptor).st_size // _CELL.size
        if not 0 <= worker < workers:
            os.close(descriptor)
            raise ValueError(f"{path} has no room for a worker {worker}")
        table = cls(descriptor, workers=workers, worker=worker)
        table.clear(worker)
        return table

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held: each process writes its own cell only."""

    def publish(self, *, slot_s: float, running: int, at_s: float) -> None:
        """Tell the others what this process has run until ``at_s``, and how many run now."""
        _CELL.pack_into(self._map, self._worker * _CELL.size, slot_s, running, at_s)

    def others(self, at_s: float) -> float:
        """Slot seconds of all others until ``at_s``."""
        numbers = self._all.unpack_from(self._map)
        total = 0.0
        for worker in range(len(numbers) // 3):
            if worker != self._worker:
                slot_s, running, since_s = numbers[3 * worker : 3 * worker + 3]
                total += slot_s + running * max(0.0, at_s - since_s)
        return total

    def clear(self, worker: int) -> None:
        """A worker is no more: what it ran has ended."""
        self._map[worker * _CELL.size : (worker + 1) * _CELL.size] = bytes(_CELL.size)

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()
        os.close(self._descriptor)
