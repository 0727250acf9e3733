"""How much energy this machine's processor and cards have drawn, by their own counters.

Counted are the processor's packages and, beside them, its memory where that has a counter (RAPL); NVIDIA's cards (NVML); Intel's
cards; AMD's, whose mean power is added up over time. Not counted is what no counter sees: boards, disks, fans, the power supply's
losses. Graphics in a processor are counted with it. Where one of the parts cannot be read there is no answer: less than the machine drew would be called measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from freehold.hostinfo.files import number, read_text
from freehold.hostinfo.graphics import amd_cards, in_processor
from freehold.hostinfo.nvml import Nvml, nvml

_MICRO: Final = 1e-6
_NVIDIA: Final = "0x10de"
_DISPLAY: Final = "0x03"
_PLATFORM: Final = "psys"
"""A counter of the whole platform: what the packages count is in it once more, and it is often wrong."""


def rapl_counters(root: Path) -> tuple[Path, ...]:
    """Files of the processor's counters that count different things: packages, and memory beside them."""
    found: list[Path] = []
    for zone in sorted((root / "sys/class/powercap").glob("intel-rapl:*")):
        name, depth = read_text(zone / "name").strip(), zone.name.count(":")
        if (depth == 1 and name != _PLATFORM) or (depth == 2 and name == "dram"):
            found.append(zone / "energy_uj")
    return tuple(found)


def counted_uj(counter: Path) -> int | None:
    """Microjoules that a counter shows; ``None`` where it is not for us."""
    return number(read_text(counter))


def grown_uj(counter: Path, before: int, after: int) -> int:
    """By how much it grew: at its end it begins again."""
    if after >= before:
        return after - before
    return max(0, after - before + (number(read_text(counter.parent / "max_energy_range_uj")) or 0))


class EnergyCounters:
    """All counters of a machine; ``read`` often enough that none passes its end twice (a busy package takes minutes)."""

    def __init__(
        self, counters: tuple[Path, ...], amd: tuple[Path, ...], cards: Nvml | None, clock: Callable[[], float]
    ) -> None:
        self._counters, self._amd, self._cards, self._clock = counters, amd, cards, clock
        self._before: dict[Path, int] = {}
        self._rapl_uj = 0
        self._amd_j, self._amd_s = 0.0, clock()

    @classmethod
    def find(
        cls,
        root: Path = Path("/"),
        *,
        cards: Callable[[], Nvml | None] = nvml,
        clock: Callable[[], float] = time.monotonic,
    ) -> Self | None:
        """Those of this machine; ``None`` where a part of it has none that may be read."""
        counters = rapl_counters(root)
        if not counters or any(counted_uj(each) is None for each in counters):
            return None
        driver = cards() if _nvidia_cards(root) else None
        if _nvidia_cards(root) and (driver is None or not driver.count):
            return None
        amd = tuple(each for each in amd_cards(root) if not in_processor(each))
        found = cls((*counters, *_intel_cards(root)), amd, driver, clock)
        if found.read() is None:
            found.close()
            return None
        return found

    def read(self) -> float | None:
        """Joules since any moment; never less than before. ``None`` where a counter does not answer any more."""
        cards_j = 0.0 if self._cards is None else self._cards.joules()
        amd_w = [_amd_w(each) for each in self._amd]
        now_s = self._clock()
        if cards_j is None or None in amd_w:
            return None
        for counter in self._counters:
            after = counted_uj(counter)
            if after is None:
                return None
            self._rapl_uj += grown_uj(counter, self._before.get(counter, after), after)
            self._before[counter] = after
        self._amd_j += sum(each or 0.0 for each in amd_w) * (now_s - self._amd_s)
        self._amd_s = now_s
        return self._rapl_uj * _MICRO + cards_j + self._amd_j

    def close(self) -> None:
        """Let go of the driver."""
        if self._cards is not None:
            self._cards.close()


def _intel_cards(root: Path) -> list[Path]:
    """Counters of Intel's cards; graphics in its processors have none of their own."""
    return sorted((root / "sys/class/drm").glob("card[0-9]*/device/hwmon/hwmon*/energy1_input"))


def _nvidia_cards(root: Path) -> bool:
    for device in (root / "sys/bus/pci/devices").glob("*"):
        if read_text(device / "vendor").strip() == _NVIDIA and read_text(device / "class").startswith(_DISPLAY):
            return True
    return False


def _amd_w(device: Path) -> float | None:
    for sensors in sorted((device / "hwmon").glob("hwmon*")):
        for name in ("power1_average", "power1_input"):  # the second since amdgpu of Linux 6.4, on newer cards alone
            if (microwatts := number(read_text(sensors / name))) is not None:
                return microwatts * _MICRO
    return None
