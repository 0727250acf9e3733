"""What a protobuf message is written of: numbers, and fields with a length."""

from __future__ import annotations

_VARINT, _LENGTH = 0, 2
_SEVEN_BITS = 127


def encoded(value: int) -> bytes:
    """A number of no fixed length."""
    out = bytearray()
    while value > _SEVEN_BITS:
        out.append(value & _SEVEN_BITS | _SEVEN_BITS + 1)
        value >>= 7
    out.append(value)
    return bytes(out)


def length_field(place: int, body: bytes) -> bytes:
    """A field that is text, bytes or a message."""
    return encoded(place << 3 | _LENGTH) + encoded(len(body)) + body


def number_field(place: int, value: int) -> bytes:
    """A field that is a whole number from 0."""
    return encoded(place << 3 | _VARINT) + encoded(value)
