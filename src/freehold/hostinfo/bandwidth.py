"""Memory bandwidth, measured by copying: the number that decides how fast a local model writes."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_BUFFER_BYTES: Final = 32 << 20
"""Far larger than the caches of common processors."""

_COPIES_MIN: Final = 2
_THREADS_MAX: Final = 8
_SECONDS: Final = 1.0
GLANCE_S: Final = 0.2
"""For who cannot wait: on a busy machine it varies by more than a whole second's does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What was measured.

    Attributes:
        bytes_per_s: Read plus written by all threads together, in a second of the time that they had: as runs of models
            are counted, so that the two agree on a busy machine. 0 if memory is short.
        taken_share: Of the time that the threads could have had, what others took: with much of it that number is rough.
    """

    bytes_per_s: int
    taken_share: float


def measure_bandwidth(*, threads: int, seconds: float = _SECONDS) -> int:
    """Bytes a second that ``threads`` threads read plus write while copying, all together; 0 if memory is short.

    Takes ``seconds`` plus the time to fill the buffers, some 0.1 s.
    """
    return copy_memory(threads=threads, seconds=seconds).bytes_per_s


def copy_memory(
    *,
    threads: int,
    seconds: float = _SECONDS,
    now_s: Callable[[], float] = time.perf_counter,
    own_s: Callable[[], float] = time.thread_time,
) -> Copied:
    """Copy for ``seconds`` and say how much that was, and how much of the time others took.

    Args:
        threads: How many, 8 at most: more get no more out of common memory.
        seconds: For how long they copy.
        now_s: The time, called by every thread.
        own_s: What the calling thread had of the processor.
    """
    count = min(max(1, threads), _THREADS_MAX)
    try:
        pairs = [
            (ctypes.create_string_buffer(_BUFFER_BYTES), ctypes.create_string_buffer(_BUFFER_BYTES))
            for _ in range(count)
        ]
    except MemoryError:
        return Copied(bytes_per_s=0, taken_share=0.0)
    copied, took, had = [0] * count, [0.0] * count, [0.0] * count
    start = threading.Barrier(count)

    def copy(index: int) -> None:
        target, source = pairs[index]
        # The first copy touches every page; memmove runs without the interpreter lock.
        ctypes.memmove(target, source, _BUFFER_BYTES)
        start.wait()
        began, own = now_s(), own_s()
        while copied[index] < _COPIES_MIN or took[index] < seconds:
            ctypes.memmove(target, source, _BUFFER_BYTES)
            copied[index] += 1
            took[index] = now_s() - began
        had[index] = own_s() - own

    workers = [threading.Thread(target=copy, args=(index,), daemon=True) for index in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    # Some systems count a thread's time in steps longer than all of it.
    times = [own if own > 0 else whole for own, whole in zip(had, took, strict=True)]
    bytes_per_s = sum(2 * copies * _BUFFER_BYTES / time_s for copies, time_s in zip(copied, times, strict=True))
    return Copied(bytes_per_s=round(bytes_per_s), taken_share=max(0.0, 1 - sum(times) / sum(took)))
