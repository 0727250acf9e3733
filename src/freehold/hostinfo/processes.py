"""What another process of ours has used: processor time and memory, from the kernel's files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freehold.hostinfo.files import read_text

_AFTER_NAME: Final = 11
"""Fields of ``/proc/PID/stat`` between the process's name and its user time."""
_KIB: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessUsage:
    """Of one process, all threads together.

    Attributes:
        cpu_s: Processor seconds since its start, in steps of a hundredth.
        peak_bytes: Most memory that it ever had, pages of mapped files among it; 0 where the system does not say.
    """

    cpu_s: float
    peak_bytes: int


def usage_of(pid: int, *, root: Path = Path("/")) -> ProcessUsage | None:
    """What a process has used so far; ``None`` where it is gone, or the system has no ``/proc``."""
    _, _, rest = read_text(root / f"proc/{pid}/stat").rpartition(")")
    fields = rest.split()
    if len(fields) <= _AFTER_NAME + 1:
        return None
    ticks = int(fields[_AFTER_NAME]) + int(fields[_AFTER_NAME + 1])
    peak_kib = 0
    for line in read_text(root / f"proc/{pid}/status").splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            peak_kib = int(value.split()[0])
    return ProcessUsage(cpu_s=ticks / os.sysconf("SC_CLK_TCK"), peak_bytes=peak_kib * _KIB)
