"""Header-only model files whose caches are not plain keys and values for each layer: see ``gguf_headers``."""

from __future__ import annotations

from pathlib import Path

from tests.support.gguf_headers import (
    Dims,
    Tensor,
    attention,
    basic_values,
    feed_forward,
    table,
    write_model,
)

KIND = "Q8_0"


def gpt_oss(path: Path, dims: Dims, *, window: int = 128, experts: str = KIND) -> Path:
    """Every second layer looks over its window only; sinks, biases, experts."""
    tensors = table(dims, KIND)
    for layer in range(dims.layers):
        prefix = f"blk.{layer}."
        tensors += attention(dims, layer, KIND, biased=True)
        tensors += feed_forward(dims, layer, experts, norm="post_attention_norm")
        tensors += [
            (f"{prefix}attn_sinks.weight", (dims.heads,), "F32"),
            (f"{prefix}ffn_gate_inp.bias", (dims.experts,), "F32"),
            *(
                (f"{prefix}ffn_{name}_exps.bias", (size, dims.experts), "F32")
                for name, size in (("gate", dims.inner), ("up", dims.inner), ("down", dims.width))
            ),
        ]
    return write_model(path, "gpt-oss", {**basic_values(dims), "attention.sliding_window": window}, tensors)


def deepseek2(path: Path, dims: Dims, *, latent: int = 512, rope: int = 64) -> Path:
    """Multi-head latent attention: one latent vector and one rotated key for all heads."""
    plain, value = dims.head_dim, dims.head_dim
    values = {
        **basic_values(dims),
        "attention.head_count_kv": 1,
        "attention.key_length": latent + rope,
        "attention.value_length": latent,
        "attention.key_length_mla": plain + rope,
        "attention.value_length_mla": value,
        "attention.kv_lora_rank": latent,
        "attention.q_lora_rank": 768,
        "rope.dimension_count": rope,
        "leading_dense_block_count": 1,
        "expert_shared_count": 1,
        "expert_weights_scale": 1.0,
        "expert_gating_func": 2,
    }
    tensors = table(dims, KIND)
    for layer in range(dims.layers):
        prefix = f"blk.{layer}."
        tensors += [
            (f"{prefix}attn_norm.weight", (dims.width,), "F32"),
            (f"{prefix}attn_q_a.weight", (dims.width, 768), KIND),
            (f"{prefix}attn_q_a_norm.weight", (768,), "F32"),
            (f"{prefix}attn_q_b.weight", (768, dims.heads * (plain + rope)), KIND),
            (f"{prefix}attn_kv_a_mqa.weight", (dims.width, latent + rope), KIND),
            (f"{prefix}attn_kv_a_norm.weight", (latent,), "F32"),
            (f"{prefix}attn_k_b.weight", (plain, latent, dims.heads), KIND),
            (f"{prefix}attn_v_b.weight", (latent, value, dims.heads), KIND),
            (f"{prefix}attn_output.weight", (dims.heads * value, dims.width), KIND),
        ]
        if not layer:
            dense = Dims(**{**{name: getattr(dims, name) for name in Dims.__slots__}, "experts": 0})
            tensors += feed_forward(dense, layer, KIND)
            continue
        tensors += feed_forward(dims, layer, KIND)
        tensors += [
            (f"{prefix}ffn_gate_shexp.weight", (dims.width, dims.inner), KIND),
            (f"{prefix}ffn_up_shexp.weight", (dims.width, dims.inner), KIND),
            (f"{prefix}ffn_down_shexp.weight", (dims.inner, dims.width), KIND),
        ]
    return write_model(path, "deepseek2", values, tensors)


def _ssm1(dims: Dims, layer: int, *, inner: int, state: int, kernel: int, rank: int) -> list[Tensor]:
    prefix = f"blk.{layer}."
    return [
        (f"{prefix}attn_norm.weight", (dims.width,), "F32"),
        (f"{prefix}ssm_in.weight", (dims.width, 2 * inner), KIND),
        (f"{prefix}ssm_conv1d.weight", (kernel, inner), "F32"),
        (f"{prefix}ssm_conv1d.bias", (inner,), "F32"),
        (f"{prefix}ssm_x.weight", (inner, rank + 2 * state), KIND),
        (f"{prefix}ssm_dt.weight", (rank, inner), KIND),
        (f"{prefix}ssm_dt.bias", (inner,), "F32"),
        (f"{prefix}ssm_a", (state, inner), "F32"),
        (f"{prefix}ssm_d", (inner,), "F32"),
        (f"{prefix}ssm_out.weight", (inner, dims.width), KIND),
    ]


def _ssm_values(*, inner: int, state: int, kernel: int, rank: int, groups: int = 0) -> dict[str, int]:
    found = {"ssm.conv_kernel": kernel, "ssm.inner_size": inner, "ssm.state_size": state, "ssm.time_step_rank": rank}
    return found | ({"ssm.group_count": groups} if groups else {})


