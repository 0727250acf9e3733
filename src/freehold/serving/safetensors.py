"""The header of safetensors files and the configuration beside them, read as what they are: bytes from a stranger.

A file is the length of a JSON header (8 bytes), the header, and the tensors, which must lie without gap or overlap up to
its end: github.com/huggingface/safetensors, README, "Format".
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from freehold.domain.errors.planner import NotSizable
from freehold.domain.hardware import ModelShape
from freehold.serving.gguf_cache import Numbers, cache_facts

HEADER_BYTES_MAX: Final = 1 << 25
"""The largest known have some 10 MB; the format allows 100 MB."""
SHARDS_MAX: Final = 1_024
CONFIG_BYTES_MAX: Final = 1 << 21
INDEX_BYTES_MAX: Final = 1 << 25
_TENSORS_MAX: Final = 1 << 18
_DIMENSIONS_MAX: Final = 16
_LAYERS_MAX: Final = 4_096
_NUMBER_MAX: Final = 1 << 31
_BITS: Final = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
_LAYER: Final = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.([0-9]{1,4})\.", re.ASCII)
_EXPERTS: Final = ".experts."
_EMBEDDINGS: Final = ("embed_tokens.weight", "wte.weight", "tok_embeddings.weight", "word_embeddings.weight")
_SHARD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\.safetensors", re.ASCII)
_ARCHITECTURES: Final = {
    "deepseek_v2": "deepseek2", "deepseek_v3": "deepseek2", "gemma3_text": "gemma3", "gpt_oss": "gpt-oss",
    "mistral": "llama", "mixtral": "llama", "qwen2_moe": "qwen2moe", "qwen3_moe": "qwen3moe",
    "qwen3_next": "qwen3next", "phi": "phi2", "gpt_neox": "gptneox", "cohere": "command-r", "glm4_moe": "glm4moe",
}  # fmt: skip
"""``model_type`` of a configuration to llama.cpp's name of the same architecture, where they differ."""


class _Tensor(msgspec.Struct, frozen=True):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


