"""How near this program is to the end of the memory that it may use."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freehold.hostinfo.cgroups import memory_groups
from freehold.hostinfo.files import number, read_text

_KIB: Final = 1024
_TEXT_BYTES_MAX: Final = 16 * _KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessMemory:
    """What one process has in memory now.

    Attributes:
        own_bytes: That nothing but the process itself could give back.
        file_bytes: Pages of files, which the system drops where it needs room.
    """

    own_bytes: int
    file_bytes: int


def process_memory(pid: int, *, root: Path = Path("/")) -> ProcessMemory | None:
    """What a process has; ``None`` where it is gone, or the system does not say."""
    found: dict[str, int] = {}
    for line in read_text(root / f"proc/{pid}/status").splitlines():
        name, _, value = line.partition(":")
        if name in {"RssAnon", "RssShmem", "RssFile"} and (kib := number(value.removesuffix("kB"))) is not None:
            found[name] = kib * _KIB
    if "RssAnon" not in found:
        return None
    own_bytes = found["RssAnon"] + found.get("RssShmem", 0)
    return ProcessMemory(own_bytes=own_bytes, file_bytes=found.get("RssFile", 0))


class MemoryMeter:
    """Reads a few of the kernel's files, kept open, so that a look costs microseconds. For one process.

    Args:
        root: Root of the file system; another folder in tests.
        processes: Processes of this program, taken to be of one size.
    """

    def __init__(self, *, root: Path = Path("/"), processes: int = 1) -> None:
        self._processes = processes
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._files: list[_OpenFile] = []
        self._own = self._open(root / "proc/self/statm")
        self._machine = self._open(root / "proc/meminfo")
        self._groups = [(group, self._open(group.used), self._open(group.stat)) for group in memory_groups(root)]

    def share(self) -> float | None:
        """What this program has taken of what it could have, 0 to 1; ``None`` where the system does not say.

        Could have is what it has and what is still free, in its control groups and on the machine. Where the program
        is alone there, that is the used share of the limit. Models that fill most of a machine on purpose do not count
        as the gateway's; what they leave does.
        """
        pages = self._own.read().split()
        resident = number(pages[1]) if len(pages) > 1 else None
        free = self._free_bytes()
        if not resident or free is None:
            return None
        own = resident * self._page_bytes * self._processes
        return own / (own + free)

    def close(self) -> None:
        """Close the files. Idempotent."""
        for each in self._files:
            each.close()

    def _free_bytes(self) -> int | None:
        """The least that any limit leaves."""
        found = [group.free_bytes(used.read(), stat.read()) for group, used, stat in self._groups]
        _, _, rest = self._machine.read().partition("MemAvailable:")
        if (kib := number(rest.partition("kB")[0])) is not None:
            found.append(kib * _KIB)
        return min(found, default=None)

    def _open(self, path: Path) -> _OpenFile:
        file = _OpenFile(path)
        self._files.append(file)
        return file


class _OpenFile:
    """A file of the kernel's that is read again and again; empty where there is none."""

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        with contextlib.suppress(OSError):
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> str:
        if self._descriptor < 0:
            return ""
        try:
            return os.pread(self._descriptor, _TEXT_BYTES_MAX, 0).decode("ascii", errors="replace")
        except OSError:
            return ""

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
