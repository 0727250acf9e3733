"""The closed forms: against hand-made numbers, their own laws, and llama.cpp's own answers where the table is there."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.hardware import ENGINE_NEEDS, Gpu, HardwareProfile, ModelShape
from freehold.planner.fit import (
    ENGINE_OVERHEAD_BYTES,
    GPU_OVERHEAD_BYTES,
    Launch,
    cache_bytes,
    compute_bytes,
    fit,
    windowed_layers,
)
from freehold.serving.catalogue import load_catalogue
from tests.support.shared_data import shared_data

MIB = 1 << 20
SHAPE = ModelShape(
    architecture="qwen2",
    file_bytes=1_000 * MIB,
    layers=28,
    embedding_length=1_536,
    heads=12,
    kv_heads=2,
    head_dim=128,
    vocabulary=151_936,
    context_length=32_768,
    read_bytes=900 * MIB,
)
MACHINE = HardwareProfile(
    cpu_name="x",
    cores=8,
    cpu_flags=frozenset({"sse2", *ENGINE_NEEDS}),
    memory_bytes=16_000 * MIB,
    memory_free_bytes=12_000 * MIB,
    bandwidth_bytes_per_s=40_000_000_000,
)


def test_parts_by_hand() -> None:
    launch = Launch(context_tokens=4_096, slots=2, batch_tokens=128)
    # 2 (keys, values) × 2 heads × 128 × 2 bytes × 28 layers × 8,192 tokens
    assert cache_bytes(SHAPE, launch) == 2 * 2 * 128 * 2 * 28 * 8_192 == 224 * MIB
    assert compute_bytes(SHAPE, launch) == 4 * 128 * 151_936 + 20 * 128 * 1_536 + 2 * 128 * 4_096
    report = fit(SHAPE, launch, MACHINE)
    assert report.weights_bytes == 1_000 * MIB
    assert report.overhead_bytes == ENGINE_OVERHEAD_BYTES
    assert report.needs_bytes == sum((1_000 * MIB, 224 * MIB, report.compute_bytes, ENGINE_OVERHEAD_BYTES))
    assert report.margin_bytes == 12_000 * MIB - report.needs_bytes
    assert report.fits


def test_one_cache_for_all_has_smaller_windows_and_larger_buffers() -> None:
    """Each slot's own window has room for a batch; llama.cpp's answers for both: tests/integration/test_fit_oracle.py."""
    shape = replace(SHAPE, architecture="gemma3", layers=30, sliding_window=1_024)
    own = Launch(context_tokens=8_192, slots=4, batch_tokens=128)
    one = replace(own, unified=True)
    per_token = 2 * 2 * 128 * 2
    assert cache_bytes(shape, own) == per_token * (5 * 4 * 8_192 + 25 * 4 * 1_280)
    assert cache_bytes(shape, one) == per_token * (5 * 4 * 8_192 + 25 * 4_352)
    assert compute_bytes(shape, one) > compute_bytes(shape, own)


def test_context_is_rounded_up_as_the_engine_does() -> None:
    one = cache_bytes(SHAPE, Launch(context_tokens=1, slots=1))
    assert one == cache_bytes(SHAPE, Launch(context_tokens=256, slots=1))
    assert cache_bytes(SHAPE, Launch(context_tokens=257, slots=1)) == 2 * one


def test_windowed_layers_only_where_the_pattern_is_known() -> None:
    assert windowed_layers(replace(SHAPE, architecture="gemma3", layers=34, sliding_window=1_024)) == 29
    assert windowed_layers(replace(SHAPE, architecture="gpt-oss", layers=24, sliding_window=128)) == 12
    assert windowed_layers(replace(SHAPE, architecture="unheard-of", sliding_window=128)) == 0
    assert windowed_layers(replace(SHAPE, architecture="gemma3", sliding_window=0)) == 0


def test_a_card_is_judged_by_its_own_memory() -> None:
    card = Gpu(name="card", vram_bytes=8_000 * MIB, free_bytes=1_200 * MIB)
    report = fit(SHAPE, Launch(context_tokens=4_096, slots=1), MACHINE, gpu=card)
    assert report.free_bytes == 1_200 * MIB
    assert report.overhead_bytes == GPU_OVERHEAD_BYTES
    assert not report.fits
    assert (report.tok_per_s_low, report.tok_per_s_high) == (0.0, 0.0)


def test_prompt_cache_counts() -> None:
    without = fit(SHAPE, Launch(context_tokens=4_096, slots=1), MACHINE)
    with_cache = fit(SHAPE, Launch(context_tokens=4_096, slots=1, prompt_cache_bytes=512 * MIB), MACHINE)
    assert with_cache.needs_bytes - without.needs_bytes == 512 * MIB


def test_speed_is_an_interval_and_unknown_without_a_measurement() -> None:
    launch = Launch(context_tokens=4_096, slots=1, threads=4)
    report = fit(SHAPE, launch, MACHINE)
    assert 0 < report.tok_per_s_low < report.tok_per_s_high
    blind = fit(SHAPE, launch, replace(MACHINE, bandwidth_bytes_per_s=0))
    assert (blind.tok_per_s_low, blind.tok_per_s_high) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("model", "threads", "measured"),
    [
        ("smollm2-135m", 2, 151),
        ("smollm2-135m", 1, 112),
        ("qwen2.5-coder-0.5b", 2, 49),
        ("qwen2.5-coder-0.5b", 1, 36),
        ("qwen2.5-coder-1.5b", 2, 35),
    ],
)
def test_speed_interval_holds_what_was_measured(model: str, threads: int, measured: float) -> None:
    """Three models on two quiet cores with about 37 GB/s of copy traffic; the constants were fitted on these."""
    shape = load_catalogue().find(model).model_shape
    machine = replace(MACHINE, bandwidth_bytes_per_s=37_000_000_000)
    report = fit(shape, Launch(context_tokens=4_096, slots=1, threads=threads), machine)
    assert report.tok_per_s_low <= measured <= report.tok_per_s_high


@given(
    context=st.integers(1, 200_000),
    slots=st.integers(1, 16),
    more=st.integers(1, 100_000),
    cache_type=st.sampled_from(["f16", "q8_0"]),
    flash_attention=st.booleans(),
    architecture=st.sampled_from(["qwen2", "gemma3", "gpt-oss"]),
)
def test_more_context_never_needs_less(
    context: int, slots: int, more: int, cache_type: str, flash_attention: bool, architecture: str
) -> None:
    shape = replace(SHAPE, architecture=architecture, sliding_window=512)
    small = Launch(context_tokens=context, slots=slots, cache_type=cache_type, flash_attention=flash_attention)
    large = replace(small, context_tokens=context + more)
    assert fit(shape, small, MACHINE).needs_bytes <= fit(shape, large, MACHINE).needs_bytes
    assert fit(shape, small, MACHINE).needs_bytes <= fit(shape, replace(small, slots=slots + 1), MACHINE).needs_bytes


# --- llama.cpp's own breakdown ---------------------------------------------------------------------


def truth() -> Iterator[tuple[ModelShape, Launch, dict[str, str]]]:
    folder = shared_data("hardware", "memory_truth_dev.csv").parent
    with (folder / "models.csv").open() as stream:
        models = {row["model"]: row for row in csv.DictReader(stream)}
    with (folder / "memory_truth_dev.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        model = models.get(row["model"])
        if model is None or not model["heads"]:
            continue
        shape = ModelShape(
            architecture=model["arch"],
            file_bytes=int(row["model_mib"]) * MIB,
            layers=int(model["layers"]),
            embedding_length=int(model["d_model"]),
            heads=int(model["heads"]),
            kv_heads=int(model["kv_heads"]),
            head_dim=int(model["head_dim"]),
            vocabulary=int(model["vocab"]),
            context_length=131_072,
            sliding_window=int(model["swa_window"] or 0),
        )
        slots = int(row["n_seq"])
        yield (
            shape,
            Launch(
                context_tokens=int(row["n_ctx"]) // slots,
                slots=slots,
                batch_tokens=int(row["n_ubatch"]),
                cache_type=row["kv_type"],
                flash_attention=row["flash_attn"] == "1",
                unified=True,
            ),
            row,
        )


def test_memory_against_the_engines_own_answer() -> None:
    errors, cache_errors = [], []
    for shape, launch, row in truth():
        cache_errors.append(abs(cache_bytes(shape, launch) / MIB - int(row["context_mib"])))
        found = (shape.file_bytes + cache_bytes(shape, launch) + compute_bytes(shape, launch)) / MIB
        expected = int(row["model_mib"]) + int(row["context_mib"]) + int(row["compute_mib"])
        errors.append(abs(found / expected - 1))
    assert len(errors) >= 200
    assert sum(errors) / len(errors) <= 0.005
    assert max(cache_errors) <= 1.0
