"""Unit vectors in a byte a number: good to half of 1/127 of the largest one, which no neighbour search notices."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence

_SCALE = struct.Struct("<f")
_STEPS = 127


def pack(vector: Sequence[float]) -> bytes:
    """The bytes of a vector: its largest magnitude as a little-endian float32, then each number in 127ths of that.

    Empty for an empty one. All numbers must be finite.
    """
    if not vector:
        return b""
    largest = max(map(abs, vector))
    if not largest:
        return _SCALE.pack(0.0) + bytes(len(vector))
    step = _STEPS / largest
    return _SCALE.pack(largest) + array("b", [round(number * step) for number in vector]).tobytes()


def unpack(data: bytes) -> tuple[float, ...]:
    """The vector that ``pack`` packed, as far as its bytes tell it.

    Raises:
        ValueError: These are not such bytes.
    """
    if not data:
        return ()
    if len(data) <= _SCALE.size:
        raise ValueError(f"{len(data)} bytes are no vector")
    step = _SCALE.unpack_from(data)[0] / _STEPS
    return tuple(number * step for number in array("b", data[_SCALE.size :]))
