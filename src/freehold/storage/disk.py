"""Bytes that the kernel has, and bytes that are on the medium, when a function returns.

Every write of log segments and tiles goes through here, so that tests can make the disk fail at any one of them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import sys
from collections.abc import Iterable
from pathlib import Path

_PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700


def create_appendable(path: Path) -> int:
    """Make a file that ``append`` writes to; the folder's entry is durable.

    Raises:
        OSError: It exists, or cannot be made.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
    try:
        sync_folder(path.parent)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def append(descriptor: int, data: bytes) -> None:
    """Append ``data``: at return the kernel has it, so that it outlives this process, not a power cut.

    Raises:
        OSError: The kernel has a part of it at most. The descriptor must not be appended to again.
    """
    if os.write(descriptor, data) != len(data):
        # The rest would not follow what others may have appended since; a full disk is the usual reason.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def sync(descriptor: int) -> None:
    """Bring what was appended to the medium.

    Raises:
        OSError: It may not be there. The descriptor must not be used again: after a failed sync a second one may
            succeed although the data is lost.
    """
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # macOS's fsync stops at the drive's cache
    else:
        os.fdatasync(descriptor)


def cut(path: Path, size_bytes: int) -> None:
    """Shorten a file through a descriptor of its own; on the medium at return.

    Raises:
        OSError: It may still be longer.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    try:
        os.ftruncate(descriptor, size_bytes)
        sync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path | str, data: bytes) -> None:
    """Put a whole file in place: its content is durable, its name is once ``sync_folder`` has run.

    For the one writer of a folder, who syncs it once for many files; ``write_atomically`` is for everybody else.

    A ``Path`` interns its parts. Of thousands of file names that are used once the interpreter's table of such strings
    grows, by a megabyte; so who writes many gives strings.

    Raises:
        OSError: It could not be written; a file that was there before is untouched.
    """
    scratch = f"{path}.new"
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, _PRIVATE_FILE)
    try:
        _write_all(descriptor, data)
        sync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(scratch, path)  # noqa: PTH105 - see above


def write_atomically(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Replace ``path`` by ``content``, durably; a crash leaves the old or the new content, never a mixture.

    Several may do so at once, in one process too: one of them comes last.

    Args:
        path: The file. Its folder is made where it is missing.
        content: All of it.
        mode: Who may use it, less what the umask takes.

    Raises:
        OSError: It could not be written; a file that was there before is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=_PRIVATE_FOLDER)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def make_folders(path: Path) -> tuple[Path, ...]:
    """Make a folder with its parents; returns the folders that got a new name in them and need ``sync_folder``."""
    missing: list[Path] = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
    return tuple(folder.parent for folder in missing)


def sync_folder(path: Path | str) -> None:
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
