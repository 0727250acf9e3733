"""NVIDIA's cards by the driver's own library (NVML); nothing where it is missing, or does not know a question.

The driver brings ``libnvidia-ml.so.1``: containers often have it without ``nvidia-smi``. No header is needed: every function
used here takes a handle and a place for whole numbers.
"""

from __future__ import annotations

import contextlib
import ctypes
from typing import Any, Final

from freehold.domain.hardware import Gpu

_LIBRARY: Final = "libnvidia-ml.so.1"
_OK: Final = 0
_NAME_BYTES: Final = 96
_DEGREES_OF_THE_CARD: Final = 0
HOT_REASONS: Final = 0x20 | 0x40 | 0x08
"""Software and hardware slow-down by heat, and hardware slow-down at all (nvmlClocksThrottleReasons)."""


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class Nvml:
    """The opened library. Questions that a card does not answer are left out."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._handles = [handle for place in range(self._count()) if (handle := self._handle(place)) is not None]

    @property
    def count(self) -> int:
        """Cards that this process may use."""
        return len(self._handles)

    def cards(self) -> tuple[Gpu, ...]:
        """All of them, as they are now."""
        found: list[Gpu] = []
        for handle in self._handles:
            memory, name = _Memory(), ctypes.create_string_buffer(_NAME_BYTES)
            if not self._asked("nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory)):
                continue
            self._asked("nvmlDeviceGetName", handle, name, _NAME_BYTES)
            reasons, celsius = ctypes.c_ulonglong(), ctypes.c_uint()
            self._asked("nvmlDeviceGetCurrentClocksThrottleReasons", handle, ctypes.byref(reasons))
            self._asked("nvmlDeviceGetTemperature", handle, _DEGREES_OF_THE_CARD, ctypes.byref(celsius))
            milliwatts = self._number("nvmlDeviceGetPowerUsage", handle, ctypes.c_uint())
            found.append(
                Gpu(
                    name=name.value.decode("utf-8", errors="replace") or "NVIDIA card",
                    vram_bytes=memory.total,
                    free_bytes=memory.free,
                    power_w=(milliwatts or 0) / 1e3,
                    celsius=float(celsius.value),
                    throttled=bool(reasons.value & HOT_REASONS),
                )
            )
        return tuple(found)

    def joules(self) -> float | None:
        """What all cards have drawn since the driver was loaded; ``None`` where one does not count (before Volta)."""
        total = 0
        for handle in self._handles:
            millijoules = self._number("nvmlDeviceGetTotalEnergyConsumption", handle, ctypes.c_ulonglong())
            if millijoules is None:
                return None
            total += millijoules
        return total / 1e3

    def close(self) -> None:
        """Let go of the driver."""
        self._asked("nvmlShutdown")

    def _count(self) -> int:
        return self._number("nvmlDeviceGetCount_v2", None, ctypes.c_uint()) or 0

    def _handle(self, place: int) -> ctypes.c_void_p | None:
        handle = ctypes.c_void_p()
        return handle if self._asked("nvmlDeviceGetHandleByIndex_v2", place, ctypes.byref(handle)) else None

    def _number(self, function: str, handle: ctypes.c_void_p | None, kept: Any) -> int | None:
        given = (ctypes.byref(kept),) if handle is None else (handle, ctypes.byref(kept))
        return int(kept.value) if self._asked(function, *given) else None

    def _asked(self, function: str, *given: Any) -> bool:
        called = getattr(self._library, function, None)  # an older library lacks newer questions
        return called is not None and called(*given) == _OK


def nvml() -> Nvml | None:
    """The library, opened; ``None`` where there is none, or no driver behind it."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(_LIBRARY)
        if library.nvmlInit_v2() == _OK:
            return Nvml(library)
    return None
