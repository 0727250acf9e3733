"""One pull of a content at a time, over all processes of this machine."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from freehold.domain.errors.model import PullInProgress

_PID_BYTES_MAX: Final = 20


@contextmanager
def pull_lock(path: Path, *, name: str) -> Generator[None]:
    """Hold the lock file ``path``; the kernel gives it back when the process ends, however it ends.

    Raises:
        PullInProgress: Another pull holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, _PID_BYTES_MAX, 0).decode("ascii", errors="replace")
            raise PullInProgress(name=name, pid=holder or "unknown") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        # The file stays: removing it would let a third pull lock a new file while the second still waits on this one.
        yield
    finally:
        os.close(descriptor)
