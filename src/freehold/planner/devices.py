"""Devices that models are run on: memory, bandwidth and arithmetic as their makers state them, typed in by hand.

What a device costs is not here: prices change by the week, and an old one is worse than none.
"""

from __future__ import annotations

from dataclasses import dataclass

from freehold.domain.speed import Device, DeviceFamily

_GEFORCE, _WORK, _CENTRE = DeviceFamily.GEFORCE, DeviceFamily.WORKSTATION, DeviceFamily.DATACENTER
_APPLE, _RADEON = DeviceFamily.APPLE, DeviceFamily.RADEON
_SHARED = 0.75
"""Of memory that processor and graphics share, what the graphics may use by default."""

# name, family, memory in GB, bandwidth in GB/s, half precision in TFLOPS, whether the memory is shared
_SHEETS = (
    ("GeForce RTX 3060 12 GB", _GEFORCE, 12, 360, 51, False),
    ("GeForce RTX 3090 24 GB", _GEFORCE, 24, 936, 142, False),
    ("GeForce RTX 4070 Ti Super 16 GB", _GEFORCE, 16, 672, 176, False),
    ("GeForce RTX 4090 24 GB", _GEFORCE, 24, 1_008, 330, False),
    ("RTX A4000 16 GB", _WORK, 16, 448, 76.7, False),
    ("RTX 4000 Ada 20 GB", _WORK, 20, 360, 107, False),
    ("RTX A6000 48 GB", _WORK, 48, 768, 154.8, False),
    ("RTX 6000 Ada 48 GB", _WORK, 48, 960, 364, False),
    ("A100 PCIe 80 GB", _CENTRE, 80, 1_935, 312, False),
    ("H100 PCIe 80 GB", _CENTRE, 80, 2_000, 756, False),
    ("Apple M4 32 GB", _APPLE, 32, 120, 4.3, True),
    ("Apple M1 Max 64 GB", _APPLE, 64, 400, 10.4, True),
    ("Apple M2 Ultra 192 GB", _APPLE, 192, 800, 27.2, True),
    ("Radeon AI Pro R9700 32 GB", _RADEON, 32, 640, 191, False),
    ("Ryzen AI Max+ 395 128 GB", _RADEON, 128, 256, 59.4, True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A device with what a model may have of its memory.

    Attributes:
        device: One card.
        memory_bytes: For weights, cache and buffers.
    """

    device: Device
    memory_bytes: int


SHEETS = tuple(
    Sheet(
        device=Device(name=name, family=family, bandwidth_bytes_per_s=bandwidth * 1e9, flops=tflops * 1e12),
        memory_bytes=round(memory * (1 << 30) * (_SHARED if shared else 1)),
    )
    for name, family, memory, bandwidth, tflops, shared in _SHEETS
)
