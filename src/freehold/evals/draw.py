"""Choices made by seed: the same seed gives the same ones on every machine and version."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

_Item = TypeVar("_Item")


class Chooser:
    """Numbers drawn from SHA-256 of seed, name and a counter; ``random`` promises no fixed sequence for ranges."""

    def __init__(self, seed: int, name: str) -> None:
        self._prefix = f"{seed}:{name}:"
        self._drawn = 0

    def between(self, low: int, high: int) -> int:
        """An integer from ``low`` to ``high``, both included."""
        self._drawn += 1
        block = hashlib.sha256(f"{self._prefix}{self._drawn}".encode()).digest()
        return low + int.from_bytes(block[:8], "big") % (high - low + 1)

    def one_of(self, items: Sequence[_Item]) -> _Item:
        """One of ``items``."""
        return items[self.between(0, len(items) - 1)]

    def some_of(self, items: Sequence[_Item], count: int) -> list[_Item]:
        """``count`` of ``items`` in any order, none twice."""
        left, found = list(items), list[_Item]()
        for _ in range(count):
            found.append(left.pop(self.between(0, len(left) - 1)))
        return found