def mamba(path: Path, dims: Dims, *, state: int = 16) -> Path:
    """No attention: a fixed state for each sequence."""
    sizes = {"inner": 2 * dims.width, "state": state, "kernel": 4, "rank": dims.width // 16}
    values = {
        "block_count": dims.layers,
        "context_length": 1 << 20,
        "embedding_length": dims.width,
        "feed_forward_length": 0,
        "attention.head_count": 0,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "vocab_size": dims.vocabulary,
        **_ssm_values(**sizes),
    }
    tensors = table(dims, KIND)
    for layer in range(dims.layers):
        tensors += _ssm1(dims, layer, **sizes)
    return write_model(path, "mamba", values, tensors)


def jamba(path: Path, dims: Dims, *, every: int = 8, state: int = 16) -> Path:
    """One layer in ``every`` attends; the others keep a state. No experts here, which the file may also lack."""
    sizes = {"inner": 2 * dims.width, "state": state, "kernel": 4, "rank": dims.width // 16}
    attends = [layer % every == every // 2 for layer in range(dims.layers)]
    values = {
        **basic_values(dims),
        **_ssm_values(**sizes),
        "attention.head_count_kv": [dims.kv_heads if each else 0 for each in attends],
    }
    tensors = table(dims, KIND)
    for layer, attending in enumerate(attends):
        if attending:
            tensors += attention(dims, layer, KIND)
        else:
            tensors += _ssm1(dims, layer, **sizes)
            tensors += [
                (f"blk.{layer}.ssm_dt_norm.weight", (sizes["rank"],), "F32"),
                (f"blk.{layer}.ssm_b_norm.weight", (state,), "F32"),
                (f"blk.{layer}.ssm_c_norm.weight", (state,), "F32"),
            ]
        tensors += feed_forward(dims, layer, KIND)
    return write_model(path, "jamba", values, tensors)


def granite_hybrid(path: Path, dims: Dims, *, every: int = 8, state: int = 128) -> Path:
    """Mamba-2 layers with groups and heads, and one layer in ``every`` that attends."""
    inner, heads, groups, kernel = 2 * dims.width, 2 * dims.width // 64, 1, 4
    attends = [layer % every == every // 2 for layer in range(dims.layers)]
    values = {
        **basic_values(dims),
        **_ssm_values(inner=inner, state=state, kernel=kernel, rank=heads, groups=groups),
        "attention.head_count_kv": [dims.kv_heads if each else 0 for each in attends],
        "logit_scale": 1.0,
    }
    tensors = table(dims, KIND)
    wide = inner + 2 * groups * state
    for layer, attending in enumerate(attends):
        prefix = f"blk.{layer}."
        if attending:
            tensors += attention(dims, layer, KIND)
        else:
            tensors += [
                (f"{prefix}attn_norm.weight", (dims.width,), "F32"),
                (f"{prefix}ssm_in.weight", (dims.width, inner + wide + heads), KIND),
                (f"{prefix}ssm_conv1d.weight", (kernel, wide), "F32"),
                (f"{prefix}ssm_conv1d.bias", (wide,), "F32"),
                (f"{prefix}ssm_dt.bias", (heads,), "F32"),
                (f"{prefix}ssm_a", (1, heads), "F32"),
                (f"{prefix}ssm_d", (1, heads), "F32"),
                (f"{prefix}ssm_norm.weight", (inner // groups, groups), "F32"),
                (f"{prefix}ssm_out.weight", (inner, dims.width), KIND),
            ]
        tensors += feed_forward(dims, layer, KIND)
    return write_model(path, "granitehybrid", values, tensors)


def qwen3_next(path: Path, dims: Dims, *, every: int = 4) -> Path:
    """Gated delta layers with a state, every ``every``-th layer attends with a gate; experts with a shared one."""
    key_heads, value_heads, size, kernel = 16, 32, 128, 4
    inner = value_heads * size
    values = {
        **basic_values(dims),
        **_ssm_values(inner=inner, state=size, kernel=kernel, rank=value_heads, groups=key_heads),
        "rope.dimension_count": 64,
        "expert_shared_feed_forward_length": dims.inner,
        "full_attention_interval": every,
    }
    tensors = table(dims, KIND)
    wide = 2 * key_heads * size + inner
    for layer in range(dims.layers):
        prefix = f"blk.{layer}."
        if (layer + 1) % every == 0:
            found = attention(dims, layer, KIND, norms=("attn_q_norm", "attn_k_norm"))
            tensors += [
                (name, (sizes[0], 2 * sizes[1]), kind) if name.endswith("attn_q.weight") else (name, sizes, kind)
                for name, sizes, kind in found
            ]
        else:
            tensors += [
                (f"{prefix}attn_norm.weight", (dims.width,), "F32"),
                (f"{prefix}attn_qkv.weight", (dims.width, wide), KIND),
                (f"{prefix}attn_gate.weight", (dims.width, inner), KIND),
                (f"{prefix}ssm_conv1d.weight", (kernel, wide), "F32"),
                (f"{prefix}ssm_dt.bias", (value_heads,), "F32"),
                (f"{prefix}ssm_a", (value_heads,), "F32"),
                (f"{prefix}ssm_ba.weight", (dims.width, 2 * value_heads), KIND),
                (f"{prefix}ssm_norm.weight", (size,), "F32"),
                (f"{prefix}ssm_out.weight", (inner, dims.width), KIND),
            ]
        tensors += feed_forward(dims, layer, KIND, norm="post_attention_norm")
        tensors += [
            (f"{prefix}ffn_gate_inp_shexp.weight", (dims.width,), "F32"),
            (f"{prefix}ffn_gate_shexp.weight", (dims.width, dims.inner), KIND),
            (f"{prefix}ffn_up_shexp.weight", (dims.width, dims.inner), KIND),
            (f"{prefix}ffn_down_shexp.weight", (dims.inner, dims.width), KIND),
        ]
    return write_model(path, "qwen3next", values, tensors)
