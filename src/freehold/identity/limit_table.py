"""What is used and held of each limit: one small file that all workers of a gateway map, or memory of a single one.

A row is a limit with four windows. More than one, so that a clock that jumps over the end of one and back finds its counts
again, and a request that began in a window ends in it. In a window there is what was used, and for each worker what it holds
for requests that run; the parent takes back what a dead worker held.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, Self

_MAGIC: Final = b"FHLIMIT1"
_HEAD: Final = struct.Struct("<8sII")
_HEAD_BYTES: Final = 64
_KEY_BYTES: Final = 16
_WINDOWS: Final = 4
_PRIVATE_FILE: Final = 0o600
_MOST: Final = (1 << 63) - 1
ROWS: Final = 16_384
"""Limits that may be counted; rows of those whose windows are over are taken again when there is no other."""


class Counted(NamedTuple):
    """What one window of a limit has come to: used by requests that ended, and held for running ones."""

    used: int
    reserved: int


class LimitTable:
    """The open table. ``with table:`` holds it; everything but ``close`` is for who holds it. For one thread."""

    def __init__(self, descriptor: int, *, workers: int, worker: int = 0) -> None:
        """Map an open file that ``make`` has laid out, or memory of this process's own where there is none.

        Args:
            descriptor: Of the file; -1 for none.
            workers: How many processes use it.
            worker: Which of them this is.
        """
        self.workers = workers
        self.worker = worker
        self._descriptor = descriptor
        self._window = struct.Struct(f"<qq{workers}q")  # its end, what is used, what each worker holds
        self._row_bytes = _KEY_BYTES + _WINDOWS * self._window.size
        self._map = mmap.mmap(descriptor, _HEAD_BYTES + ROWS * self._row_bytes)

    @classmethod
    def make(cls, path: Path, *, workers: int) -> Self:
        """Lay out an empty table; before any worker opens it.

        Raises:
            OSError: It cannot be written.
        """
        path.unlink(missing_ok=True)  # a process left over from before keeps the old one to itself
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE_FILE)
        row_bytes = _KEY_BYTES + _WINDOWS * struct.calcsize(f"<qq{workers}q")
        os.ftruncate(descriptor, _HEAD_BYTES + ROWS * row_bytes)
        os.pwrite(descriptor, _HEAD.pack(_MAGIC, workers, ROWS), 0)
        return cls(descriptor, workers=workers)

    @classmethod
    def open(cls, path: Path, *, worker: int) -> Self:
        """Open the table that ``make`` laid out, as one of its workers.

        Raises:
            OSError: It is not there.
            ValueError: It is none.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        head = os.pread(descriptor, _HEAD.size, 0)
        magic, workers, rows = _HEAD.unpack(head) if len(head) == _HEAD.size else (b"", 0, 0)
        if (magic, rows) != (_MAGIC, ROWS) or not 0 <= worker < workers:
            os.close(descriptor)
            raise ValueError(f"{path} is no table of limits with a worker {worker}")
        return cls(descriptor, workers=workers, worker=worker)

    @classmethod
    def private(cls) -> Self:
        """A table in memory, for a process on its own."""
        return cls(-1, workers=1)

    def __enter__(self) -> Self:
        if self._descriptor >= 0:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def place(self, key: bytes, before: int = -1, *, unix_ms: int) -> int:
        """Where the row of a limit is, which is made where it is missing.

        Args:
            key: Of ``row_key``.
            before: Where it was the last time, which is looked at first.
            unix_ms: Now: rows whose windows are over may be taken where no other is left.

        Raises:
            LookupError: Every row is in use.
        """
        if before >= 0 and self._map[before : before + _KEY_BYTES] == key:
            return before
        start, over = int.from_bytes(key[:4], "little") % ROWS, -1
        for step in range(ROWS):
            place = _HEAD_BYTES + (start + step) % ROWS * self._row_bytes
            found = self._map[place : place + _KEY_BYTES]
            if found == key:
                return place
            if not any(found):
                break
            if over < 0 and all(self._unpacked(at)[0] < unix_ms for at in self._windows(place)):
                over = place
        else:
            if over < 0:
                raise LookupError(f"more than {ROWS} limits are counted at once")
            place = over
        self._map[place : place + self._row_bytes] = key + bytes(self._row_bytes - _KEY_BYTES)
        return place

    def counted(self, place: int, ends_unix_ms: int) -> Counted:
        """What the window of a row that ends then has come to; nothing where it has not begun."""
        for at in self._windows(place):
            end, used, *reserved = self._unpacked(at)
            if end == ends_unix_ms:
                return Counted(used, sum(reserved))
        return Counted(0, 0)

    def hold(self, place: int, ends_unix_ms: int, amount: int) -> None:
        """Set an amount aside for a request of this worker; its window begins where it has not."""
        at = self._begun(place, ends_unix_ms)
        self._hold(at, amount)

    def settle(self, place: int, key: bytes, ends_unix_ms: int, *, held: int, used: int) -> None:
        """Give back what was set aside, and count what was used instead. A window that has made way is left alone."""
        if self._map[place : place + _KEY_BYTES] != key:
            return
        for at in self._windows(place):
            end, before, *_ = self._unpacked(at)
            if end == ends_unix_ms:
                self._hold(at, -held)
                struct.pack_into("<q", self._map, at + 8, min(before + used, _MOST))

    def raise_used(self, place: int, ends_unix_ms: int, used: int) -> None:
        """Have at least so much counted as used."""
        at = self._begun(place, ends_unix_ms)
        before = self._unpacked(at)[1]
        struct.pack_into("<q", self._map, at + 8, min(max(before, used), _MOST))

    def clear(self, worker: int) -> None:
        """Give back all that a process held, which is dead."""
        for row in range(ROWS):
            place = _HEAD_BYTES + row * self._row_bytes
            if any(self._map[place : place + _KEY_BYTES]):
                for at in self._windows(place):
                    struct.pack_into("<q", self._map, at + 16 + 8 * worker, 0)

    def close(self) -> None:
        """Let go of it. Idempotent."""
        self._map.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _windows(self, place: int) -> Iterator[int]:
        return (place + _KEY_BYTES + number * self._window.size for number in range(_WINDOWS))

    def _unpacked(self, at: int) -> tuple[int, ...]:
        return self._window.unpack_from(self._map, at)

    def _begun(self, place: int, ends_unix_ms: int) -> int:
        """Where the window is that ends then; the one that ends first of those that are there makes way for it."""
        windows = list(self._windows(place))
        for at in windows:
            if self._unpacked(at)[0] == ends_unix_ms:
                return at
        at = min(windows, key=lambda each: self._unpacked(each)[0])
        self._window.pack_into(self._map, at, *[0] * (2 + self.workers))
        # Last: who dies before this leaves a window that nobody looks for.
        struct.pack_into("<q", self._map, at, ends_unix_ms)
        return at

    def _hold(self, at: int, amount: int) -> None:
        mine = at + 16 + 8 * self.worker
        (before,) = struct.unpack_from("<q", self._map, mine)
        struct.pack_into("<q", self._map, mine, max(0, min(before + amount, _MOST)))


def row_key(place: tuple[str, ...]) -> bytes:
    """What a limit's row is found by."""
    return hashlib.blake2b("\0".join(place).encode(), digest_size=_KEY_BYTES).digest()
