"""The parser's private folder: gone with the gateway, and where that was killed, gone with the next one's start."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
from pathlib import Path

_PREFIX, _LOCK = "freehold-read-", ".lock"


class Scratch:
    """A folder's name, and a lock beside it that the system lets go of however this process ends.

    A copy of a file lies in the folder while it is read, in plain text: none may outlive its reader for long.

    Attributes:
        folder: Path of the folder; whoever uses it makes and removes it.
    """

    def __init__(self) -> None:
        self.folder = f"{tempfile.gettempdir()}/{_PREFIX}{secrets.token_hex(8)}"
        self._descriptor = -1

    def begin(self) -> None:
        """Lock it, and remove the folders of those that were killed. Idempotent; blocks shortly.

        Raises:
            OSError: The lock cannot be made.
        """
        if self._descriptor >= 0:
            return
        self._descriptor = os.open(
            self.folder + _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        for lock in Path(self.folder).parent.glob(f"{_PREFIX}*{_LOCK}"):
            with contextlib.suppress(OSError):
                _sweep(lock)

    def end(self) -> None:
        """Let go of the lock. Idempotent."""
        if self._descriptor >= 0:
            Path(self.folder + _LOCK).unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1


def _sweep(lock: Path) -> None:
    """Remove a folder of ours whose process is no more.

    Raises:
        OSError: It is somebody else's, or in use.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
        lock.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
