"""Memory bandwidth, measured by copying: the number that decides how fast a local model writes."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from typing import Final

_BUFFER_BYTES: Final = 32 << 20
"""Far larger than the caches of common processors."""

_COPIES_MIN: Final = 2
_THREADS_MAX: Final = 8
_SECONDS: Final = 1.0
GLANCE_S: Final = 0.2
"""For who cannot wait: on a busy machine it varies by more than a whole second's does."""


def measure_bandwidth(
    *, threads: int, seconds: float = _SECONDS, now_s: Callable[[], float] = time.perf_counter
) -> int:
    """Bytes a second that ``threads`` threads read plus write while copying, all together; 0 if memory is short.

    Takes ``seconds`` plus the time to fill the buffers, some 0.1 s.

    Args:
        threads: How many, 8 at most: more get no more out of common memory.
        seconds: For how long they copy.
        now_s: The time, called by every thread.
    """
    count = min(max(1, threads), _THREADS_MAX)
    try:
        pairs = [
            (ctypes.create_string_buffer(_BUFFER_BYTES), ctypes.create_string_buffer(_BUFFER_BYTES))
            for _ in range(count)
        ]
    except MemoryError:
        return 0
    copied = [0.0] * count
    start = threading.Barrier(count)

    def copy(index: int) -> None:
        target, source = pairs[index]
        # The first copy touches every page; memmove runs without the interpreter lock.
        ctypes.memmove(target, source, _BUFFER_BYTES)
        start.wait()
        began = now_s()
        copies = 0
        took_s = 0.0
        while copies < _COPIES_MIN or took_s < seconds:
            ctypes.memmove(target, source, _BUFFER_BYTES)
            copies += 1
            took_s = now_s() - began
        copied[index] = copies * _BUFFER_BYTES / took_s

    workers = [threading.Thread(target=copy, args=(index,), daemon=True) for index in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return round(2 * sum(copied))
