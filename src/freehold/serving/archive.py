"""A tar archive of plain files, written and read strictly: what a stranger made of it decides nothing.

Only regular files are taken, each with a name and a size that were announced beforehand. No link, no folder, no device,
no extension that changes what follows, no name that was not expected, nothing behind the end: the file is read once from
its beginning to its end, a block at a time. Any ``tar`` reads what is written here.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

BLOCK: Final = 512
_PIECE_BYTES: Final = 1 << 20
_NAME_BYTES_MAX: Final = 100
_OCTAL_MAX: Final = 8 << 30
_MAGICS: Final = (b"ustar\x0000", b"ustar  \x00")
_OCTAL: Final = re.compile(rb"[ ]*([0-7]{1,11})[ \0]*")


class ArchiveError(Exception):
    """It is no such archive; the message says why."""


class ArchiveWriter:
    """Writes files one after the other.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def add_bytes(self, name: str, content: bytes) -> None:
        """Write a small file."""
        self._stream.write(_header(name, len(content)))
        self._stream.write(content)
        self._stream.write(b"\0" * (-len(content) % BLOCK))

    def add_file(self, name: str, path: Path, *, size_bytes: int, sha256: str) -> None:
        """Write a file that has this size and digest.

        Raises:
            ArchiveError: It has another one; what was written is worth nothing.
            OSError: It cannot be read.
        """
        self._stream.write(_header(name, size_bytes))
        digest, left = hashlib.sha256(), size_bytes
        with path.open("rb") as source:
            while piece := source.read(min(_PIECE_BYTES, left) or 1):
                left -= len(piece)
                if left < 0:  # it has grown
                    break
                digest.update(piece)
                self._stream.write(piece)
        if left or digest.hexdigest() != sha256:
            raise ArchiveError(f"{path.name} is not what it was: its size or its digest is another")
        self._stream.write(b"\0" * (-size_bytes % BLOCK))

    def end(self) -> None:
        """Write the end."""
        self._stream.write(b"\0" * (2 * BLOCK))


class ArchiveReader:
    """Reads files one after the other.

    Args:
        stream: Where from, at its beginning; a regular file.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._name, self._size = "", -1

    @property
    def length_bytes(self) -> int:
        """Of the whole archive."""
        return os.fstat(self._stream.fileno()).st_size

    def peek(self) -> str:
        """The name of the next file; empty at the end.

        Raises:
            ArchiveError: What comes next is no file.
        """
        if self._size < 0:
            self._name, self._size = self._next()
        return self._name

    def read_bytes(self, name: str, *, most: int) -> bytes:
        """The next file, which has to be called so, at most so long.

        Raises:
            ArchiveError: It is not.
        """
        pieces: list[bytes] = []
        self._take(name, most, pieces.append)
        return b"".join(pieces)

    def copy(self, name: str, target: Path, *, size_bytes: int, sha256: str) -> None:
        """Copy the next file, which has to be called so, to a new file; it has to have this length and digest.

        Raises:
            ArchiveError: It is not.
            OSError: It cannot be written.
        """
        digest = hashlib.sha256()
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb", buffering=0) as stream:

            def keep(piece: bytes) -> None:
                digest.update(piece)
                stream.write(piece)

            if self._take(name, size_bytes, keep) != size_bytes:
                raise ArchiveError(f"{name} is not as long as was announced")
            os.fsync(stream.fileno())
        if digest.hexdigest() != sha256:
            raise ArchiveError(f"{name} has another digest than was announced")

    def end(self) -> None:
        """There has to be nothing more.

        Raises:
            ArchiveError: There is.
        """
        if self.peek():
            raise ArchiveError(f"it holds {self._name!r}, which was not announced")
        while piece := self._stream.read(_PIECE_BYTES):
            if piece.strip(b"\0"):
                raise ArchiveError("something stands behind its end")

    def _take(self, name: str, most: int, keep: Callable[[bytes], object]) -> int:
        found = self.peek()
        if found != name:
            raise ArchiveError(f"{name} was to come, and {found or 'nothing'!r} does")
        size, self._size = self._size, -1
        if size > most:
            raise ArchiveError(f"{name} is longer than it may be")
        left = size
        while left:
            piece = self._stream.read(min(_PIECE_BYTES, left))
            if not piece:
                raise ArchiveError(f"it ends inside of {name}")
            keep(piece)
            left -= len(piece)
        if self._stream.read(-size % BLOCK) != b"\0" * (-size % BLOCK):
            raise ArchiveError(f"{name} is not filled up with zeros")
        return size

    def _next(self) -> tuple[str, int]:
        head = self._stream.read(BLOCK)
        if len(head) != BLOCK:
            raise ArchiveError("it ends without its end")
        if not head.strip(b"\0"):
            return "", 0
        if sum(head[:148]) + sum(head[156:]) + 8 * 0x20 != _number(head[148:156]):
            raise ArchiveError("a header's sum is wrong")
        if head[257:265] not in _MAGICS:
            raise ArchiveError("it is no tar archive of a form that is taken")
        if head[156:157] not in {b"0", b"\0"}:
            raise ArchiveError("it holds something that is no plain file")
        prefix = _text(head[345:500])
        if head[157:257].strip(b"\0") or (prefix and head[257:265] != _MAGICS[0]):
            raise ArchiveError("a header says more than a name and a size")
        name = _text(head[:_NAME_BYTES_MAX])
        if not name:
            raise ArchiveError("a file has no name")
        return f"{prefix}/{name}" if prefix else name, _number(head[124:136])


def _header(name: str, size_bytes: int) -> bytes:
    """The POSIX header; GNU's for what is longer than the former can say."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size_bytes, 0o644
    try:
        head = info.tobuf(tarfile.USTAR_FORMAT if size_bytes < _OCTAL_MAX else tarfile.GNU_FORMAT, "ascii", "strict")
    except ValueError as error:
        raise ArchiveError(f"{name!r} cannot be a name in an archive ({error})") from error
    if len(head) != BLOCK:
        raise ArchiveError(f"{name!r} is too long for a name in an archive")
    return head


def _text(field: bytes) -> str:
    raw, _, rest = field.partition(b"\0")
    if rest.strip(b"\0") or not raw.isascii():
        raise ArchiveError("a file's name cannot be read")
    return raw.decode("ascii")


def _number(field: bytes) -> int:
    """An octal number, or a binary one where the octal digits are too few."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    match = _OCTAL.fullmatch(field)
    if match is None:
        raise ArchiveError("a header's number cannot be read")
    return int(match[1], 8)
