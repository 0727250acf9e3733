"""How the C library's allocator serves this process: glibc's, where it is that one. Others are left as they are."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
from collections.abc import Callable, Mapping
from typing import Final

QUIET_S: Final = 1.0
"""Memory is given back once nothing has happened between two looks so far apart."""

_ARENA_MAX_PARAMETER: Final = -8  # M_ARENA_MAX of <malloc.h>
_OWNERS_CHOICE: Final = "MALLOC_ARENA_MAX"


def share_one_heap(environment: Mapping[str, str] = os.environ) -> bool:
    """Have glibc serve all threads from one heap; to be called before there are any.

    By default each thread gets a heap of its own. Ours hand what they allocate to each other, so that one heap grows by
    what another one has free: memory crept up for as long as requests came. They take turns at the interpreter anyway,
    so one heap costs them nothing. What the owner has set stands.

    Args:
        environment: Where ``MALLOC_ARENA_MAX`` may be set.

    Returns:
        Whether there is one heap now on account of this call.
    """
    if _OWNERS_CHOICE in environment or not _is_glibc():
        return False
    return bool(ctypes.CDLL(None).mallopt(_ARENA_MAX_PARAMETER, 1))


def give_back_free() -> None:
    """Return memory in which nothing is allocated to the system; a few milliseconds.

    The interpreter keeps up to 2,000 freed tuples of each length for the next ones, scattered over all of its arenas,
    until it collects garbage of all ages; on its own glibc returns only what lies free at the heap's very end.
    """
    gc.collect()
    if _is_glibc():
        ctypes.CDLL(None).malloc_trim(0)


async def keep_heap_small(
    *, served: Callable[[], int], active: Callable[[], int], give_back: Callable[[], None] = give_back_free
) -> None:
    """Give back what a burst of requests took, once there are none; runs until cancelled.

    A disk that stalls for a second lets megabytes of records wait for it, and so does a crowd of clients.

    Args:
        served: Rises with each request.
        active: Requests being answered now.
        give_back: What does it.
    """
    seen = given_back = served()
    while True:
        await asyncio.sleep(QUIET_S)
        now = served()
        if now == seen != given_back and not active():
            give_back()
            given_back = now
        seen = now


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc ")
    except (AttributeError, ValueError, OSError):  # no such name: musl, macOS; no such function: Windows
        return False
