r"""The write-ahead log: entries that are on disk before they are in a tile.

A segment file is a row of frames, one an entry. They are appended as they come and flushed behind, in order, and a new
segment is only begun once the one before is flushed: so a crash can cut the last frame of the last segment, a power cut
the last frames, and damage before a whole frame is damage to entries that were on the medium.

```
frame   = mark "\xffFHW"  first index u64  entries u32  payload bytes u32  CRC-32 of the fields before and the payload u32
payload = (length u16  entry)*
```
Numbers are big-endian. The mark's first byte is never part of UTF-8, so no entry can contain one.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from freehold.audit.bundle import join_entries, split_entries
from freehold.domain.errors.audit import AuditBroken
from freehold.storage.segment import SegmentFile, segment_files

_MARK = b"\xffFHW"
_HEAD = struct.Struct(">4sQII")
_CRC = struct.Struct(">I")
_FRAME_HEAD_BYTES = _HEAD.size + _CRC.size
_SUFFIX = ".wal"


@dataclass(frozen=True, slots=True)
class Frame:
    """Entries that were written together."""

    first: int
    entries: tuple[bytes, ...]

    @property
    def end(self) -> int:
        """Index after the last of them."""
        return self.first + len(self.entries)


@dataclass(frozen=True, slots=True)
class SegmentContent:
    """What a segment holds.

    Attributes:
        frames: Its whole frames.
        torn_bytes: Bytes after them: a frame that a crash cut off.
    """

    frames: tuple[Frame, ...]
    torn_bytes: int


class Segment(SegmentFile):
    """A segment of the log that is being written."""

    def __init__(self, folder: Path, number: int) -> None:
        """Make the file.

        Raises:
            OSError: It exists, or cannot be made.
        """
        super().__init__(folder, number, _SUFFIX)

    def append(self, first: int, *entries: bytes) -> None:
        """Write entries in a row, numbered from ``first`` on; at return the kernel has them.

        Raises:
            OSError: It has a part of them at most; the segment must be closed and not written again.
        """
        self.write(encode_frame(first, entries))


def segments(folder: Path) -> list[tuple[int, Path]]:
    """The segments of a folder by number, oldest first."""
    return segment_files(folder, _SUFFIX)


def encode_frame(first: int, entries: Sequence[bytes]) -> bytes:
    """The bytes of a frame."""
    payload = join_entries(entries)
    head = _HEAD.pack(_MARK, first, len(entries), len(payload))
    return head + _CRC.pack(crc32(payload, crc32(head))) + payload


def read_segment(data: bytes, name: str) -> SegmentContent:
    """Read a segment.

    Args:
        data: Its bytes.
        name: Its name, for errors.

    Raises:
        AuditBroken: A frame is damaged although a whole one follows it.
    """
    frames: list[Frame] = []
    place = 0
    while place < len(data):
        frame = _frame_at(data, place)
        if frame is None:
            _refuse_damage(data, place, name)
            break
        frames.append(frame[0])
        place = frame[1]
    return SegmentContent(tuple(frames), len(data) - place)


def _frame_at(data: bytes, place: int) -> tuple[Frame, int] | None:
    """The frame that begins at ``place`` and where it ends; ``None`` if there is no whole one."""
    if len(data) - place < _FRAME_HEAD_BYTES:
        return None
    mark, first, count, length = _HEAD.unpack_from(data, place)
    (crc,) = _CRC.unpack_from(data, place + _HEAD.size)
    start = place + _FRAME_HEAD_BYTES
    payload = data[start : start + length]
    if mark != _MARK or len(payload) != length:
        return None
    if crc != crc32(payload, crc32(data[place : place + _HEAD.size])):
        return None
    entries = split_entries(payload)
    return None if entries is None or len(entries) != count else (Frame(first, entries), start + length)


def _refuse_damage(data: bytes, place: int, name: str) -> None:
    later = place
    while (later := data.find(_MARK, later + 1)) >= 0:
        if _frame_at(data, later) is not None:
            raise AuditBroken(reason=f"{name} is damaged at byte {place}, before entries that were acknowledged later")
