"""What the processor draws and whether heat slows it down, from the kernel's counters; nothing where it has none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from freehold.domain.hardware import ProcessorState
from freehold.hostinfo.energy import counted_uj, grown_uj, rapl_counters
from freehold.hostinfo.files import number, read_text

_MICRO: Final = 1e-6
_SECONDS: Final = 0.2


def processor_state(
    root: Path = Path("/"),
    *,
    seconds: float = _SECONDS,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], object] | None = None,
) -> ProcessorState:
    """Power over ``seconds``, temperature, and how often it slowed down for heat since it was started.

    The energy counters (RAPL) are readable by root only on most systems since they tell what others compute; then power is
    not known, and 0.
    """
    counters = rapl_counters(root)
    before, began = [counted_uj(each) for each in counters], clock()
    if any(each is not None for each in before):
        (wait or threading.Event().wait)(seconds)
    after, ended = [counted_uj(each) for each in counters], clock()
    joules = 0.0
    for counter, first, last in zip(counters, before, after, strict=True):
        if first is not None and last is not None:
            joules += grown_uj(counter, first, last) * _MICRO
    passed = ended - began
    return ProcessorState(
        power_w=joules / passed if joules and passed > 0 else 0.0,
        celsius=_hottest(root),
        slowed_by_heat=_slowed(root),
    )


def _hottest(root: Path) -> float:
    zones = (root / "sys/class/thermal").glob("thermal_zone*")
    processor = [
        zone for zone in zones if read_text(zone / "type").strip() in {"x86_pkg_temp", "cpu-thermal", "k10temp"}
    ]
    return max((number(read_text(zone / "temp")) or 0 for zone in processor), default=0) / 1e3


def _slowed(root: Path) -> int:
    """The most of any core: cores of a package slow down together."""
    counters = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_throttle_count")
    return max((number(read_text(each)) or 0 for each in counters), default=0)
