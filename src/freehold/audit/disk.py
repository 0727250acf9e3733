"""Bytes that are on disk when a function returns.

Every write of the audit room goes through here, so that tests can make the disk fail at any one of them.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterable
from pathlib import Path

_PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700

# One write that returns when the data is on disk: a second system call would mean waiting for the interpreter twice.
_DURABLE = getattr(os, "O_DSYNC", 0) if sys.platform == "linux" else 0


def create_appendable(path: Path) -> int:
    """Make a file that ``append_durably`` writes to; the folder's entry is durable too.

    Raises:
        OSError: It exists, or cannot be made.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | _DURABLE, _PRIVATE_FILE)
    try:
        sync_folder(path.parent)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def append_durably(descriptor: int, data: bytes) -> None:
    """Append ``data``; on disk at return.

    Raises:
        OSError: It is not, or not surely. The descriptor must not be used again: after a failed sync a second one
            may succeed although the data is lost.
    """
    _write_all(descriptor, data)
    if not _DURABLE:
        _sync(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Put a whole file in place: its content is durable, its name is once ``sync_folder`` has run.

    Raises:
        OSError: It could not be written; a file that was there before is untouched.
    """
    scratch = path.with_name(path.name + ".new")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, _PRIVATE_FILE)
    try:
        _write_all(descriptor, data)
        _sync(descriptor)
    finally:
        os.close(descriptor)
    scratch.replace(path)


def make_folders(path: Path) -> tuple[Path, ...]:
    """Make a folder with its parents; returns the folders that got a new name in them and need ``sync_folder``."""
    missing: list[Path] = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
    return tuple(folder.parent for folder in missing)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable.

    Raises:
        OSError: They may not be.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_files(paths: Iterable[Path]) -> None:
    """Delete files that are no longer needed, and the folders that this leaves empty. Missing ones are no error."""
    for path in paths:
        path.unlink(missing_ok=True)
        if path.parent.name.endswith(".p") and path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # macOS's fsync stops at the drive's cache
    else:
        os.fdatasync(descriptor)
