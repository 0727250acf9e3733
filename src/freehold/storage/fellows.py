"""Reading journals that others write: receipts that their processes have kept and the database does not have yet.

Each worker notes up to where its journal is in the database. Whoever reads that note first, then the journal from there
on, and the database last, misses nothing: what moves meanwhile is seen twice.
"""

from __future__ import annotations

import contextlib
import logging
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import msgspec

from freehold.domain.errors.server import StorageFailed
from freehold.domain.receipt import Receipt
from freehold.storage import disk
from freehold.storage.journal import SUFFIX, Place, decode_frames
from freehold.storage.pages import decode_receipt
from freehold.storage.segment import segment_files

_LOG = logging.getLogger(__name__)

RECEIPTS_FOLDER = "receipts"
"""Of the first worker, in the data folder; that of the others has its number behind it."""

MARK = "indexed"

_PLACE = struct.Struct(">QQ")
_CRC = struct.Struct(">I")
_TRIES = 3
_START = Place(0, 0)


class Mark:
    """The note beside one's own journal. An old note only costs its readers time."""

    def __init__(self, folder: Path) -> None:
        """Open it, and say nothing yet of what is in the database.

        Raises:
            OSError: It cannot be written.
        """
        self._descriptor = os.open(folder / MARK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        os.pwrite(self._descriptor, _encoded(_START), 0)

    def put(self, place: Place) -> None:
        """All before ``place`` is committed."""
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor, _encoded(place), 0)

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def not_indexed(folder: Path) -> Iterator[bytes]:
    """The receipts of a journal, in use or left behind, that the database may not have yet.

    Raises:
        OSError: A segment cannot be read.
    """
    mark = _read_mark(folder / MARK)
    for number, path in segment_files(folder, SUFFIX):
        if number < mark.number:
            continue
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:  # deleted meanwhile: it is all there
            file.seek(mark.offset if number == mark.number else 0)
            yield from decode_frames(file.read(), whole=True)[0]


def unfiled_in(data_folder: Path) -> list[Receipt]:
    """The receipts of all journals of a data folder that the database may not have yet, for who is none of its workers.

    They may run: what one wrote at this moment is there. Or they may have ended before all was in the database, which is
    done at the next start. Read before the database, they and it together miss none.

    Raises:
        StorageFailed: A journal cannot be read.
    """
    found: dict[str, Receipt] = {}
    try:
        for folder in sorted(data_folder.glob(f"{RECEIPTS_FOLDER}*")):
            number = folder.name.removeprefix(RECEIPTS_FOLDER).removeprefix("-")
            if number and not number.isdecimal():
                continue
            for payload in not_indexed(folder):
                try:
                    receipt = decode_receipt(payload)
                except msgspec.MsgspecError as error:
                    _LOG.error("a receipt cannot be read: %s", error)
                else:
                    found[receipt.id] = receipt
    except OSError as error:
        raise StorageFailed(name="receipts", done="read", reason=error.strerror or error) from error
    return list(found.values())


def holds_receipts(folder: Path) -> bool:
    """Whether something lies in a journal that nobody uses."""
    return any(path.stat().st_size for _, path in segment_files(folder, SUFFIX))


def drop_journal(folder: Path) -> None:
    """Delete a journal that nobody uses and that holds nothing.

    Raises:
        OSError: A file cannot be deleted.
    """
    disk.remove_files([path for _, path in segment_files(folder, SUFFIX)])
    disk.remove_files([folder / MARK])
    folder.rmdir()


def _encoded(place: Place) -> bytes:
    data = _PLACE.pack(place.number, place.offset)
    return data + _CRC.pack(crc32(data))


def _read_mark(path: Path) -> Place:
    """The note; the journal's start where there is none, or it is being written at this moment."""
    for _ in range(_TRIES):
        try:
            data = path.read_bytes()
        except OSError:
            break
        if len(data) == _PLACE.size + _CRC.size and data[_PLACE.size :] == _CRC.pack(crc32(data[: _PLACE.size])):
            return Place(*_PLACE.unpack_from(data))
    return _START
