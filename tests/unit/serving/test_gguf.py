"""Header reading: what a right file says, and that every wrong one is refused with its reason."""

from __future__ import annotations

import hashlib
import os
import struct
import time
from pathlib import Path

import pytest

from freehold.domain.errors.model import ModelFileInvalid
from freehold.serving.gguf import read_header
from tests.support.gguf_files import (
    ARRAY,
    BOOL,
    F32,
    LLAMA_PAIRS,
    STRING,
    TENSOR_BYTES,
    TENSORS,
    U32,
    array,
    header,
    pair,
    tensor_info,
    text,
    tiny_model,
    write,
)


def test_right_file(tmp_path: Path) -> None:
    content = tiny_model()
    found = read_header(write(tmp_path, content))
    assert (found.architecture, found.name, found.license) == ("llama", "Tiny", "apache-2.0")
    assert (found.layers, found.heads, found.kv_heads, found.head_dim) == (2, 4, 2, 16)
    assert (found.vocabulary, found.context_length, found.embedding_length) == (100, 2048, 64)
    assert found.file_bytes == len(content)
    assert found.tensor_bytes == TENSOR_BYTES
    assert found.parameters == 64 * 100 + 64 * 64
    assert found.chat_template_sha256 == hashlib.sha256(b"{% for tool in tools %}{% endfor %}").hexdigest()
    assert found.tools
    assert found.infill
    assert not found.pooling
    assert found.quantisation == "F32"
    assert found.shape.file_bytes == TENSOR_BYTES


def test_version_2_and_trailing_bytes_are_taken(tmp_path: Path) -> None:
    content = header(LLAMA_PAIRS, TENSORS, version=2) + b"\0" * (TENSOR_BYTES + 7)
    assert read_header(write(tmp_path, content)).layers == 2


def test_tied_table_is_read_for_each_token_and_an_untied_one_is_not(tmp_path: Path) -> None:
    output = tensor_info("output.weight", (64, 100), offset=TENSOR_BYTES)
    untied = header(LLAMA_PAIRS, (*TENSORS, output)) + b"\0" * (TENSOR_BYTES + 64 * 100 * 4)
    assert read_header(write(tmp_path, tiny_model())).read_bytes == TENSOR_BYTES
    assert read_header(write(tmp_path, untied)).read_bytes == TENSOR_BYTES


def test_only_the_used_experts_are_read(tmp_path: Path) -> None:
    experts = tensor_info("blk.0.ffn_up_exps.weight", (64, 64, 8), offset=TENSOR_BYTES)
    pairs = (*LLAMA_PAIRS, pair("llama.expert_count", U32, 8), pair("llama.expert_used_count", U32, 2))
    content = header(pairs, (*TENSORS, experts)) + b"\0" * (TENSOR_BYTES + 64 * 64 * 8 * 4)
    assert read_header(write(tmp_path, content)).read_bytes == TENSOR_BYTES + 64 * 64 * 2 * 4


def test_one_number_a_layer_becomes_its_mean(tmp_path: Path) -> None:
    pairs = [each for each in LLAMA_PAIRS if b"head_count_kv" not in each]
    pairs.append(array("llama.attention.head_count_kv", U32, [1, 2]))
    found = read_header(write(tmp_path, header(pairs, TENSORS) + b"\0" * TENSOR_BYTES))
    assert found.kv_heads == 2


def test_a_sparse_file_of_the_claimed_size_is_enough(tmp_path: Path) -> None:
    path = write(tmp_path, header(LLAMA_PAIRS, TENSORS))
    os.truncate(path, path.stat().st_size + TENSOR_BYTES)
    assert read_header(path).tensor_bytes == TENSOR_BYTES


def without(key: bytes) -> list[bytes]:
    return [each for each in LLAMA_PAIRS if key not in each]


def whole(pairs: list[bytes]) -> bytes:
    """A file whose only fault is in its values."""
    return header(pairs, TENSORS) + b"\0" * TENSOR_BYTES


HUGE = 1 << 62
NAN_KEY = pair("x.nan", F32, float("nan"))

