"""The pieces of a GGUF header one by one, where sums are not enough: a vocabulary, the tensors of an adapter.

As everything of a stranger's file: each count and length is bounded before it is used.
"""

from __future__ import annotations

import math
import os
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freehold.serving.gguf_stream import HeaderStream, MalformedError, of_descriptor
from freehold.serving.gguf_types import MAGIC, TENSOR_TYPES, VALUE_ARRAY, VALUE_FORMATS, VALUE_STRING

_VERSIONS: Final = (2, 3)
_VALUES_MAX: Final = 4_096
_KEY_BYTES_MAX: Final = 256
_ELEMENTS_MAX: Final = 1 << 22
_TENSORS_MAX: Final = 1 << 16
_TENSOR_ELEMENTS_MAX: Final = 1 << 44
_NAME_BYTES_MAX: Final = 128
_DIMENSIONS_MAX: Final = 4
_ALIGNMENT: Final = 32
_ALIGNMENT_MAX: Final = 1 << 16
_TOKENS_KEY: Final = "tokenizer.ggml.tokens"

Value = bool | int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """A header.

    Attributes:
        values: Its single values; arrays are left out.
        tokens: Texts of its vocabulary in order; empty where it has none.
        tensors: Dimensions of each tensor, by name.
    """

    values: Mapping[str, Value]
    tokens: tuple[bytes, ...]
    tensors: Mapping[str, tuple[int, ...]]

    def text(self, key: str) -> str:
        """A value as text; empty where there is none."""
        value = self.values.get(key, "")
        return value if isinstance(value, str) else str(value)


def read_pieces(path: str | os.PathLike[str]) -> Pieces:
    """Read a header. Some 0.1 s where the vocabulary is large.

    Raises:
        MalformedError: It is no GGUF file, or its tensors do not lie inside it.
        OSError: It cannot be read.
    """
    # O_NONBLOCK: opening a named pipe must not wait for its writer.
    descriptor = os.open(Path(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise MalformedError("it is not a regular file")
        return _read(descriptor, HeaderStream(of_descriptor(descriptor), size_bytes=status.st_size))
    except struct.error as error:
        raise MalformedError(str(error)) from error
    finally:
        os.close(descriptor)


def _read(descriptor: int, stream: HeaderStream) -> Pieces:
    magic = stream.take(min(len(MAGIC), stream.remaining))
    if magic != MAGIC:
        raise MalformedError(f"it begins with {magic!r}, not with b'GGUF'")
    version = int(stream.scalar("I"))
    if version not in _VERSIONS:
        raise MalformedError(f"its version is {version}; versions 2 and 3, little-endian, are taken")
    tensor_count = stream.count("Q", limit=_TENSORS_MAX, what="tensors")
    value_count = stream.count("Q", limit=_VALUES_MAX, what="header values")
    values: dict[str, Value] = {}
    tokens: tuple[bytes, ...] = ()
    seen: set[str] = set()
    for _ in range(value_count):
        key = stream.text(limit_bytes=_KEY_BYTES_MAX)
        if key in seen:
            raise MalformedError(f"the header value {key!r} occurs twice")
        seen.add(key)
        kind = int(stream.scalar("I"))
        if kind == VALUE_ARRAY:
            texts = _array(descriptor, stream, keep=key == _TOKENS_KEY)
            tokens = texts or tokens
        elif kind == VALUE_STRING:
            values[key] = stream.text()
        elif letter := VALUE_FORMATS.get(kind):
            values[key] = stream.scalar(letter)
        else:
            raise MalformedError(f"the header value {key!r} has the unknown type {kind}")
    return Pieces(values=values, tokens=tokens, tensors=_tensors(stream, tensor_count, values))


def _array(descriptor: int, stream: HeaderStream, *, keep: bool) -> tuple[bytes, ...]:
    """Pass over an array; its texts where they are wanted."""
    kind = int(stream.scalar("I"))
    count = stream.count("Q", limit=_ELEMENTS_MAX, what="elements in one array")
    if kind == VALUE_STRING:
        begin = stream.position
        stream.walk_texts(count)
        return _texts(os.pread(descriptor, stream.position - begin, begin), count) if keep else ()
    letter = VALUE_FORMATS.get(kind)
    if letter is None:
        raise MalformedError(f"an array has elements of the type {kind}")
    stream.skip(count * struct.calcsize("<" + letter))
    return ()


def _texts(raw: bytes, count: int) -> tuple[bytes, ...]:
    """Length-prefixed texts that were walked over before, so that their lengths are right."""
    texts: list[bytes] = []
    at = 0
    for _ in range(count):
        length: int = struct.unpack_from("<Q", raw, at)[0]
        texts.append(raw[at + 8 : at + 8 + length])
        at += 8 + length
    return tuple(texts)


def _tensors(stream: HeaderStream, count: int, values: Mapping[str, Value]) -> dict[str, tuple[int, ...]]:
    said = values.get("general.alignment", _ALIGNMENT)
    alignment = said if isinstance(said, int) else 0
    if not 1 <= alignment <= _ALIGNMENT_MAX or alignment & (alignment - 1):
        raise MalformedError(f"its alignment is {str(said)[:64]!r}, not a power of two")
    tensors: dict[str, tuple[int, ...]] = {}
    expected = end = 0
    for _ in range(count):
        name = stream.text(limit_bytes=_NAME_BYTES_MAX)
        if name in tensors:
            raise MalformedError(f"the tensor {name!r} occurs twice")
        dimensions = tuple(
            int(stream.scalar("Q")) for _ in range(stream.count("I", limit=_DIMENSIONS_MAX, what="dimensions"))
        )
        if not dimensions or not all(dimensions) or math.prod(dimensions) > _TENSOR_ELEMENTS_MAX:
            raise MalformedError(f"the tensor {name!r} has the dimensions {dimensions}")
        kind = TENSOR_TYPES.get(number := int(stream.scalar("I")))
        if kind is None or dimensions[0] % kind.block_elements:
            raise MalformedError(f"the tensor {name!r} has the type {number}, or rows that do not suit it")
        if (offset := int(stream.scalar("Q"))) != expected:
            raise MalformedError(f"the tensor {name!r} is at {offset}, expected at {expected}")
        end = offset + math.prod(dimensions) // kind.block_elements * kind.block_bytes
        expected = -(-end // alignment) * alignment
        tensors[name] = dimensions
    begin = -(-stream.position // alignment) * alignment
    if missing := max(0, begin + end - stream.position - stream.remaining):
        raise MalformedError(f"it is truncated: {missing} bytes of its tensors are missing")
    return tensors
