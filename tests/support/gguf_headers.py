"""Model files that are nothing but a header and a hole, of architectures far beyond this machine.

llama.cpp and the reader here size them as if they were whole. Names and dimensions of the tensors are those that
llama.cpp b11549 demands (src/models/*.cpp, src/llama-arch.cpp); kinds as its quantiser mixes them for Q4_K_M.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from freehold.serving.gguf_types import TENSOR_TYPES
from tests.support.gguf_files import ALIGNMENT, BOOL, F32, STRING, U32, array, header, pair, tensor_info

Number = int | float | bool | str
Tensor = tuple[str, tuple[int, ...], str]
"""Name, dimensions as ggml has them (the fastest first), and kind."""

_KINDS = {each.name: number for number, each in TENSOR_TYPES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dims:
    """Dimensions of a transformer.

    Attributes:
        width: Of the model.
        inner: Of the feed-forward layer; of one expert where there are some.
    """

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    inner: int
    vocabulary: int
    experts: int = 0
    experts_used: int = 0
    tied: bool = False


def write_model(
    path: Path, architecture: str, values: Mapping[str, Number | Sequence[int]], tensors: Sequence[Tensor]
) -> Path:
    """A sparse file with this header. Keys of ``values`` without a dot before them are the architecture's own."""
    pairs = [pair("general.architecture", STRING, architecture), pair("tokenizer.ggml.model", STRING, "no_vocab")]
    for key, value in values.items():
        name = key.removeprefix("/") if key.startswith("/") else f"{architecture}.{key}"
        if isinstance(value, (list, tuple)):
            kind = BOOL if isinstance(value[0], bool) else U32
            pairs.append(array(name, kind, value))
        else:
            kind = (
                BOOL
                if isinstance(value, bool)
                else STRING
                if isinstance(value, str)
                else F32
                if isinstance(value, float)
                else U32
            )
            pairs.append(pair(name, kind, value))
    infos, offset = [], 0
    for name, dimensions, kind in tensors:
        number = _KINDS[kind]
        infos.append(tensor_info(name, dimensions, kind=number, offset=offset))
        size = math.prod(dimensions) // TENSOR_TYPES[number].block_elements * TENSOR_TYPES[number].block_bytes
        offset += -(-size // ALIGNMENT) * ALIGNMENT
    content = header(pairs, infos)
    path.write_bytes(content)
    os.truncate(path, len(content) + offset)
    return path


def basic_values(dims: Dims, *, context: int = 131_072) -> dict[str, Number | Sequence[int]]:
    values: dict[str, Number | Sequence[int]] = {
        "block_count": dims.layers,
        "context_length": context,
        "embedding_length": dims.width,
        "feed_forward_length": dims.inner,
        "attention.head_count": dims.heads,
        "attention.head_count_kv": dims.kv_heads,
        "attention.key_length": dims.head_dim,
        "attention.value_length": dims.head_dim,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "rope.dimension_count": dims.head_dim,
        "vocab_size": dims.vocabulary,
    }
    if dims.experts:
        values |= {
            "expert_count": dims.experts,
            "expert_used_count": dims.experts_used,
            "expert_feed_forward_length": dims.inner,
        }
    return values


def _more_bits(layer: int, layers: int) -> bool:
    eighth = layers // 8
    return layer < eighth or layer >= 7 * eighth or (layer - eighth) % 3 == 2


def table(dims: Dims, kind: str) -> list[Tensor]:
    mixed = kind == "Q4_K_M"
    found: list[Tensor] = [
        ("token_embd.weight", (dims.width, dims.vocabulary), ("Q6_K" if dims.tied else "Q4_K") if mixed else kind),
        ("output_norm.weight", (dims.width,), "F32"),
    ]
    if not dims.tied:
        found.append(("output.weight", (dims.width, dims.vocabulary), "Q6_K" if mixed else kind))
    return found


def attention(dims: Dims, layer: int, kind: str, *, norms: Sequence[str] = (), biased: bool = False) -> list[Tensor]:
    """Norm, the four projections, and further vectors of ``norms`` (of the head's width for ``q``, ``k``, else the model's)."""
    mixed = kind == "Q4_K_M"
    plain = "Q4_K" if mixed else kind
    value = "Q6_K" if mixed and _more_bits(layer, dims.layers) else plain
    wide, narrow = dims.heads * dims.head_dim, dims.kv_heads * dims.head_dim
    prefix = f"blk.{layer}."
    found: list[Tensor] = [
        (f"{prefix}attn_norm.weight", (dims.width,), "F32"),
        (f"{prefix}attn_q.weight", (dims.width, wide), plain),
        (f"{prefix}attn_k.weight", (dims.width, narrow), plain),
        (f"{prefix}attn_v.weight", (dims.width, narrow), value),
        (f"{prefix}attn_output.weight", (wide, dims.width), plain),
    ]
    if biased:
        sizes = {"q": wide, "k": narrow, "v": narrow, "output": dims.width}
        found += [(f"{prefix}attn_{name}.bias", (size,), "F32") for name, size in sizes.items()]
    found += [
        (
            f"{prefix}{name}.weight",
            (dims.head_dim if "attn_" in name and "_norm" in name and "post" not in name else dims.width,),
            "F32",
        )
        for name in norms
    ]
    return found


def feed_forward(dims: Dims, layer: int, kind: str, *, norm: str = "ffn_norm") -> list[Tensor]:
    mixed = kind == "Q4_K_M"
    plain = "Q4_K" if mixed else kind
    down = "Q6_K" if mixed and _more_bits(layer, dims.layers) else plain
    prefix = f"blk.{layer}."
    found: list[Tensor] = [(f"{prefix}{norm}.weight", (dims.width,), "F32")]
    if dims.experts:
        found.append((f"{prefix}ffn_gate_inp.weight", (dims.width, dims.experts), "F32"))
        tail, suffix = (dims.experts,), "_exps"
    else:
        tail, suffix = (), ""
    return [
        *found,
        (f"{prefix}ffn_gate{suffix}.weight", (dims.width, dims.inner, *tail), plain),
        (f"{prefix}ffn_down{suffix}.weight", (dims.inner, dims.width, *tail), down),
        (f"{prefix}ffn_up{suffix}.weight", (dims.width, dims.inner, *tail), plain),
    ]


def transformer(
    path: Path, architecture: str, dims: Dims, kind: str, *, more: Mapping[str, Number | Sequence[int]] | None = None
) -> Path:
    """``llama``, ``qwen2``, ``qwen3``, ``qwen3moe``, ``gemma2`` or ``gemma3``."""
    norms = {
        "qwen3": ("attn_q_norm", "attn_k_norm"),
        "qwen3moe": ("attn_q_norm", "attn_k_norm"),
        "gemma2": ("post_attention_norm",),
        "gemma3": ("attn_q_norm", "attn_k_norm", "post_attention_norm"),
    }.get(architecture, ())
    tensors = table(dims, kind)
    for layer in range(dims.layers):
        tensors += attention(dims, layer, kind, norms=norms)
        tensors += feed_forward(dims, layer, kind)
        if architecture.startswith("gemma"):
            tensors.append((f"blk.{layer}.post_ffw_norm.weight", (dims.width,), "F32"))
    return write_model(path, architecture, {**basic_values(dims), **(more or {})}, tensors)
