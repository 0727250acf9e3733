"""Why a child ended, read from what the system and its last words say. Pure."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

_MEMORY = re.compile(
    r"bad_alloc|MemoryError|out of memory|failed to allocate|unable to allocate|cudaMalloc failed|ErrorOutOfDeviceMemory",
    re.IGNORECASE,
)
_TELLING = re.compile(r"error|fail|abort|assert|invalid|unable|exception|terminate|not found|bad_alloc", re.IGNORECASE)
_LOG_PREFIX = re.compile(r"^[\d.]+ [EWI] ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """How a child ended.

    Attributes:
        how: Continues "it ended …", for example ``by signal 9 (SIGKILL)``.
        by_memory: Whether lack of memory is the likely cause.
    """

    how: str
    by_memory: bool = False


def read_death(returncode: int, last_output: str) -> Death:
    """What a return code (negative for a signal, as in ``subprocess``) and the end of the error output mean.

    SIGKILL that we did not send counts as lack of memory: that is how the kernel takes it back, and it leaves no words.
    """
    words = last_words(last_output)
    by_memory = bool(_MEMORY.search(last_output)) or returncode == -signal.SIGKILL
    if returncode >= 0:
        how = f"with exit code {returncode}"
    else:
        try:
            name = signal.Signals(-returncode).name
        except ValueError:
            name = "unknown"
        how = f"by signal {-returncode} ({name})"
    return Death(how=f"{how}: {words}" if words else how, by_memory=by_memory)


def last_words(output: str) -> str:
    """The line of ``output`` that says most about its end; empty if it says nothing."""
    lines = [_LOG_PREFIX.sub("", line.strip()) for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    return (telling or lines or [""])[-1]
