"""What lies inside archives and mailboxes: read one by one, within limits that hold for all of them together."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import tarfile
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from freehold.domain.errors.vault import FileDamaged, FileTooCostly, FileTooLarge, FileUnread
from freehold.domain.vault import Parsed
from freehold.vault.parsing.limits import Spent
from freehold.vault.parsing.package import Package

_PIECE_BYTES = 1 << 20
_NAME_CHARACTERS = 200
_WARNINGS_MAX = 50
_DRIVE = re.compile(r"^[A-Za-z]:")
_LITTER = re.compile(r"(^|/)(__MACOSX/|\._[^/]*$|\.DS_Store$|Thumbs\.db$)")


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


_TAR_ERRORS = (tarfile.TarError, ValueError, EOFError, OverflowError, OSError)

Inner = Callable[[str, bytes], Parsed]
"""Reads what was inside: its name there, its bytes."""


@dataclass(slots=True)
class Members:
    """What was read inside of a file, and what was not.

    Attributes:
        found: Names, each once, and what was read.
        warnings: What was not read, and why.
    """

    spent: Spent
    inner: Inner
    found: dict[str, Parsed] = field(default_factory=dict[str, Parsed])
    warnings: list[str] = field(default_factory=list[str])
    _unsaid: int = 0
    _first: FileUnread | None = None

    def read(self, name: str, data: Callable[[], bytes]) -> None:
        """Read one; where it cannot be, that is a warning.

        Raises:
            FileTooCostly: The time is over.
        """
        shown = inside_name(name) or "file"
        self.spent.tick()
        try:
            parsed = self.inner(shown, data())
        except FileTooCostly:
            raise
        except FileUnread as error:
            if self.spent.over is not None:
                raise
            self._first = self._first or error
            self.missed(f"{shown}: {why(error)}")
            return
        number, unique = 1, shown
        while unique in self.found:
            number += 1
            unique = f"{shown}~{number}"
        self.found[unique] = parsed

    def missed(self, warning: str) -> None:
        """Note what was not read."""
        if len(self.warnings) < _WARNINGS_MAX:
            self.warnings.append(warning)
        else:
            self._unsaid += 1

    def read_all(self, files: Iterator[tuple[str, Callable[[], bytes]]]) -> None:
        """Read all, up to the first limit that holds for all of them.

        Raises:
            FileUnread: None could be read.
        """
        try:
            for name, data in files:
                self.spent.member()
                self.read(name, data)
        except (FileTooLarge, FileDamaged) as error:
            self._first = self._first or error
            self.missed(f"the rest was not read: {why(error)}")
        if not self.found and self._first is not None:
            raise self._first

    def told(self) -> tuple[str, ...]:
        """All warnings, the last of them for those that are too many to be said."""
        more = (f"{self._unsaid:,} more were not read",) if self._unsaid else ()
        return (*self.warnings, *more)


def why(error: FileUnread) -> str:
    """What an error says of a file that is not named again."""
    return str(error).split(" was not read: ", 1)[-1].split(". ", 1)[0].rstrip(".")


def inside_name(name: str) -> str:
    """A name as it is shown: never a path that leads anywhere, without characters that hide or turn it around."""
    shown = "".join("�" if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") else each for each in name)
    parts = [part for part in _DRIVE.sub("", shown).replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[-_NAME_CHARACTERS:]


def zip_files(package: Package) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Name and content of each file in a zip archive."""
    for entry in package.entries.values():
        if not entry.is_dir() and not _LITTER.search(entry.filename):
            yield entry.filename, lambda entry=entry: package.unpacked(entry)


def tar_files(data: bytes, spent: Spent, left_out: Callable[[str], None]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Name and content of each regular file in a tar archive; links, devices and pipes are left out.

    Raises:
        FileUnread: It is damaged.
    """
    others = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for entry in archive:
                spent.tick()
                if entry.isreg():
                    if not _LITTER.search(entry.name):
                        yield (
                            entry.name,
                            lambda entry=entry, archive=archive: _tar_file(archive, entry, spent, len(data)),
                        )
                elif not entry.isdir():
                    others += 1
    except _TAR_ERRORS as error:
        raise FileDamaged(name=spent.name, reason="the archive is cut short or damaged") from error
    if others:
        left_out(f"{others:,} links, devices or pipes were left out")


def _tar_file(archive: tarfile.TarFile, entry: tarfile.TarInfo, spent: Spent, size: int) -> bytes:
    try:
        source = archive.extractfile(entry)
        # A sparse file has more bytes than the archive has for it.
        return b"" if source is None else _all_of(source, spent, packed=size)
    except _TAR_ERRORS as error:
        raise FileDamaged(name=spent.name, reason="the archive is cut short or damaged") from error


def unpressed(data: bytes, kind: str, spent: Spent) -> bytes:
    """What a single compressed file holds: ``gz``, ``bz2`` or ``xz``.

    Raises:
        FileUnread: It is damaged or beyond a limit.
    """
    opened = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}[kind]
    try:
        with opened(io.BytesIO(data), "rb") as source:
            return _all_of(source, spent, packed=len(data))
    except (zlib.error, OSError, lzma.LZMAError, ValueError, EOFError) as error:
        raise FileDamaged(name=spent.name, reason="it is cut short or damaged") from error


def _all_of(source: _Source, spent: Spent, *, packed: int) -> bytes:
    """Everything that ``source`` holds, in pieces that are counted."""
    pieces: list[bytes] = []
    total = 0
    while piece := source.read(_PIECE_BYTES):
        total += len(piece)
        spent.unpack(len(piece), packed=packed)
        spent.tick()
        spent.ratio(total, packed=packed)
        pieces.append(piece)
    return b"".join(pieces)
