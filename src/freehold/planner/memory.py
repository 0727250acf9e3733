"""Memory of a model as llama.cpp allocates it: closed forms over a file's header.

The terms were compared with llama.cpp's own answers (b11549, which allocated nothing; tests/integration/test_fit_oracle.py
and bench/planner/memory.py). For each layer its cache is one of four kinds: keys and values of the whole context; of the
last ``window`` tokens; one latent vector a token (multi-head latent attention); or a state of a fixed size for each
sequence (Mamba, gated delta nets). Layers with a window are counted as such only for the architectures whose pattern is
known; all others count in full, which errs to the safe side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from freehold.domain.hardware import ModelShape

CACHE_PAD_TOKENS: Final = 256
"""llama.cpp rounds the cache up to whole multiples of this."""

CACHE_BYTES_PER_VALUE: Final = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}

STATE_BYTES_PER_VALUE: Final = 4
"""States are kept in 32 bits whatever the type of the cache is."""

CARD_BATCH_TOKENS: Final = 512
"""Prompt tokens that are worked on at once on a card, as llama-server does where it is not told otherwise."""

ENGINE_OVERHEAD_BYTES: Final = 96 << 20
"""The engine's process without model: interpreter, library, server buffers. Measured: 40 to 65 MiB."""

GPU_OVERHEAD_BYTES: Final = 640 << 20
"""What a GPU runtime takes beside the model. The most that any of 14 models took, measured on one GPU family with flash
attention, was 611 MiB (the middle: 250): what is said to fit must fit."""

_WINDOW_PERIOD: Final = {"gemma2": 2, "gemma3": 6, "gpt-oss": 2}
"""Architecture: every n-th layer attends to everything, the others to their window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a model would be started.

    Attributes:
        context_tokens: Prompt plus answer of one request.
        slots: Requests at once; the cache holds ``slots × context_tokens``.
        threads: Threads that compute.
        batch_tokens: Prompt tokens worked on at once (``n_ubatch``).
        cache_type: Type of the cache's values, ``f16``, ``q8_0`` or ``q4_0``.
        flash_attention: Whether attention is computed without its whole score matrix.
        prompt_cache_bytes: Budget for prompts kept beside the slots.
        unified: Whether all slots share one cache (``--kv-unified``). The engine here gives each its own, as llama-server
            does where it is told their number: windows then take more, buffers less.
    """

    context_tokens: int
    slots: int
    threads: int = 1
    batch_tokens: int = 128
    cache_type: str = "f16"
    flash_attention: bool = True
    prompt_cache_bytes: int = 0
    unified: bool = False


def cache_bytes(shape: ModelShape, launch: Launch) -> int:
    """Caches and states of all layers for all slots."""
    return sum(layer_cache_bytes(shape, launch))


def layer_cache_bytes(shape: ModelShape, launch: Launch) -> tuple[int, ...]:
    """The same for each layer.

    Keys and values: ``2 · kv_heads · head_dim · b · slots · pad(ctx)``, with a window
    ``slots · min(pad(ctx), pad(window + batch))`` in place of the last factors; latent attention: ``latent_length · b`` in
    place of the first; a state: ``4 · state_values · slots``. A unified cache is one of ``slots · ctx`` tokens, its window
    one of ``slots · window``.
    """
    value_bytes = CACHE_BYTES_PER_VALUE[launch.cache_type]
    caches = 1 if launch.unified else launch.slots
    tokens, window_tokens = caches * _tokens(launch), caches * _window_tokens(shape, launch)
    state = STATE_BYTES_PER_VALUE * shape.state_values * launch.slots
    found: list[int] = []
    for layer in range(shape.layers):
        heads = shape.kv_heads_each[layer] if shape.kv_heads_each else shape.kv_heads
        width = shape.latent_length or 2 * heads * shape.head_dim
        if not heads:
            found.append(state)
        else:
            found.append(round(width * value_bytes * (window_tokens if is_windowed(shape, layer) else tokens)))
    return tuple(found)


def cache_read_bytes(shape: ModelShape, depth_tokens: float) -> float:
    """What is read of caches and states, in 16 and 32 bits, for a token that is written behind ``depth_tokens`` others.

    By the kinds of ``layer_cache_bytes``, without rounding up: all of them, those in the window, one latent vector each, or a
    state whatever the depth is.
    """
    total = 0.0
    for layer in range(shape.layers):
        heads = shape.kv_heads_each[layer] if shape.kv_heads_each else shape.kv_heads
        if not heads:
            total += STATE_BYTES_PER_VALUE * shape.state_values
            continue
        width = shape.latent_length or 2 * heads * shape.head_dim
        seen = min(depth_tokens, shape.sliding_window) if is_windowed(shape, layer) else depth_tokens
        total += width * CACHE_BYTES_PER_VALUE["f16"] * seen
    return total


def compute_bytes(shape: ModelShape, launch: Launch) -> int:
    """Scratch buffers of the largest graph on one device: logits and activations of one batch, and its attention.

    ``4 · batch · vocabulary + 20 · batch · width + 2 · batch · pad(ctx)``, the last once more for the window; in place of the middle term the queries of all
    heads where latent attention makes those wider; without flash attention all scores of one layer where those are more.
    The 20 was chosen with the 11 models of the truth table in view; with flash attention 9 of 10 settings are within 2.6 %,
    the worst 6.8 % too low.
    """
    batch = launch.batch_tokens
    tokens = _tokens(launch)
    widest = max(20 * shape.embedding_length, 4 * shape.heads * shape.latent_length)
    activations = batch * (4 * shape.vocabulary + widest)
    if not shape.kv_heads:
        return activations
    if not launch.flash_attention:
        return max(activations, 4 * batch * shape.heads * tokens)
    masks = tokens + (_window_tokens(shape, launch) if windowed_layers(shape) else 0)
    return activations + 2 * batch * masks


def windowed_layers(shape: ModelShape) -> int:
    """Layers that look back over the sliding window only."""
    return sum(is_windowed(shape, layer) for layer in range(shape.layers))


def is_windowed(shape: ModelShape, layer: int) -> bool:
    """Whether this one does."""
    period = _WINDOW_PERIOD.get(shape.architecture, 0)
    return bool(period and shape.sliding_window and (layer + 1) % period)


def _tokens(launch: Launch) -> int:
    """Of one cache."""
    return padded(launch.context_tokens * (launch.slots if launch.unified else 1))


def _window_tokens(shape: ModelShape, launch: Launch) -> int:
    """The same of a layer with a window."""
    windows = launch.slots if launch.unified else 1
    return min(_tokens(launch), padded(shape.sliding_window * windows + launch.batch_tokens))


def padded(tokens: int) -> int:
    """Tokens that llama.cpp makes room for."""
    return -(-tokens // CACHE_PAD_TOKENS) * CACHE_PAD_TOKENS
