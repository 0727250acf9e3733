"""What a model's layers keep between tokens, as its header tells: keys and values, a latent vector, or a state.

Sources: llama.cpp b11549, src/llama-hparams.cpp (``n_embd_r``, ``n_embd_s``) and src/models/*.cpp; each kind was compared
with what llama.cpp says of a made file (tests/integration/test_fit_oracle.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PLAIN: Final = frozenset(
    {
        "apertus", "arcee", "arctic", "baichuan", "bailingmoe", "bailingmoe2", "bert", "bitnet", "bloom", "chameleon",
        "chatglm", "codeshell", "cogvlm", "cohere2", "command-r", "dbrx", "deci", "deepseek", "deepseek2", "dots1",
        "dream", "ernie4_5", "ernie4_5-moe", "exaone", "exaone4", "falcon", "gemma", "gemma2", "gemma3", "gemma3n",
        "glm4", "glm4moe", "gpt-oss", "gpt2", "gptj", "gptneox", "granite", "granitemoe", "grok", "hunyuan-dense",
        "hunyuan-moe", "internlm2", "jais", "llada", "llama", "llama4", "mellum", "minicpm", "minicpm3", "minimax-m2",
        "mistral3", "modern-bert", "mpt", "nemotron", "nomic-bert", "nomic-bert-moe", "olmo", "olmo2", "olmoe", "openelm",
        "orion", "pangu-embedded", "phi2", "phi3", "phimoe", "plamo", "qwen", "qwen2", "qwen2moe", "qwen2vl", "qwen3",
        "qwen3moe", "qwen3vl", "qwen3vlmoe", "refact", "seed_oss", "smallthinker", "smollm3", "stablelm", "starcoder",
        "starcoder2", "xverse",
    }
)  # fmt: skip
"""Architectures of llama.cpp whose layers keep keys and values (or the latent of them) and nothing else."""

STATES: Final = frozenset({"mamba", "mamba2", "jamba", "granitehybrid", "qwen3next", "qwen35", "qwen35moe"})
"""Architectures whose layers without key-value heads keep a convolution's window and a state (``ssm.*``)."""

_INTERVAL: Final = 4
"""Of the Qwen hybrids, every how manieth layer attends where the file does not say."""
_INTERVALS: Final = frozenset({"qwen3next", "qwen35", "qwen35moe"})
_VALUES_MAX: Final = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheFacts:
    """See ``domain.hardware.ModelShape``, which has the same fields."""

    kv_heads_each: tuple[int, ...] = ()
    latent_length: int = 0
    state_values: int = 0
    unknown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Header values that matter here, 0 where the file has none.

    Attributes:
        kv_heads: One number for all layers, or one for each.
        latent, rope: ``attention.kv_lora_rank`` and ``rope.dimension_count``.
        split_heads: ``attention.key_length_mla``: such a file keeps the latent vector; an older one keys and values.
        interval: ``full_attention_interval``.
        kernel, inner, state, groups: ``ssm.conv_kernel``, ``ssm.inner_size``, ``ssm.state_size``, ``ssm.group_count``.
    """

    layers: int
    heads: int
    kv_heads: int | tuple[int, ...]
    latent: int = 0
    rope: int = 0
    split_heads: int = 0
    interval: int = 0
    kernel: int = 0
    inner: int = 0
    state: int = 0
    groups: int = 0


def cache_facts(architecture: str, numbers: Numbers) -> CacheFacts:
    """What is known of the caches, and what is not."""
    each = numbers.kv_heads if isinstance(numbers.kv_heads, tuple) else ()
    if architecture in STATES:
        return _with_states(architecture, numbers, each)
    if architecture not in PLAIN:
        kept = "each layer is counted as attending to everything" if numbers.heads else "it has no attention heads"
        return CacheFacts(
            kv_heads_each=each,
            unknown=f"what the architecture {architecture!r} keeps between tokens is not known here ({kept})",
        )
    if not numbers.heads:
        return CacheFacts(unknown=f"the file names no attention heads, which {architecture!r} has")
    latent = numbers.latent + numbers.rope if numbers.latent and numbers.split_heads else 0
    return CacheFacts(kv_heads_each=each, latent_length=latent)


def _with_states(architecture: str, numbers: Numbers, each: tuple[int, ...]) -> CacheFacts:
    values = (numbers.kernel - 1) * (numbers.inner + 2 * numbers.groups * numbers.state) if numbers.kernel else 0
    values += numbers.state * numbers.inner
    if not numbers.kernel or not numbers.inner or not numbers.state or values > _VALUES_MAX:
        return CacheFacts(
            kv_heads_each=each, unknown=f"the file does not say how large the state of {architecture!r} is"
        )
    if architecture in _INTERVALS and not each:
        interval = numbers.interval or _INTERVAL
        heads = numbers.kv_heads if isinstance(numbers.kv_heads, int) else 0
        each = tuple(0 if (layer + 1) % interval else heads for layer in range(numbers.layers))
    return CacheFacts(kv_heads_each=each, state_values=values)