class _Index(msgspec.Struct, frozen=True):
    weight_map: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Tensors of one file or of several, by name.

    Attributes:
        size_bytes: Bytes of each tensor.
        elements: Number of all weights, as far as the types say: packed ones count as what they are packed in.
    """

    size_bytes: Mapping[str, int]
    elements: int


def header_length(prefix: bytes, *, size_bytes: int, name: str) -> int:
    """Bytes of the file from its beginning to the end of its header.

    Args:
        prefix: At least its first 8 bytes.
        size_bytes: Its whole length.
        name: What errors call it.

    Raises:
        NotSizable: It is none, or too long to be one.
    """
    length = int.from_bytes(prefix[:8], "little")
    if len(prefix) < 8 or not 2 <= length <= min(HEADER_BYTES_MAX, size_bytes - 8):
        raise NotSizable(path=name, reason=f"its header would have {length} bytes of {size_bytes}")
    return 8 + length


def read_tensors(header: bytes, *, size_bytes: int, name: str) -> Weights:
    """The tensors of one file.

    Args:
        header: The file's first ``header_length`` bytes.
        size_bytes: Its whole length.
        name: What errors call it.

    Raises:
        NotSizable: The header is not valid, or its tensors are not what the file holds.
    """
    try:
        raw = msgspec.json.decode(header[8:], type=dict[str, msgspec.Raw])
        tensors = {key: msgspec.json.decode(each, type=_Tensor) for key, each in raw.items() if key != "__metadata__"}
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NotSizable(path=name, reason=f"its header is not that of safetensors ({error})") from error
    if not 1 <= len(tensors) <= _TENSORS_MAX:
        raise NotSizable(path=name, reason=f"{len(tensors)} tensors, 1 to {_TENSORS_MAX} are taken")
    expected = elements = 0
    sizes: dict[str, int] = {}
    for key, tensor in sorted(tensors.items(), key=lambda each: each[1].data_offsets):
        begin, end = tensor.data_offsets
        bits = _BITS.get(tensor.dtype, 0)
        if (
            not bits
            or len(tensor.shape) > _DIMENSIONS_MAX
            or any(not 0 <= each <= _NUMBER_MAX for each in tensor.shape)
        ):
            raise NotSizable(path=name, reason=f"the tensor {key[:64]!r} has the type {tensor.dtype[:16]!r} or shape")
        count = math.prod(tensor.shape)
        if begin != expected or (end - begin) * 8 != count * bits:
            raise NotSizable(path=name, reason=f"the tensor {key[:64]!r} is not where and as long as it must be")
        expected, elements = end, elements + count
        sizes[key] = end - begin
    if expected != size_bytes - len(header):
        raise NotSizable(
            path=name, reason=f"its tensors have {expected} bytes, and {size_bytes - len(header)} follow the header"
        )
    return Weights(size_bytes=sizes, elements=elements)


def shards_of(index: bytes, *, name: str) -> dict[str, frozenset[str]]:
    """The files of ``model.safetensors.index.json`` and the tensors that each must have.

    Raises:
        NotSizable: It is no such index, or names something that is no file beside it.
    """
    try:
        weight_map = msgspec.json.decode(index, type=_Index).weight_map
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NotSizable(path=name, reason=f"it is no index of safetensors ({error})") from error
    shards: dict[str, set[str]] = {}
    for tensor, file in weight_map.items():
        if not _SHARD.fullmatch(file) or ".." in file:
            raise NotSizable(path=name, reason=f"it names the file {file[:64]!r}")
        shards.setdefault(file, set()).add(tensor)
    if not 1 <= len(shards) <= SHARDS_MAX:
        raise NotSizable(path=name, reason=f"{len(shards)} files, 1 to {SHARDS_MAX} are taken")
    return {file: frozenset(tensors) for file, tensors in shards.items()}


def together(parts: Iterable[Weights]) -> Weights:
    """All files of a model as one."""
    sizes: dict[str, int] = {}
    elements = 0
    for part in parts:
        sizes.update(part.size_bytes)
        elements += part.elements
    return Weights(size_bytes=sizes, elements=elements)


def shape_of(weights: Weights, config: bytes, *, name: str) -> ModelShape:
    """What the planner needs, from the tensors and ``config.json``.

    Raises:
        NotSizable: The configuration is not that of a language model.
    """
    try:
        found = msgspec.json.decode(config, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NotSizable(path=name, reason=f"its configuration is no JSON object ({error})") from error
    text = found.get("text_config")
    facts = _Config({**found, **text} if isinstance(text, dict) else found, name=name)
    layers = facts.number("num_hidden_layers", most=_LAYERS_MAX, least=1)
    width = facts.number("hidden_size", least=1)
    heads = facts.number("num_attention_heads", default=0)
    kv_heads = facts.number("num_key_value_heads", default=heads)
    architecture = facts.architecture()
    latent, rope = facts.number("kv_lora_rank", default=0), facts.number("qk_rope_head_dim", default=0)
    cache = cache_facts(
        architecture,
        Numbers(
            layers=layers, heads=heads, kv_heads=kv_heads, latent=latent, rope=rope, split_heads=int(latent > 0),
            interval=facts.number("full_attention_interval", default=0), **facts.state(),
        ),
    )  # fmt: skip
    layer_bytes, expert_bytes = _by_layer(weights.size_bytes, layers)
    embedding = sum(size for key, size in weights.size_bytes.items() if key.endswith(_EMBEDDINGS))
    return ModelShape(
        architecture=architecture,
        file_bytes=sum(weights.size_bytes.values()),
        layers=layers,
        embedding_length=width,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=facts.number("head_dim", default=width // heads if heads else 0),
        vocabulary=facts.number("vocab_size", default=0),
        context_length=facts.number("max_position_embeddings", default=4_096, least=1),
        sliding_window=facts.number("sliding_window", default=0),
        kv_heads_each=cache.kv_heads_each,
        latent_length=cache.latent_length,
        state_values=cache.state_values,
        layer_bytes=layer_bytes,
        expert_bytes=expert_bytes if any(expert_bytes) else (),
        embedding_bytes=embedding,
        tied="lm_head.weight" not in weights.size_bytes,
        unknown=cache.unknown,
    )


class _Config:
    """A ``config.json``, every number checked when it is asked for."""

    def __init__(self, values: Mapping[str, Any], *, name: str) -> None:
        self._values = values
        self._name = name

    def number(self, key: str, *, default: int | None = None, least: int = 0, most: int = _NUMBER_MAX) -> int:
        value = self._values.get(key)
        if value is None:
            value = default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise NotSizable(path=self._name, reason=f"its configuration has {key} = {str(value)[:64]}")
        return value

    def architecture(self) -> str:
        value = self._values.get("model_type")
        if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9_.-]{1,64}", value):
            raise NotSizable(path=self._name, reason="its configuration names no model_type")
        return _ARCHITECTURES.get(value, value)

    def state(self) -> dict[str, int]:
        """The fixed state of gated delta layers; nothing for models without."""
        if "linear_num_value_heads" not in self._values:
            return {}
        size = self.number("linear_value_head_dim", most=1 << 20)
        return {
            "kernel": self.number("linear_conv_kernel_dim", most=1 << 20),
            "inner": size * self.number("linear_num_value_heads", most=1 << 20),
            "state": self.number("linear_key_head_dim", most=1 << 20),
            "groups": self.number("linear_num_key_heads", most=1 << 20),
        }


def _by_layer(sizes: Mapping[str, int], layers: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Bytes of each layer and of its experts; empty where the tensors are not named by these layers."""
    whole, experts = Counter[int](), Counter[int]()
    for key, size in sizes.items():
        if (match := _LAYER.search(key)) is not None:
            whole[int(match[1])] += size
            experts[int(match[1])] += size if _EXPERTS in key else 0
    if max(whole, default=-1) != layers - 1:
        return (), ()
    return tuple(whole[layer] for layer in range(layers)), tuple(experts[layer] for layer in range(layers))
