"""Whether a model fits this machine's memory or one card, and how fast it would answer.

Memory is told in ``memory`` and, over several devices, in ``placement``.

The weights are a mapped file. Where the engine packs them anew for the processor, the resident size shows both copies;
the file's pages can be dropped and are not counted twice here.

Speed: ``planner.speed_cpu``, moved by runs of this machine where there are any.
"""

from __future__ import annotations

from typing import Final

from freehold.domain.hardware import FitReport, Gpu, HardwareProfile, ModelShape
from freehold.planner.memory import (
    CACHE_BYTES_PER_VALUE,
    ENGINE_OVERHEAD_BYTES,
    GPU_OVERHEAD_BYTES,
    Launch,
    cache_bytes,
    compute_bytes,
    windowed_layers,
)
from freehold.planner.speed_cpu import writes

__all__ = [
    "CACHE_BYTES_PER_VALUE",
    "ENGINE_OVERHEAD_BYTES",
    "GPU_OVERHEAD_BYTES",
    "Launch",
    "cache_bytes",
    "compute_bytes",
    "fit",
    "windowed_layers",
]

_SPEED_DEPTH_TOKENS: Final = 512
"""Tokens in the cache at which the speed is stated."""


def fit(shape: ModelShape, launch: Launch, profile: HardwareProfile, *, gpu: Gpu | None = None) -> FitReport:
    """What the model needs and what is free.

    Args:
        shape: The model.
        launch: How it would be started.
        profile: The machine as it is now.
        gpu: The one card that would hold it all; ``None`` for the processor. Cards are never added up.

    Returns:
        The parts in bytes, and the speed in tokens a second at a short context as an interval; 0 to 0 where the
        machine's bandwidth was not measured.
    """
    low, high = (0.0, 0.0) if gpu is not None else _speed(shape, launch, profile)
    return FitReport(
        weights_bytes=shape.file_bytes,
        kv_bytes=cache_bytes(shape, launch),
        compute_bytes=compute_bytes(shape, launch),
        overhead_bytes=(GPU_OVERHEAD_BYTES if gpu is not None else ENGINE_OVERHEAD_BYTES) + launch.prompt_cache_bytes,
        free_bytes=gpu.free_bytes if gpu is not None else profile.memory_free_bytes,
        tok_per_s_low=low,
        tok_per_s_high=high,
        unknown=shape.unknown,
    )


def _speed(shape: ModelShape, launch: Launch, profile: HardwareProfile) -> tuple[float, float]:
    if not profile.bandwidth_bytes_per_s:
        return 0.0, 0.0
    found = writes(shape, profile, threads=launch.threads, depth_tokens=_SPEED_DEPTH_TOKENS)
    return found.low, found.high
