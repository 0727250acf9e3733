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
    return uuid7_head(unix_ms) + uuid7_tail(random)


def uuid7_head(unix_ms: int) -> str:
    """The part of an identifier that tells the moment; ``unix_ms`` as in ``uuid7``."""
    text = f"{unix_ms:012x}"
    return f"{text[:8]}-{text[8:]}-"


def uuid7_tail(random: bytes) -> str:
    """The part of an identifier that is random, with version and variant; ``random`` as in ``uuid7``."""
    bits = int.from_bytes(random, "big")
    text = f"{0x7 << 76 | (bits >> 62 & 0xFFF) << 64 | 0b10 << 62 | bits & ((1 << 62) - 1):020x}"
    return f"{text[:4]}-{text[4:8]}-{text[8:]}"


def uuid7_unix_ms(identifier: str) -> int:
    """The moment that an identifier tells.

    Raises:
        ValueError: It is no UUID.
    """
    return int(identifier.replace("-", "")[:12], 16)
