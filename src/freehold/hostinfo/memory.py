"""How near this program is to the end of the memory that it may use."""

from __future__ import annotations

import os
from pathlib import Path

from freehold.hostinfo.cgroups import read_limits
from freehold.hostinfo.files import number, read_text

_KIB = 1024


def memory_share(*, root: Path = Path("/"), processes: int = 1) -> float | None:
    """What this program has taken of what it could have, 0 to 1; ``None`` where the system does not say.

    Could have is what it has and what is still free, in its control groups and on the machine. Where the program is
    alone there, that is the used share of the limit. Models that fill most of a machine on purpose do not count as the
    gateway's; what they leave does.

    Args:
        root: Root of the file system; another folder in tests.
        processes: Processes of this program, taken to be of one size.
    """
    pages = read_text(root / "proc/self/statm").split()
    resident = number(pages[1]) if len(pages) > 1 else None
    free = _free_bytes(root)
    if resident is None or free is None:
        return None
    own = resident * os.sysconf("SC_PAGE_SIZE") * processes
    return own / (own + free) if own else 0.0


def _free_bytes(root: Path) -> int | None:
    """The least that any limit leaves."""
    found: list[int] = []
    for line in read_text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable" and (kib := number(value.strip().removesuffix(" kB"))) is not None:
            found.append(kib * _KIB)
            break
    if (in_group := read_limits(root).memory_free_bytes) is not None:
        found.append(in_group)
    return min(found, default=None)
