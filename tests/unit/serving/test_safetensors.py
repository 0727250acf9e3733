"""Safetensors headers and what is beside them: a right model's numbers, and each wrong one refused with its reason."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.errors.model import ModelUnknown
from freehold.domain.errors.planner import NotSizable
from freehold.domain.hardware import ModelShape
from freehold.planner.memory import Launch, cache_bytes
from freehold.serving.looked_at import FolderBeginnings, look_at
from freehold.serving.reference import parse_remote
from freehold.serving.safetensors import HEADER_BYTES_MAX, header_length, read_tensors, shape_of, shards_of
from tests.support.safetensors_files import CONFIG, SHARDS, TINY_BYTES, framed, header, size_bytes, write_tiny

TENSORS = {"a.layers.0.w": ("F16", (4, 4)), "a.layers.1.w": ("U8", (3,))}
WHOLE = header(TENSORS)
DATA = size_bytes(TENSORS)


def read(content: bytes, size: int) -> int:
    length = header_length(content[:8], size_bytes=size, name="x")
    return sum(read_tensors(content[:length], size_bytes=size, name="x").size_bytes.values())


def entry(begin: int, end: int, *, dtype: str = "U8", shape: list[int] | None = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


def test_a_model_in_two_files(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    found = asyncio.run(look_at(FolderBeginnings(tmp_path), ""))
    shape = found.shape
    assert shape.file_bytes == TINY_BYTES
    assert (shape.layers, shape.heads, shape.kv_heads, shape.head_dim, shape.vocabulary) == (2, 4, 2, 16, 100)
    assert shape.embedding_bytes == 100 * 64 * 2
    assert not shape.tied and not shape.unknown
    assert shape.layer_bytes == ((64 * 64 + 32 * 64 + 4 * 64 * 64) * 2 + 64 * 4,) * 2
    assert cache_bytes(shape, Launch(context_tokens=256, slots=1)) == 2 * 2 * 16 * 2 * 2 * 256
    one = asyncio.run(look_at(FolderBeginnings(tmp_path), next(iter(SHARDS))))
    assert one.shape.file_bytes == size_bytes(SHARDS[next(iter(SHARDS))])
    assert one.shape.layer_bytes == ()


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnknown, match=r"model\.safetensors"):
        asyncio.run(look_at(FolderBeginnings(tmp_path), ""))
    write_tiny(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ModelUnknown, match=r"config\.json"):
        asyncio.run(look_at(FolderBeginnings(tmp_path), ""))


WRONG: dict[str, tuple[bytes, int, str]] = {
    "empty": (b"", 0, "0 bytes"),
    "cut in its length": (b"\1\0\0", 3, "would have"),
    "header longer than the file": (WHOLE, 20, "would have"),
    "header of 2**63 bytes": (b"\xff" * 8 + b"{}", 1 << 62, "would have"),
    "header beyond the bound": ((HEADER_BYTES_MAX + 1).to_bytes(8, "little"), 1 << 40, "would have"),
    "no JSON": (framed({})[:8] + b"xx", 10, "not that of safetensors"),
    "a list": (framed([1]), 11, "not that of safetensors"),
    "nothing in it": (framed({}), 10, "0 tensors"),
    "deeply nested": ((200_000).to_bytes(8, "little") + b'{"a":' + b"[" * 199_995, 200_008, "not that of safetensors"),
    "a gap": (framed({"a": entry(0, 4), "b": entry(5, 9)}), 0, "not where"),
    "an overlap": (framed({"a": entry(0, 4), "b": entry(2, 6)}), 0, "not where"),
    "longer than its shape": (framed({"a": entry(0, 4, shape=[3])}), 0, "not where"),
    "backwards": (framed({"a": entry(4, 0, shape=[])}), 0, "not where"),
    "negative shape": (framed({"a": entry(0, 4, shape=[-2, -2])}), 0, "or shape"),
    "endless shape": (framed({"a": entry(0, 4, shape=[1 << 40, 1 << 40])}), 0, "or shape"),
    "many dimensions": (framed({"a": entry(0, 1, shape=[1] * 17)}), 0, "or shape"),
    "a type that is none": (framed({"a": entry(0, 4, dtype="Q4")}), 0, "has the type"),
    "offsets of text": (framed({"a": {"dtype": "U8", "shape": [1], "data_offsets": ["0", "1"]}}), 0, "not that of"),
    "offsets too large": (framed({"a": entry(0, 1 << 70, shape=[1])}), 0, "not where"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_header_is_refused(case: str) -> None:
    content, size, reason = WRONG[case]
    with pytest.raises(NotSizable, match=reason):
        read(content, size or len(content) + 9)


def test_the_file_holds_its_tensors_and_nothing_else() -> None:
    assert read(WHOLE, len(WHOLE) + DATA) == DATA
    for off in (-1, 1):
        with pytest.raises(NotSizable, match="follow the header"):
            read(WHOLE, len(WHOLE) + DATA + off)


@given(changes=st.dictionaries(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), min_size=1, max_size=6))
def test_changed_bytes_are_read_or_refused(changes: dict[int, int]) -> None:
    content = bytearray(WHOLE)
    for position, byte in changes.items():
        content[position] = byte
    with contextlib.suppress(NotSizable):
        assert read(bytes(content), len(WHOLE) + DATA) == DATA


@pytest.mark.parametrize(
    "file", ["../x.safetensors", "/etc/x.safetensors", "x.bin", "a/b.safetensors", "..safetensors", ""]
)
def test_an_index_names_files_beside_it_only(file: str) -> None:
    with pytest.raises(NotSizable):
        shards_of(json.dumps({"weight_map": {"a": file}}).encode(), name="x")


def test_an_index_of_too_many_or_none() -> None:
    for weight_map in ({}, {f"{number}": f"m{number}.safetensors" for number in range(1_025)}):
        with pytest.raises(NotSizable, match="1 to 1024"):
            shards_of(json.dumps({"weight_map": weight_map}).encode(), name="x")


def shape(**changes: Any) -> ModelShape:
    weights = read_tensors(WHOLE, size_bytes=len(WHOLE) + DATA, name="x")
    return shape_of(weights, json.dumps({**CONFIG, **changes}).encode(), name="config.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"num_hidden_layers": 0},
        {"num_hidden_layers": 1 << 40},
        {"hidden_size": "64"},
        {"num_attention_heads": -1},
        {"hidden_size": True},
        {"num_key_value_heads": 2.5},
        {"model_type": None},
        {"model_type": "../x"},
    ],
)
def test_a_configuration_with_a_wrong_number_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(NotSizable, match="configuration"):
        shape(**changes)


def test_kinds_of_caches_by_configuration() -> None:
    latent = shape(model_type="deepseek_v3", kv_lora_rank=512, qk_rope_head_dim=64, num_key_value_heads=4)
    assert latent.latent_length == 576
    hybrid = shape(
        model_type="qwen3_next", num_hidden_layers=4, linear_num_value_heads=32, linear_value_head_dim=128,
        linear_key_head_dim=128, linear_num_key_heads=16, linear_conv_kernel_dim=4, full_attention_interval=4,
    )  # fmt: skip
    assert hybrid.kv_heads_each == (0, 0, 0, 2)
    assert hybrid.state_values == 3 * (4_096 + 2 * 16 * 128) + 128 * 4_096
    inside = shape(
        model_type="gemma3", text_config={"num_hidden_layers": 12, "sliding_window": 512, "model_type": "gemma3_text"}
    )
    assert (inside.architecture, inside.layers, inside.sliding_window) == ("gemma3", 12, 512)
    assert "not known" in shape(model_type="from_tomorrow").unknown
    assert "does not say how large" in shape(model_type="mamba2").unknown


def test_references_to_what_is_only_looked_at() -> None:
    found = parse_remote("hf:org/repo@v1")
    assert (found.repo, found.filename, found.revision) == ("org/repo", "", "v1")
    assert parse_remote("hf:org/repo/a/b.safetensors").filename == "a/b.safetensors"
    assert parse_remote("hf:org/repo/m.gguf@main").filename == "m.gguf"
    for wrong in (
        "hf:org",
        "hf:org/repo/x.bin",
        "hf:org/repo/../m.gguf",
        "hf:o/r/..gguf",
        "org/repo",
        "hf:o/r?x",
        "hf:ö/r",
    ):
        with pytest.raises(ModelUnknown):
            parse_remote(wrong)
