"""Folders for what is not in its place yet: gone with who made them, and where that was killed, with the next one made."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_MADE = re.compile(r"[a-z0-9_]{8}")
"""What ``tempfile`` puts after a prefix."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def aside(parent: Path, prefix: str) -> Generator[Path]:
    """A fresh folder in ``parent``, for this user alone; removed with all that is in it, whatever happens.

    It is locked as long as it is used, however its process ends: folders of the same prefix that nobody holds any more are
    removed first.

    Args:
        parent: Where.
        prefix: Of its name; nobody else's may begin so.

    Raises:
        OSError: It cannot be made.
    """
    folder, descriptor = _made(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _made(parent: Path, prefix: str) -> tuple[Path, int]:
    """Its path, and the descriptor that holds its lock."""
    around = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # some file systems have no locks; then nothing is swept there
            fcntl.flock(around, fcntl.LOCK_EX)  # nobody sweeps what is made and not locked yet
            for each in parent.glob(f"{prefix}*"):
                if _MADE.fullmatch(each.name.removeprefix(prefix)):
                    _sweep(each)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        descriptor = os.open(folder, _FOLDER)
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return folder, descriptor
    finally:
        os.close(around)


def _sweep(folder: Path) -> None:
    """Remove a folder of ours that nobody holds."""
    try:
        descriptor = os.open(folder, _FOLDER)
    except OSError:
        return
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)
