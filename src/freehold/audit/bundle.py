"""Entries one after the other, each behind its length (u16, big-endian): entry bundles and write-ahead frames."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_LENGTH = struct.Struct(">H")


def join_entries(entries: Sequence[bytes]) -> bytes:
    """The bytes of a row of entries, each at most 65,535 bytes long."""
    return b"".join(part for entry in entries for part in (_LENGTH.pack(len(entry)), entry))


def split_entries(data: bytes) -> tuple[bytes, ...] | None:
    """The entries in ``data``; ``None`` if it does not end where an entry ends."""
    entries: list[bytes] = []
    place = 0
    while place < len(data):
        if place + _LENGTH.size > len(data):
            return None
        (length,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size + length
        entries.append(data[place - length : place])
    return tuple(entries) if place == len(data) else None
