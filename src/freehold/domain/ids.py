"""Identifiers: UUID version 7 (RFC 9562, section 5.7), sortable by time."""

from __future__ import annotations

_RANDOM_BYTES = 10


def uuid7(*, unix_ms: int, random: bytes) -> str:
    """The identifier for a moment and ten random bytes.

    Args:
        unix_ms: Milliseconds since 1970, below 2**48.
        random: Exactly ten bytes, 74 bits of which are used.

    Raises:
        ValueError: A value is out of range.
    """
    if not 0 <= unix_ms < 1 << 48:
        raise ValueError(f"unix_ms {unix_ms} does not fit in 48 bits")
    if len(random) != _RANDOM_BYTES:
        raise ValueError(f"need {_RANDOM_BYTES} random bytes, got {len(random)}")
    tail = int.from_bytes(random, "big")
    value = unix_ms << 80 | 0x7 << 76 | (tail >> 62 & 0xFFF) << 64 | 0b10 << 62 | tail & ((1 << 62) - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
