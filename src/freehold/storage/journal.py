r"""The receipt journal: receipts that are written at once, and are in the database later.

```
frame = mark "\xffFHR"  payload bytes u32  CRC-32 of the length and the payload u32  payload
```
Numbers are big-endian; the payload is a receipt in MessagePack. Frames do not depend on each other: what lies between
two whole ones was cut by a crash, or never acknowledged, and is passed over.
"""

from __future__ import annotations

import struct
import threading
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from freehold.domain.errors.server import StorageBusy, StorageFailed
from freehold.storage import disk
from freehold.storage.segment import SegmentFile, segment_files

SEGMENT_BYTES_MAX = 8 * 1024 * 1024
JOURNAL_BYTES_MAX = 1024 * 1024 * 1024
"""What may lie in the journal while the database cannot be written; beyond it receipts are refused."""

SUFFIX = ".receipts"
_MARK = b"\xffFHR"
_HEAD = struct.Struct(">4sII")
_LENGTH = struct.Struct(">I")
_RETRY_S = 1


class Place(NamedTuple):
    """Where a frame begins: segment and byte."""

    number: int
    offset: int


class Journal:
    """The segments of one folder, of which the newest is written. ``append`` is for one thread, the rest for another.

    A segment that met an error is never written again: ``renew`` begins a fresh one.
    """

    def __init__(self, folder: Path) -> None:
        """Begin a new segment; those that lie there are to be read from ``first`` on.

        Raises:
            StorageFailed: The folder cannot be written.
        """
        self._folder = folder
        try:
            for changed in disk.make_folders(folder):
                disk.sync_folder(changed)
            found = segment_files(folder, SUFFIX)
            self._sizes = {number: path.stat().st_size for number, path in found}
            self._number = found[-1][0] if found else 0
            self._segment: SegmentFile = self._make()
        except OSError as error:
            raise StorageFailed(name=folder.name, done="opened", reason=error.strerror or error) from error
        self.first = Place(found[0][0] if found else self._segment.number, 0)
        self._spare: SegmentFile | None = None
        self._full: list[SegmentFile] = []
        self._past_bytes = sum(self._sizes.values())
        self._lock = threading.Lock()
        self.failure = ""
        """Why nothing can be written now; empty while it can."""

    @property
    def end(self) -> Place:
        """Where the next frame will begin."""
        segment = self._segment
        return Place(segment.number, segment.size_bytes)

    def append(self, *payloads: bytes) -> Place:
        """Write one frame a payload, all or none; at return the kernel has them. Returns where the last one ends.

        Raises:
            StorageFailed: The disk fails.
            StorageBusy: The journal is as large as it may be.
        """
        if self.failure:
            raise StorageFailed(name=self._folder.name, done="written", reason=self.failure)
        segment = self._segment
        if segment.size_bytes >= SEGMENT_BYTES_MAX and self._spare is not None:
            segment = self._turn_page(self._spare)
        if self._past_bytes + segment.size_bytes >= JOURNAL_BYTES_MAX:
            raise StorageBusy(waiting="too many", retry_s=_RETRY_S, retry_after_s=_RETRY_S)
        frames = [encode_frame(payload) for payload in payloads]
        try:
            segment.write(frames[0] if len(frames) == 1 else b"".join(frames))
        except OSError as error:
            self.failure = error.strerror or str(error)
            raise StorageFailed(name=self._folder.name, done="written", reason=self.failure) from error
        return self.end

    def sync(self) -> None:
        """Bring what was appended to the medium, and have the next segment ready.

        Raises:
            OSError: It may not be there; ``failure`` says so, and the segment is not written again.
        """
        with self._lock:
            full, self._full = self._full, []
        segment = self._segment
        try:
            for each in (*full, segment):
                if each.synced_bytes != each.size_bytes:
                    each.sync(each.size_bytes)
            if self._spare is None and segment.size_bytes >= SEGMENT_BYTES_MAX // 2:
                self._spare = self._make()
        except OSError as error:
            self.failure = error.strerror or str(error)
            raise
        finally:
            for each in full:
                each.close()

    def renew(self) -> None:
        """Begin a fresh segment after a failure. While one stands nothing is appended.

        Raises:
            OSError: None can be made.
        """
        fresh = self._make()
        failed = self._turn_page_from(fresh)
        failed.close()
        self.failure = ""

    def drop(self, before: int) -> None:
        """Delete the segments below number ``before``, of which every receipt is in the database, durably.

        Raises:
            OSError: One cannot be deleted; it stays, and its receipts are found to be there already.
        """
        for number in [number for number in self._sizes if number < before]:
            disk.remove_files([self._path(number)])
            with self._lock:
                self._past_bytes -= self._sizes.pop(number)
        self.first = Place(max(before, self.first.number), 0)

    def read(self, place: Place, *, bytes_max: int) -> tuple[list[bytes], Place]:
        """Payloads from ``place`` on, about ``bytes_max`` of them, and where to go on; none at the journal's end.

        Raises:
            OSError: A segment cannot be read.
        """
        end = self.end
        payloads: list[bytes] = []
        while place < end and not payloads:
            try:
                data = _read_from(self._path(place.number), place.offset, bytes_max)
            except FileNotFoundError:
                data = b""
            payloads, used = decode_frames(data, whole=len(data) < bytes_max)
            if used:
                place = Place(place.number, place.offset + used)
            elif len(data) == bytes_max:
                bytes_max *= 2
            elif place.number < end.number:
                place = Place(place.number + 1, 0)
            else:
                break
        return payloads, place

    def close(self) -> None:
        """Close the files. Idempotent."""
        for each in (*self._full, self._segment, self._spare):
            if each is not None:
                each.close()
        if self._spare is not None:
            disk.remove_files([self._spare.path])
            self._spare = None

    def _turn_page(self, fresh: SegmentFile) -> SegmentFile:
        full = self._turn_page_from(fresh)
        self._spare = None
        with self._lock:
            self._full.append(full)
        return fresh

    def _turn_page_from(self, fresh: SegmentFile) -> SegmentFile:
        with self._lock:
            full, self._segment = self._segment, fresh
            self._sizes[full.number] = full.size_bytes
            self._past_bytes += full.size_bytes
        return full

    def _make(self) -> SegmentFile:
        self._number += 1
        return SegmentFile(self._folder, self._number, SUFFIX)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:010d}{SUFFIX}"


