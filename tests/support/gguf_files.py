"""Small, valid GGUF files made by hand, and their pieces for making invalid ones."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

ALIGNMENT = 32
U32, F32, BOOL, STRING, ARRAY, U64 = 4, 6, 7, 8, 9, 10
_SCALARS = {U32: "<I", F32: "<f", BOOL: "<?", U64: "<Q"}


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def value(kind: int, content: object) -> bytes:
    if kind == STRING:
        return text(str(content))
    return struct.pack(_SCALARS[kind], content)


def pair(key: str, kind: int, content: object) -> bytes:
    return text(key) + struct.pack("<I", kind) + value(kind, content)


def array(key: str, kind: int, contents: Sequence[object]) -> bytes:
    head = text(key) + struct.pack("<IIQ", ARRAY, kind, len(contents))
    return head + b"".join(value(kind, content) for content in contents)


def tensor_info(name: str, dimensions: Sequence[int], *, kind: int = 0, offset: int = 0) -> bytes:
    sizes = b"".join(struct.pack("<Q", each) for each in dimensions)
    return text(name) + struct.pack("<I", len(dimensions)) + sizes + struct.pack("<IQ", kind, offset)


def header(pairs: Sequence[bytes], tensors: Sequence[bytes], *, version: int = 3, magic: bytes = b"GGUF") -> bytes:
    body = magic + struct.pack("<IQQ", version, len(tensors), len(pairs)) + b"".join(pairs) + b"".join(tensors)
    return body + b"\0" * (-len(body) % ALIGNMENT)


LLAMA_PAIRS = (
    pair("general.architecture", STRING, "llama"),
    pair("general.name", STRING, "Tiny"),
    pair("general.license", STRING, "apache-2.0"),
    pair("llama.block_count", U32, 2),
    pair("llama.context_length", U32, 2048),
    pair("llama.embedding_length", U32, 64),
    pair("llama.attention.head_count", U32, 4),
    pair("llama.attention.head_count_kv", U32, 2),
    array("tokenizer.ggml.tokens", STRING, ["a", "b", "<|fim_prefix|>"]),
    pair("tokenizer.chat_template", STRING, "{% for tool in tools %}{% endfor %}"),
)

TENSORS = (
    tensor_info("token_embd.weight", (64, 100)),
    tensor_info("blk.0.attn_q.weight", (64, 64), offset=64 * 100 * 4),
)
TENSOR_BYTES = 64 * 100 * 4 + 64 * 64 * 4


def tiny_model(*, name: str = "Tiny", filler: bytes = b"\x01") -> bytes:
    """A whole file that the reader takes: a header and as many bytes as its tensors need."""
    pairs = [pair("general.name", STRING, name) if b"general.name" in each else each for each in LLAMA_PAIRS]
    return header(pairs, TENSORS) + (filler * TENSOR_BYTES)[:TENSOR_BYTES]


def write(folder: Path, content: bytes, *, name: str = "model.gguf") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


OWN_FILES = """\
[deployments.own]
engine = "embedded"
model = "./own.gguf"
adapters = {adapters}

[deployments.pulled]
engine = "embedded"
model = "smollm2-135m"

[deployments.elsewhere]
engine = "llama-server"
model = "their.gguf"
zone = "device"
base_url = "http://127.0.0.1:9"
"""
"""A configuration of which one deployment is of files of one's own."""
