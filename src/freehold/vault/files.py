"""Files as they are taken in: opened once, through no link, and hashed by what is open."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from freehold.domain.errors.vault import FileGone, FileTooLarge
from freehold.vault.ingest_ports import Place

_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A file, as it was when it was hashed.

    Attributes:
        sha256: Of its bytes; empty where they could not be read.
        size_bytes: Of them.
        written: Day of its last change, YYYY-MM-DD.
        stamp: Which file it was, how long, and when it was last changed in nanoseconds.
    """

    sha256: str = ""
    size_bytes: int = 0
    written: str = ""
    stamp: tuple[int, int, int] = (0, 0, 0)


NOTHING = Read()


class Held:
    """An open file, closed once nobody has it: a thread that still reads must never read what has its number next."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


def open_file(place: Place) -> Held:
    """Open a file, from the folder that was named down, through no link: one that was put into the way since leads nowhere.

    Blocks. Raises:
        FileGone: It cannot be opened.
    """
    parts = Path(place.inside).parts
    if place.path.parts[-len(parts) :] != parts:
        parts = (place.path.name,)
    above = Path(*place.path.parts[: -len(parts)])
    try:
        at = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts[:-1]:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
                os.close(at)
                at = below
            return Held(os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at))
        finally:
            os.close(at)
    except OSError as error:
        raise FileGone(name=place.name, reason=error.strerror or type(error).__name__) from error


def read_file(held: Held, bytes_max: int, name: str) -> Read:
    """Hash an open file. Blocks.

    Raises:
        FileGone: It cannot be read, or is no regular file.
        FileTooLarge: It is larger than ``bytes_max``.
    """
    try:
        with os.fdopen(held.number, "rb", closefd=False) as file:
            found = os.fstat(held.number)
            if not stat.S_ISREG(found.st_mode):
                raise FileGone(name=name, reason="it is no regular file")
            if found.st_size > bytes_max:
                reason = f"it has {found.st_size:,} bytes, and {bytes_max:,} are read (file_bytes_max of the vault)"
                raise FileTooLarge(name=name, reason=reason)
            digest = hashlib.sha256()
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
    except OSError as error:
        raise FileGone(name=name, reason=error.strerror or type(error).__name__) from error
    return Read(
        sha256=digest.hexdigest(),
        size_bytes=found.st_size,
        written=datetime.fromtimestamp(found.st_mtime, UTC).strftime("%Y-%m-%d"),
        stamp=_stamp_of(found),
    )


def stamp_at(path: Path) -> tuple[int, int, int]:
    """Which file is at a path, how long it is, and when it was last changed. Blocks."""
    try:
        return _stamp_of(path.lstat())
    except OSError:
        return NOTHING.stamp


def _stamp_of(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns
