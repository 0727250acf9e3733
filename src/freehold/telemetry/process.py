"""What the operating system says about this process, and how late its event loop is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import resource
import time
from pathlib import Path

from freehold import __version__
from freehold.domain.ports import Clock
from freehold.telemetry import metric_table as table
from freehold.telemetry.metrics import Metrics

LOOK_EVERY_S = 0.5

_MEMORY = Path("/proc/self/statm")
_DESCRIPTORS = Path("/proc/self/fd")
_PAGE_BYTES = resource.getpagesize()


def set_process(metrics: Metrics, *, started_unix_s: int) -> None:
    """Set what is known about this process. What the system does not tell (no ``/proc``) has no series."""
    metrics.set(table.BUILD, __version__, platform.python_version(), value=1)
    metrics.set(table.PROCESS_START_SECONDS, value=started_unix_s)
    metrics.set(table.PROCESS_CPU_SECONDS, value=round(time.process_time(), 6))
    metrics.set(table.PROCESS_MAX_FDS, value=resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    with contextlib.suppress(OSError):
        metrics.set(table.PROCESS_MEMORY_BYTES, value=int(_MEMORY.read_bytes().split()[1]) * _PAGE_BYTES)
    with contextlib.suppress(OSError):
        # One of them is the listing's own.
        metrics.set(table.PROCESS_OPEN_FDS, value=len(os.listdir(_DESCRIPTORS)) - 1)  # noqa: PTH208 - a count, no paths


async def watch_loop(metrics: Metrics, clock: Clock) -> None:
    """Note twice a second how late the event loop wakes us; runs until it is cancelled."""
    lag = metrics.histogram(table.LOOP_LAG_SECONDS)
    while True:
        due_s = clock.monotonic_s() + LOOK_EVERY_S
        await asyncio.sleep(LOOK_EVERY_S)
        lag.observe_ms((clock.monotonic_s() - due_s) * 1000)
