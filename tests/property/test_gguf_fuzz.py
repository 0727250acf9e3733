"""Whatever the bytes are, a header is read or refused: nothing else happens."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.domain.errors.model import ModelFileInvalid
from freehold.serving.gguf import GgufHeader, read_header
from tests.support.gguf_files import LLAMA_PAIRS, TENSORS, header, tiny_model

WHOLE = tiny_model()
HEADER_BYTES = len(header(LLAMA_PAIRS, TENSORS))


def read(content: bytes) -> GgufHeader | None:
    with tempfile.NamedTemporaryFile(dir=Path("/dev/shm") if Path("/dev/shm").is_dir() else None) as stream:
        stream.write(content)
        stream.flush()
        try:
            return read_header(stream.name)
        except ModelFileInvalid:
            return None


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.integers(0, HEADER_BYTES - 1), st.integers(0, 255), min_size=1, max_size=8))
def test_changed_bytes(changes: dict[int, int]) -> None:
    content = bytearray(WHOLE)
    for position, byte in changes.items():
        content[position] = byte
    found = read(bytes(content))
    assert found is None or 1 <= found.layers <= 4096


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(WHOLE) - 1))
def test_every_truncation_is_refused(length: int) -> None:
    assert read(WHOLE[:length]) is None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_arbitrary_bytes_behind_the_magic(rest: bytes) -> None:
    read(b"GGUF\x03\0\0\0" + rest)


@settings(max_examples=200, deadline=None)
@given(st.integers(24, HEADER_BYTES - 8), st.integers(0, 2**64 - 1))
def test_any_length_field_may_claim_anything(position: int, claim: int) -> None:
    content = bytearray(WHOLE)
    content[position : position + 8] = claim.to_bytes(8, "little")
    read(bytes(content))
