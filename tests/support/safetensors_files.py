"""Small safetensors models made by hand: two shards, an index and a configuration."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_WIDTHS = {"F16": 2, "BF16": 2, "F32": 4, "U8": 1}
LAYERS, WIDTH, VOCABULARY = 2, 64, 100
CONFIG = {
    "model_type": "llama",
    "num_hidden_layers": LAYERS,
    "hidden_size": WIDTH,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 2_048,
    "tie_word_embeddings": False,
}


def header(tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> bytes:
    """Length and JSON of a file's header."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, (dtype, shape) in tensors.items():
        size = math.prod(shape) * _WIDTHS[dtype]
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    return framed(entries)


def framed(entries: object) -> bytes:
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


def size_bytes(tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> int:
    return sum(math.prod(shape) * _WIDTHS[dtype] for dtype, shape in tensors.values())


def _layer(number: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    prefix = f"model.layers.{number}."
    return {
        f"{prefix}self_attn.q_proj.weight": ("BF16", (WIDTH, WIDTH)),
        f"{prefix}self_attn.k_proj.weight": ("BF16", (WIDTH // 2, WIDTH)),
        f"{prefix}mlp.up_proj.weight": ("BF16", (4 * WIDTH, WIDTH)),
        f"{prefix}input_layernorm.weight": ("F32", (WIDTH,)),
    }


SHARDS = {
    "model-00001-of-00002.safetensors": {"model.embed_tokens.weight": ("BF16", (VOCABULARY, WIDTH)), **_layer(0)},
    "model-00002-of-00002.safetensors": {**_layer(1), "lm_head.weight": ("BF16", (VOCABULARY, WIDTH))},
}
TINY_BYTES = sum(map(size_bytes, SHARDS.values()))


def tiny_files() -> dict[str, bytes]:
    """Content of each file."""
    weight_map = {name: shard for shard, tensors in SHARDS.items() for name in tensors}
    index = {"metadata": {"total_size": TINY_BYTES}, "weight_map": weight_map}
    shards = {name: header(tensors) + b"\1" * size_bytes(tensors) for name, tensors in SHARDS.items()}
    return {
        **shards,
        "model.safetensors.index.json": json.dumps(index).encode(),
        "config.json": json.dumps(CONFIG).encode(),
    }


def write_tiny(folder: Path) -> None:
    for name, content in tiny_files().items():
        (folder / name).write_bytes(content)
