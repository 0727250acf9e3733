"""What the children of this process have computed, by the kernel's counters; nothing where it has none."""

from __future__ import annotations

import contextlib
from pathlib import Path

from freehold.hostinfo.files import read_text

_NS = 1e-9


def children_cpu_s(root: Path = Path("/")) -> float | None:
    """Seconds that the processor gave to the children of this process, all their threads together.

    ``None`` where the kernel does not count: it must be Linux with ``schedstat``. Waiting for a processor that others have is
    not in it.
    """
    found: float | None = None
    for own in (root / "proc/self/task").glob("*"):
        for child in read_text(own / "children").split():
            for task in _tasks(root / "proc" / child / "task"):
                words = read_text(task / "schedstat").split()
                if words and words[0].isdigit():
                    found = (found or 0.0) + int(words[0]) * _NS
    return found


def _tasks(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return list(folder.iterdir())
    return []
