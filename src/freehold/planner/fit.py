"""How much memory a model needs, and how fast it would answer: closed forms over a file's header.

Memory: weights + key-value cache + compute buffers, as llama.cpp allocates them with one unified cache for all slots
(llama.cpp b11549; the terms were compared with its own breakdown, see tests/unit/planner). Layers with a sliding window
are counted as such only for the architectures whose pattern is known; all others count in full, which errs to the
safe side.

The weights are a mapped file. Where the engine packs them anew for the processor, the resident size shows both copies;
the file's pages can be dropped and are not counted twice here.

Speed: ``planner.speed_cpu``, moved by runs of this machine where there are any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from freehold.domain.hardware import FitReport, Gpu, HardwareProfile, ModelShape
from freehold.planner.speed_cpu import writes

CACHE_PAD_TOKENS: Final = 256
"""llama.cpp rounds the cache up to whole multiples of this."""

CACHE_BYTES_PER_VALUE: Final = {"f16": 2.0, "q8_0": 34 / 32}

ENGINE_OVERHEAD_BYTES: Final = 96 << 20
"""The engine's process without model: interpreter, library, server buffers. Measured: 40 to 65 MiB."""

GPU_OVERHEAD_BYTES: Final = 640 << 20
"""What a GPU runtime takes beside the model. The most that any of 14 models took, measured on one GPU family with flash
attention, was 611 MiB (the middle: 250): what is said to fit must fit."""

_WINDOW_PERIOD: Final = {"gemma3": 6, "gpt-oss": 2}
"""Architecture: every n-th layer attends to everything, the others to their window."""

_SPEED_DEPTH_TOKENS: Final = 512
"""Tokens in the cache at which the speed is stated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a model would be started.

    Attributes:
        context_tokens: Prompt plus answer of one request.
        slots: Requests at once; the cache holds ``slots × context_tokens``.
        threads: Threads that compute.
        batch_tokens: Prompt tokens worked on at once (``n_ubatch``).
        cache_type: Type of the cache's values, ``f16`` or ``q8_0``.
        flash_attention: Whether attention is computed without its whole score matrix.
        prompt_cache_bytes: Budget for prompts kept beside the slots.
    """

    context_tokens: int
    slots: int
    threads: int = 1
    batch_tokens: int = 128
    cache_type: str = "f16"
    flash_attention: bool = True
    prompt_cache_bytes: int = 0


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
    )


def cache_bytes(shape: ModelShape, launch: Launch) -> int:
    """Key-value cache of all slots: ``2 · kv_heads · head_dim · b · (full · pad(ctx) + windowed · min(…))``."""
    tokens = _padded(launch.context_tokens * launch.slots)
    windowed = windowed_layers(shape)
    window_tokens = min(tokens, _padded(shape.sliding_window * launch.slots + launch.batch_tokens))
    rows = (shape.layers - windowed) * tokens + windowed * window_tokens
    return round(2 * shape.kv_heads * shape.head_dim * CACHE_BYTES_PER_VALUE[launch.cache_type] * rows)


def compute_bytes(shape: ModelShape, launch: Launch) -> int:
    """Scratch buffers of the largest graph: logits and activations of one batch, and its attention."""
    batch = launch.batch_tokens
    tokens = _padded(launch.context_tokens * launch.slots)
    activations = 4 * batch * shape.vocabulary + 16 * batch * shape.embedding_length
    if launch.flash_attention:
        return activations + 2 * batch * tokens
    return max(activations, 4 * batch * shape.heads * tokens)


def windowed_layers(shape: ModelShape) -> int:
    """Layers that look back over the sliding window only."""
    period = _WINDOW_PERIOD.get(shape.architecture, 0)
    if not period or not shape.sliding_window:
        return 0
    return shape.layers - shape.layers // period


def _speed(shape: ModelShape, launch: Launch, profile: HardwareProfile) -> tuple[float, float]:
    if not profile.bandwidth_bytes_per_s:
        return 0.0, 0.0
    found = writes(shape, profile, threads=launch.threads, depth_tokens=_SPEED_DEPTH_TOKENS)
    return found.low, found.high


def _padded(tokens: int) -> int:
    return -(-tokens // CACHE_PAD_TOKENS) * CACHE_PAD_TOKENS
