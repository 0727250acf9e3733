"""How much is read of a file that only claims to have a header, however long it says that is."""

from __future__ import annotations

import asyncio
import json
import struct

import pytest

from freehold.domain.errors.model import ModelFileInvalid
from freehold.domain.errors.planner import NotSizable
from freehold.serving import looked_at, safetensors
from freehold.serving.looked_at import look_at
from tests.support.gguf_files import ARRAY, STRING, U32, text, tiny_model


class Claimed:
    """A file of ``size_bytes`` whose first bytes are ``start`` and the rest zeros."""

    def __init__(self, start: bytes, *, size_bytes: int) -> None:
        self.start = start
        self.size = size_bytes
        self.read: list[int] = []

    async def size_bytes(self, filename: str) -> int:
        del filename
        return self.size

    async def first(self, filename: str, count: int) -> bytes:
        del filename
        self.read.append(count)
        return (self.start + b"\0" * max(0, count - len(self.start)))[:count]


def test_a_small_file_is_read_once() -> None:
    files = Claimed(tiny_model(), size_bytes=len(tiny_model()))
    assert asyncio.run(look_at(files, "m.gguf")).shape.layers == 2
    assert files.read == [len(tiny_model())]


@pytest.mark.parametrize(
    "start",
    [
        # Arrays of four million numbers, one after the other, and texts that are megabytes long.
        b"GGUF" + struct.pack("<IQQ", 3, 1, 64) + text("a") + struct.pack("<IIQ", ARRAY, U32, 1 << 22),
        b"GGUF" + struct.pack("<IQQ", 3, 1, 64) + text("a") + struct.pack("<IIQ", ARRAY, STRING, 1 << 22),
        b"GGUF" + struct.pack("<IQQ", 3, 1, 4_000) + text("a") + struct.pack("<IQ", STRING, 1 << 20),
    ],
)
def test_a_header_without_end_is_given_up(start: bytes) -> None:
    files = Claimed(start, size_bytes=1 << 44)
    with pytest.raises((ModelFileInvalid, NotSizable)):
        asyncio.run(look_at(files, "m.gguf"))
    assert max(files.read) <= 1 << 26
    assert len(files.read) <= 5


def test_more_values_than_are_read_of_any_header() -> None:
    one = struct.pack("<IIQ", ARRAY, U32, 1 << 22) + b"\0" * (4 << 22)
    start = b"GGUF" + struct.pack("<IQQ", 3, 1, 9) + b"".join(text(f"k{number}") + one for number in range(9))
    files = Claimed(start, size_bytes=1 << 44)
    with pytest.raises(NotSizable, match="more than 64 MiB"):
        asyncio.run(look_at(files, "m.gguf"))
    assert max(files.read) <= 1 << 26


@pytest.mark.parametrize("filename", ["m.safetensors", ""])
def test_safetensors_that_claim_much(filename: str) -> None:
    files = Claimed((1 << 40).to_bytes(8, "little"), size_bytes=1 << 44)
    with pytest.raises(NotSizable):
        asyncio.run(look_at(files, filename))
    assert sum(files.read) <= 1 << 16


class Padded:
    """A repository of a thousand files with one tensor each, and headers as long as one may be."""

    header = safetensors.HEADER_BYTES_MAX

    def __init__(self) -> None:
        self.read_bytes = 0
        weights = {f"layers.{number}.w": f"m-{number}.safetensors" for number in range(1_000)}
        self.index = json.dumps({"weight_map": weights}).encode()

    async def size_bytes(self, filename: str) -> int:
        return len(self.index) if filename.endswith(".json") else 8 + self.header + 2

    async def first(self, filename: str, count: int) -> bytes:
        if filename.endswith(".json"):
            return self.index[:count]
        self.read_bytes += count
        number = filename.removeprefix("m-").removesuffix(".safetensors")
        told = json.dumps({f"layers.{number}.w": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}}).encode()
        return (self.header.to_bytes(8, "little") + told.ljust(self.header))[:count]


def test_many_headers_together_are_no_more_than_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looked_at, "_HEADERS_BYTES_MAX", 1 << 26)
    files = Padded()
    with pytest.raises(NotSizable, match="together"):
        asyncio.run(look_at(files, ""))
    assert files.read_bytes <= 1 << 27
