"""Whether a model fits this machine's memory or one card, and how fast it would answer.

Memory is told in ``memory`` and, over several devices, in ``placement``.

The weights are a mapped file. Where the engine packs them anew for the processor, the resident size shows both copies;
the file's pages can be dropped and are not counted twice here.

Speed: one token reads the active weights and the cache once (roofline model, Williams et al. 2009), limited by the
memory or by the threads, plus a fixed time for each layer.
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

__all__ = [
    "CACHE_BYTES_PER_VALUE",
    "ENGINE_OVERHEAD_BYTES",
    "GPU_OVERHEAD_BYTES",
    "Launch",
    "cache_bytes",
    "compute_bytes",
    "decode_seconds",
    "fit",
    "windowed_layers",
]

_COPY_SHARE: Final = 0.95
"""Share of the memory traffic of a plain copy that decoding reaches when the memory is what limits it."""

_THREAD_BYTES_PER_S: Final = 17e9
"""Quantised weights that one thread works through in a second; measured with AVX2 code on models of 0.1 to 1.5 B."""

_LAYER_S: Final = 0.0001
"""Time a layer beside reading it: synchronising threads, small operations."""

_SPREAD: Final = 1.45
"""Factor each way; for a model of this form it held 88 % of the devices that its constants were not fitted on."""

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


def decode_seconds(shape: ModelShape, *, bandwidth_bytes_per_s: float, threads: int) -> float:
    """Expected time of one token of one stream on the processor."""
    short = Launch(context_tokens=_SPEED_DEPTH_TOKENS, slots=1)
    read_bytes = (shape.read_bytes or shape.file_bytes) + cache_bytes(shape, short)
    bytes_per_s = min(bandwidth_bytes_per_s * _COPY_SHARE, threads * _THREAD_BYTES_PER_S)
    return read_bytes / bytes_per_s + _LAYER_S * shape.layers


def _speed(shape: ModelShape, launch: Launch, profile: HardwareProfile) -> tuple[float, float]:
    if not profile.bandwidth_bytes_per_s:
        return 0.0, 0.0
    seconds = decode_seconds(shape, bandwidth_bytes_per_s=profile.bandwidth_bytes_per_s, threads=launch.threads)
    return 1 / seconds / _SPREAD, 1 / seconds * _SPREAD
