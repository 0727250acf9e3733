"""The data folder: made private, and owned by one server at a time."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from typing import Self

from freehold.domain.errors.server import DataFolderLocked, DataFolderUnusable

_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600
LOCK_NAME = "lock"
"""Written whenever a folder is opened."""

_PID_BYTES_MAX = 20


class DataFolder:
    """An open, locked data folder.

    The lock is ``flock`` on a file in it, not the presence of a process id: the system releases it whatever way the
    process ends, so that no stale lock ever needs removing.

    Attributes:
        path: The folder, absolute.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock: int | None = lock

    @classmethod
    def open(cls, path: Path) -> Self:
        """Make the folder where it is missing (mode 0700) and lock it.

        Raises:
            DataFolderLocked: Another process has it.
            DataFolderUnusable: It cannot be made, is no folder, or others may write to it.
        """
        path = path.expanduser().absolute()
        try:
            path.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
            mode = path.stat().st_mode
            if mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise DataFolderUnusable(path=path, reason=f"others may write to it (mode {stat.S_IMODE(mode):04o})")
            lock = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _PRIVATE_FILE)
        except OSError as error:
            raise DataFolderUnusable(path=path, reason=error.strerror or error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _read_pid(lock)
            os.close(lock)
            raise DataFolderLocked(path=path, pid=pid) from None
        except OSError as error:
            os.close(lock)
            raise DataFolderUnusable(path=path, reason=f"it cannot be locked: {error.strerror}") from error
        _write_pid(lock)
        return cls(path, lock)

    @property
    def lock(self) -> int:
        """The lock's descriptor: a process that inherits it keeps the folder locked as long as it lives."""
        if self._lock is None:
            raise RuntimeError("the folder is closed")
        return self._lock

    def close(self) -> None:
        """Release the lock. Idempotent."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def private_file(path: Path) -> None:
    """Make ``path`` with mode 0600 where it is missing, whatever the umask.

    Raises:
        OSError: It cannot be made, or it is a symbolic link.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _PRIVATE_FILE))


def _write_pid(lock: int) -> None:
    # The process id is a courtesy for the message of the second process; a full disk must not keep us from running.
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        return


def _read_pid(lock: int) -> str:
    text = os.pread(lock, _PID_BYTES_MAX, 0).decode("ascii", "replace").strip()
    return text if text.isdigit() else "unknown"
