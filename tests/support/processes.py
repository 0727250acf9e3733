"""Child processes of a process, as the system lists them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def children_of(pid: int, running: bytes = b"") -> list[int]:
    """Those that a process, which runs, has started, and whose command line has ``running`` in it."""
    found: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended since
            found += map(int, listed.read_text("ascii").split())
    return [each for each in found if running in _command_of(each)]


def _command_of(pid: int) -> bytes:
    """Its command line; empty for one that has ended since it was listed."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
