"""LoRA adapters for the starter model, made by hand: random of a fixed seed, and strong enough to be seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support.gguf_files import ALIGNMENT, F32, STRING, U32, header, pair, tensor_info

WIDTH, HIDDEN = 576, 1_536
"""Of smollm2-135m."""

PLAIN = """
[server]
port = 0

[deployments.plain]
engine = "embedded"
model = "{model}"
context_tokens = 1024

[routes.everyday]
deployments = ["plain"]
"""
"""A deployment without an adapter, with the route ``everyday``."""


def lora_file(
    folder: Path,
    *,
    name: str = "adapter.gguf",
    seed: int = 7,
    strength: float = 1.0,
    blocks: range = range(20, 30),
    width: int = WIDTH,
    rank: int = 8,
    architecture: str = "llama",
) -> Path:
    """Write an adapter that changes what the last blocks of smollm2-135m pass on."""
    random = np.random.default_rng(seed)
    infos: list[bytes] = []
    data: list[bytes] = []
    offset = 0
    for block in blocks:
        weight = f"blk.{block}.attn_output.weight"
        first = random.standard_normal((rank, width)).astype(np.float32) / np.float32(width**0.5)
        second = random.standard_normal((width, rank)).astype(np.float32) * np.float32(strength / rank)
        for side, matrix in (("a", first), ("b", second)):
            raw = matrix.tobytes()
            infos.append(tensor_info(f"{weight}.lora_{side}", matrix.shape[::-1], offset=offset))
            data.append(raw + b"\0" * (-len(raw) % ALIGNMENT))
            offset += len(data[-1])
    pairs = [
        pair("general.type", STRING, "adapter"),
        pair("general.architecture", STRING, architecture),
        pair("adapter.type", STRING, "lora"),
        pair("adapter.lora.alpha", F32, float(rank)),
        pair("general.alignment", U32, ALIGNMENT),
    ]
    path = folder / name
    path.write_bytes(header(pairs, infos) + b"".join(data))
    return path
