"""Memory bandwidth, measured by copying: the number that decides how fast a local model writes."""

from __future__ import annotations

import ctypes
import threading
import time
from typing import Final

_BUFFER_BYTES: Final = 32 << 20
"""Far larger than the caches of common processors."""

_COPIES_MIN: Final = 2
_SECONDS: Final = 0.2


def measure_bandwidth(*, threads: int, seconds: float = _SECONDS) -> int:
    """Bytes a second that ``threads`` threads read plus write while copying, all together; 0 if memory is short.

    Takes ``seconds`` plus the time to fill the buffers, some 0.1 s.
    """
    count = max(1, threads)
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
        began = time.perf_counter()
        copies = 0
        while copies < _COPIES_MIN or time.perf_counter() - began < seconds:
            ctypes.memmove(target, source, _BUFFER_BYTES)
            copies += 1
        copied[index] = copies * _BUFFER_BYTES / (time.perf_counter() - began)

    workers = [threading.Thread(target=copy, args=(index,), daemon=True) for index in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return round(2 * sum(copied))