WRONG = {
    "empty": (b"", "not with b'GGUF'"),
    "three bytes": (b"GGU", "not with b'GGUF'"),
    "another format": (b"PK\x03\x04" + b"\0" * 100, "PK"),
    "version 1": (header(LLAMA_PAIRS, TENSORS, version=1), "version is 1"),
    "big endian": (header(LLAMA_PAIRS, TENSORS, version=3 << 24), "big-endian"),
    "header cut": (tiny_model()[:40], "the file ends"),
    "tensors cut": (tiny_model()[:-1], "truncated: 1 bytes"),
    "no tensors": (header(LLAMA_PAIRS, ()), "0 tensors"),
    "2**62 tensors": (b"GGUF" + struct.pack("<IQQ", 3, HUGE, 0) + b"\0" * 64, "tensors"),
    "2**62 values": (b"GGUF" + struct.pack("<IQQ", 3, 1, HUGE), "header values"),
    "key of 2**62 bytes": (b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", HUGE), "bytes in one text"),
    "text of 2**62 bytes": (
        header([text("a") + struct.pack("<IQ", STRING, HUGE)], TENSORS),
        "bytes in one text",
    ),
    "array of 2**62": (
        header([text("a") + struct.pack("<IIQ", ARRAY, U32, HUGE)], TENSORS),
        "elements in one array",
    ),
    "array beyond the end": (
        header([text("a") + struct.pack("<IIQ", ARRAY, U32, 1 << 21)], TENSORS),
        "the file ends",
    ),
    "texts beyond the end": (
        header([text("a") + struct.pack("<IIQ", ARRAY, STRING, 1 << 21)], TENSORS),
        "text",
    ),
    "array of arrays": (header([text("a") + struct.pack("<IIQ", ARRAY, ARRAY, 1)], TENSORS), "elements of the type 9"),
    "unknown value type": (header([text("a") + struct.pack("<I", 99)], TENSORS), "unknown type 99"),
    "value twice": (header([LLAMA_PAIRS[0], LLAMA_PAIRS[0]], TENSORS), "occurs twice"),
    "no architecture": (whole(without(b"general.architecture")), "architecture is ''"),
    "architecture is a number": (
        whole([*without(b"general.architecture"), pair("general.architecture", U32, 1)]),
        "not a text",
    ),
    "architecture with a path": (
        whole([*without(b"general.architecture"), pair("general.architecture", STRING, "../llama")]),
        "architecture is",
    ),
    "no layers": (whole(without(b"block_count")), "lacks 'llama.block_count'"),
    "no context": (whole(without(b"context_length")), "lacks 'llama.context_length'"),
    "zero layers": (whole([*without(b"block_count"), pair("llama.block_count", U32, 0)]), "is 0"),
    "layers as text": (whole([*without(b"block_count"), pair("llama.block_count", STRING, "2")]), "is '2'"),
    "layers not a number": (
        whole([*without(b"block_count"), pair("llama.block_count", F32, float("nan"))]),
        "is nan",
    ),
    "heads for other layers": (
        whole([*without(b"head_count_kv"), array("llama.attention.head_count_kv", U32, [1, 2, 3])]),
        "3 numbers for 2 layers",
    ),
    "one part of many": (whole([*LLAMA_PAIRS, pair("split.count", U32, 3)]), "one part of a model"),
    "alignment 48": (header([*LLAMA_PAIRS, pair("general.alignment", U32, 48)], TENSORS), "not a power of two"),
    "alignment 0": (header([*LLAMA_PAIRS, pair("general.alignment", U32, 0)], TENSORS), "general.alignment"),
    "tensor twice": (
        header(LLAMA_PAIRS, (TENSORS[0], tensor_info("token_embd.weight", (64, 64), offset=64 * 100 * 4))),
        "occurs twice",
    ),
    "tensor name too long": (header(LLAMA_PAIRS, (tensor_info("x" * 65, (64,)),)), "bytes in one text"),
    "unknown tensor type": (header(LLAMA_PAIRS, (tensor_info("x", (64,), kind=4),)), "unknown type 4"),
    "no dimensions": (header(LLAMA_PAIRS, (tensor_info("x", ()),)), "0 dimensions"),
    "five dimensions": (header(LLAMA_PAIRS, (tensor_info("x", (1,) * 5),)), "5 dimensions"),
    "dimension zero": (header(LLAMA_PAIRS, (tensor_info("x", (64, 0)),)), "has the dimensions"),
    "product overflows": (header(LLAMA_PAIRS, (tensor_info("x", (1 << 40, 1 << 40)),)), "has the dimensions"),
    "row not whole blocks": (header(LLAMA_PAIRS, (tensor_info("x", (33,), kind=2),)), "not whole Q4_0 blocks"),
    "overlap": (header(LLAMA_PAIRS, (TENSORS[0], tensor_info("x", (64,), offset=32))) + b"\0" * 99_999, "expected at"),
    "offset beyond the end": (header(LLAMA_PAIRS, (tensor_info("x", (64,), offset=HUGE),)), "expected at 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_file_is_refused_with_its_reason(case: str, tmp_path: Path) -> None:
    content, reason = WRONG[case]
    with pytest.raises(ModelFileInvalid) as caught:
        read_header(write(tmp_path, content))
    assert reason in str(caught.value.values["reason"])


def test_many_empty_texts_take_neither_time_nor_memory(tmp_path: Path) -> None:
    """A sparse file may claim millions of texts; the walk over them is bounded."""
    start = header([text("a") + struct.pack("<IIQ", ARRAY, STRING, 1 << 22)], ())
    path = write(tmp_path, start)
    os.truncate(path, 1 << 40)
    with pytest.raises(ModelFileInvalid, match=r"architecture|tensors"):
        read_header(path)


def test_long_texts_in_a_sparse_file_are_bounded(tmp_path: Path) -> None:
    first = header([text("a") + struct.pack("<IIQ", ARRAY, STRING, 2) + struct.pack("<Q", (1 << 22) + 1)], ())
    path = write(tmp_path, first)
    os.truncate(path, 1 << 40)
    with pytest.raises(ModelFileInvalid, match="a text of 4194305 bytes"):
        read_header(path)


@pytest.mark.parametrize("name", ["missing.gguf", "a\0b", "."])
def test_what_cannot_be_opened_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileInvalid, match=r"cannot be opened|not a regular file"):
        read_header(f"{tmp_path}/{name}")


def test_a_named_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFileInvalid, match="not a regular file"):
        read_header(tmp_path / "pipe")


def test_booleans_and_floats_are_read(tmp_path: Path) -> None:
    pairs = (*LLAMA_PAIRS, pair("x.flag", BOOL, True), NAN_KEY, array("x.scores", F32, [0.5, 1.5]))
    assert read_header(write(tmp_path, header(pairs, TENSORS) + b"\0" * TENSOR_BYTES)).layers == 2


def test_vocabulary_longer_than_one_window(tmp_path: Path) -> None:
    tokens = [f"token-{number:032}" for number in range(120_000)]
    pairs = [*without(b"tokenizer.ggml.tokens"), array("tokenizer.ggml.tokens", STRING, [*tokens, "<PRE>"])]
    found = read_header(write(tmp_path, header(pairs, TENSORS) + b"\0" * TENSOR_BYTES))
    assert found.infill
    pairs = [*without(b"tokenizer.ggml.tokens"), array("tokenizer.ggml.tokens", STRING, [*tokens, "x<PRE>"])]
    assert not read_header(write(tmp_path, header(pairs, TENSORS) + b"\0" * TENSOR_BYTES)).infill


def tokens_file(folder: Path, tokens: list[str | bytes]) -> Path:
    body = text("tokenizer.ggml.tokens") + struct.pack("<IIQ", ARRAY, STRING, len(tokens)) + b"".join(map(text, tokens))
    return write(folder, header([*without(b"tokenizer.ggml.tokens"), body], TENSORS) + b"\0" * TENSOR_BYTES)


def test_a_token_is_found_only_where_it_is_one(tmp_path: Path) -> None:
    """Texts are passed over in runs: one that merely holds another, with its length before it, is not that other."""
    inside = b"x" + struct.pack("<Q", 5) + b"<PRE>"
    for place in (0, 1, 63, 64, 100, 127, 128, 130):
        others: list[str | bytes] = [inside * (number % 9 + 1) for number in range(200)]
        assert not read_header(tokens_file(tmp_path, others)).infill
        assert read_header(tokens_file(tmp_path, [*others[:place], "<PRE>", *others[place:]])).infill


def test_longer_texts_between_short_ones_are_passed_over(tmp_path: Path) -> None:
    lengths = [0, 1, 126, 127, 128, 129, 255, 256, 257, 65_536, 1 << 20]
    tokens: list[str | bytes] = [b"\n" * length for length in lengths for _ in range(3)] + ["t"] * 300
    assert read_header(tokens_file(tmp_path, tokens * 2)).layers == 2
    with pytest.raises(ModelFileInvalid, match="a text of 1048577 bytes"):
        read_header(tokens_file(tmp_path, [*tokens, b"\n" * ((1 << 20) + 1), *["t"] * 300_000]))


def test_a_vocabulary_full_of_what_is_sought_costs_no_more_than_any(tmp_path: Path) -> None:
    """Walked anew from each place where the bytes of a token are found, it cost 40 times as much."""
    sought = (b"x" + struct.pack("<Q", 5) + b"<PRE>") * 9

    def cost_s(token: bytes) -> float:
        path = tokens_file(tmp_path, [token] * 20_000)
        began = time.process_time()
        assert not read_header(path).infill
        return time.process_time() - began

    assert cost_s(sought) < 15 * cost_s(b"y" * len(sought)) + 0.05
