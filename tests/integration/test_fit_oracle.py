"""The closed forms against llama.cpp itself, which is asked about made files and allocates nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from freehold.cli.jailed_child import asked_in_jail
from freehold.planner.memory import Launch, cache_bytes, compute_bytes
from freehold.serving.gguf import read_header
from tests.support.gguf_headers import Dims, transformer
from tests.support.gguf_kinds import deepseek2, gpt_oss, granite_hybrid, jamba, mamba, qwen3_next

pytest.importorskip("xllamacpp", reason="the embedded engine is not installed")

MIB = 1 << 20
PLAIN = Dims(layers=32, width=2_048, heads=32, kv_heads=8, head_dim=64, inner=1_024, vocabulary=32_000)
TIED = Dims(layers=32, width=2_048, heads=32, kv_heads=8, head_dim=64, inner=1_024, vocabulary=32_000, tied=True)
SPARSE = Dims(
    layers=32,
    width=2_048,
    heads=32,
    kv_heads=8,
    head_dim=64,
    inner=1_024,
    vocabulary=32_000,
    experts=32,
    experts_used=4,
)
MADE: dict[str, Callable[[Path], Path]] = {
    "qwen3moe": lambda path: transformer(path, "qwen3moe", SPARSE, "Q4_K_M"),
    "gemma2": lambda path: transformer(
        path,
        "gemma2",
        TIED,
        "Q8_0",
        more={"attention.sliding_window": 4_096, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
    ),
    "gemma3": lambda path: transformer(path, "gemma3", TIED, "Q8_0", more={"attention.sliding_window": 1_024}),
    "gpt-oss": lambda path: gpt_oss(path, SPARSE),
    "deepseek2": lambda path: deepseek2(path, SPARSE),
    "mamba": lambda path: mamba(path, PLAIN),
    "jamba": lambda path: jamba(path, PLAIN),
    "granitehybrid": lambda path: granite_hybrid(path, PLAIN),
    "qwen3next": lambda path: qwen3_next(path, SPARSE),
}
LAUNCHES = (
    Launch(context_tokens=2_048, slots=1, batch_tokens=512),
    Launch(context_tokens=8_192, slots=1, batch_tokens=512),
    Launch(context_tokens=8_192, slots=4, batch_tokens=512),
    Launch(context_tokens=8_192, slots=4, batch_tokens=128),
    Launch(context_tokens=8_192, slots=4, batch_tokens=512, unified=True),
    Launch(context_tokens=8_192, slots=4, batch_tokens=128, unified=True),
    Launch(context_tokens=1_000, slots=3, batch_tokens=128),
    Launch(context_tokens=8_192, slots=1, batch_tokens=512, cache_type="q8_0"),
)


def told(path: Path) -> list[tuple[int, int]]:
    """Cache and buffers in MiB for each of ``LAUNCHES``, by llama.cpp in its jail."""
    asks = [
        {
            "tokens": each.context_tokens * each.slots,
            "slots": each.slots,
            "batch_tokens": each.batch_tokens,
            "cache_type": each.cache_type,
            "flash_attention": each.flash_attention,
            "unified": each.unified,
        }
        for each in LAUNCHES
    ]
    lines = asked_in_jail(
        "freehold.engines.llama.size_worker",
        timeout_s=60,
        readable=[str(path), str(path.parent)],
        path=str(path),
        asks=asks,
    )
    found = [
        (sum(row["context_mib"] for row in rows), sum(row["compute_mib"] for row in rows))
        for rows in json.loads(lines[1])
    ]
    assert len(found) == len(LAUNCHES)
    return found


@pytest.mark.parametrize("kind", MADE)
def test_closed_forms_of_every_kind_of_cache(kind: str, tmp_path: Path) -> None:
    """Caches within 1 MiB; weights, cache and buffers together never more than 1 % below what it says."""
    path = MADE[kind](tmp_path / "made.gguf")
    header = read_header(path)
    assert header.architecture == kind
    assert not header.shape.unknown
    for launch, (cache_mib, compute_mib) in zip(LAUNCHES, told(path), strict=True):
        assert abs(cache_bytes(header.shape, launch) / MIB - cache_mib) <= 1.0
        weights = header.tensor_bytes
        said = weights + cache_bytes(header.shape, launch) + compute_bytes(header.shape, launch)
        assert said >= 0.99 * (weights + (cache_mib + compute_mib) * MIB), (launch, compute_mib)
        assert said <= 1.02 * (weights + (cache_mib + compute_mib) * MIB), (launch, compute_mib)


def test_a_state_does_not_grow_with_the_context(tmp_path: Path) -> None:
    shape = read_header(mamba(tmp_path / "made.gguf", PLAIN)).shape
    short, long = (Launch(context_tokens=tokens, slots=2) for tokens in (1_024, 131_072))
    assert cache_bytes(shape, short) == cache_bytes(shape, long) > 0
