"""How the C library's allocator serves this process."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from typing import Final

_ARENA_MAX_PARAMETER: Final = -8  # M_ARENA_MAX of <malloc.h>
_OWNERS_CHOICE: Final = "MALLOC_ARENA_MAX"


def share_one_heap(environment: Mapping[str, str] = os.environ) -> bool:
    """Have glibc serve all threads from one heap; to be called before there are any.

    By default each thread gets a heap of its own. Ours hand what they allocate to each other, so that one heap grows by
    what another one has free: memory crept up for as long as requests came. They take turns at the interpreter anyway,
    so one heap costs them nothing. Another C library is left as it is, and so is what the owner has set.

    Args:
        environment: Where ``MALLOC_ARENA_MAX`` may be set.

    Returns:
        Whether there is one heap now on account of this call.
    """
    if _OWNERS_CHOICE in environment or not _is_glibc():
        return False
    return bool(ctypes.CDLL(None).mallopt(_ARENA_MAX_PARAMETER, 1))


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc ")
    except (AttributeError, ValueError, OSError):  # no such name: musl, macOS; no such function: Windows
        return False
