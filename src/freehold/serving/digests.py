"""sha256 of model files, computed once for each state of a file.

A file's state is its size, modification and change time, inode and device. While it stays the same the digest of the
last full reading holds; once it differs in anything, the file is read again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from freehold.storage.disk import write_atomically


def sha256_of(path: Path) -> str:
    """Digest of a file, read from its beginning to its end."""
    with path.open("rb", buffering=0) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class DigestCache:
    """Digests by path and state, kept in a folder of small files.

    Args:
        folder: Created when needed. Whoever can write to it can vouch for any file, so it is the owner's alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def digest(self, path: Path, *, fresh: bool = False) -> str:
        """sha256 of ``path``: from the cache where the file is unchanged since, else by reading it whole.

        Args:
            path: The file.
            fresh: Read it whole in any case; a disk may lose bits without changing a file's state.

        Raises:
            OSError: The file cannot be read.
        """
        state = list(file_state(path))
        stamp = self._stamp(path)
        if not fresh:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                remembered = json.loads(stamp.read_text(encoding="utf-8"))
                if remembered["state"] == state:
                    return str(remembered["sha256"])
        digest = sha256_of(path)
        if list(file_state(path)) == state:
            # Written to while it was read: the digest is of neither state, so it is not kept.
            write_atomically(stamp, json.dumps({"path": str(path), "state": state, "sha256": digest}).encode())
        return digest

    def forget(self, path: Path) -> None:
        """Drop what is known of ``path``."""
        self._stamp(path).unlink(missing_ok=True)

    def _stamp(self, path: Path) -> Path:
        return self._folder / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.json"


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_state(path: Path) -> tuple[int, ...]:
    """Size, moments of the last writing and of the last change in nanoseconds, inode and device.

    Raises:
        OSError: There is none.
    """
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev
