"""Results of a batch that runs, in an append-only file: what has a result is in it once, whatever dies when.

A frame is one line: checksum, place of the item, kind, label (without spaces, as %20), the result line. A frame counts once it is on the medium. What a
crash left unfinished at the end of the file is cut off when it is opened again; its items are run again.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from freehold.storage import disk

_HEAD_BYTES = len(b"01234567 ")
_GOOD, _BAD = b"+", b"-"
_NOWHERE = -1


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one item.

    Attributes:
        place: Its place in the input, from 0 on.
        is_good: Whether it belongs into the file of good answers.
        line: The result as a line of JSON, without its end.
        label: Of what is in it, as text; empty where that is the batch's.
    """

    place: int
    is_good: bool
    line: bytes
    label: str = ""


class ResultJournal:
    """The results of one batch. One writer; methods block.

    Attributes:
        completed: Good results on the medium.
        failed: Other results on the medium.
    """

    def __init__(self, path: Path, total: int) -> None:
        """Open it, making it where it is missing.

        Args:
            path: The file.
            total: Items of the batch.

        Raises:
            OSError: The disk fails.
        """
        self.completed = self.failed = 0
        self._path = path
        self._offsets = array("q", [_NOWHERE]) * total
        self._size_bytes = 0
        if path.exists():
            self._read()
            disk.cut(path, self._size_bytes)
        else:
            disk.make_folders(path.parent)
            os.close(disk.create_appendable(path))
        self._descriptor = self._reopened()

    @property
    def done(self) -> int:
        """Items with a result on the medium."""
        return self.completed + self.failed

    def has(self, place: int) -> bool:
        """Whether an item has a result on the medium."""
        return self._offsets[place] != _NOWHERE

    def add(self, results: Iterable[ItemResult]) -> None:
        """Bring results to the medium, all of them or none. One for an item that has one already is dropped.

        Raises:
            OSError: The disk fails or is full. None of them counts, and it may be tried again.
        """
        fresh = {each.place: each for each in results if not self.has(each.place)}
        if not fresh:
            return
        if self._descriptor < 0:
            # After a failure nothing is known of what follows the last good frame, nor is that descriptor to be trusted.
            disk.cut(self._path, self._size_bytes)
            self._descriptor = self._reopened()
        frames = [_frame(each) for each in fresh.values()]
        try:
            disk.append(self._descriptor, b"".join(frames))
            disk.sync(self._descriptor)
        except OSError:
            self.close()
            raise
        for result, frame in zip(fresh.values(), frames, strict=True):
            self._note(result.place, is_good=result.is_good)
            self._size_bytes += len(frame)

    def lines(self, places: Iterable[int]) -> list[ItemResult | None]:
        """The results of items; ``None`` for one that has none.

        Raises:
            OSError: The disk fails.
        """
        with self._path.open("rb") as file:
            found: list[ItemResult | None] = []
            for place in places:
                if not self.has(place):
                    found.append(None)
                    continue
                file.seek(self._offsets[place])
                found.append(_result(file.readline()))
            return found

    def close(self) -> None:
        """Close the file. Idempotent; ``add`` opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def remove(self) -> None:
        """Delete it: everything is in its files."""
        self.close()
        self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        with self._path.open("rb") as file:
            for frame in file:
                result = _result(frame)
                if result is None or result.place >= len(self._offsets):
                    return
                if not self.has(result.place):
                    self._note(result.place, is_good=result.is_good)
                self._size_bytes += len(frame)

    def _note(self, place: int, *, is_good: bool) -> None:
        self._offsets[place] = self._size_bytes
        if is_good:
            self.completed += 1
        else:
            self.failed += 1

    def _reopened(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)


def _frame(result: ItemResult) -> bytes:
    kind, label = _GOOD if result.is_good else _BAD, result.label.replace("%", "%25").replace(" ", "%20").encode()
    body = b"%d %b %b %b\n" % (result.place, kind, label, result.line)
    return b"%08x %b" % (crc32(body), body)


def _result(frame: bytes) -> ItemResult | None:
    """What a frame says; ``None`` where it is not whole."""
    body = frame[_HEAD_BYTES:]
    if not frame.endswith(b"\n") or frame[:_HEAD_BYTES] != b"%08x " % crc32(body):
        return None
    place, kind, rest = body.split(b" ", 2)
    # A journal that an older version began has no labels: there the line follows at once.
    label, line = (b"", rest) if rest.startswith(b"{") else rest.split(b" ", 1)
    return ItemResult(int(place), kind == _GOOD, line[:-1], label.decode().replace("%20", " ").replace("%25", "%"))