def encode_frame(payload: bytes) -> bytes:
    """The bytes of a frame."""
    length = _LENGTH.pack(len(payload))
    return b"".join((_MARK, length, _LENGTH.pack(crc32(payload, crc32(length))), payload))


def decode_frames(data: bytes, *, whole: bool) -> tuple[list[bytes], int]:
    """The payloads of whole frames in ``data``, and how many bytes they and what lies between them take.

    Args:
        data: Part of a segment.
        whole: It reaches to the segment's end, so that what is cut stays cut.
    """
    payloads: list[bytes] = []
    place = used = 0
    while (place := data.find(_MARK, place)) >= 0:
        payload = _payload_at(data, place)
        if payload is None:
            if not whole and place + _HEAD.size + _claimed(data, place) > len(data):
                break
            place += 1
            continue
        payloads.append(payload)
        place = used = place + _HEAD.size + len(payload)
    return payloads, used


def _claimed(data: bytes, place: int) -> int:
    return _LENGTH.unpack_from(data, place + len(_MARK))[0] if len(data) >= place + _HEAD.size else len(data)


def _payload_at(data: bytes, place: int) -> bytes | None:
    if len(data) < place + _HEAD.size:
        return None
    _, length, crc = _HEAD.unpack_from(data, place)
    payload = data[place + _HEAD.size : place + _HEAD.size + length]
    if len(payload) != length or crc != crc32(payload, crc32(_LENGTH.pack(length))):
        return None
    return payload


def _read_from(path: Path, offset: int, bytes_max: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(bytes_max)
