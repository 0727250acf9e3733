"""Encoded parts that many records share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
E = TypeVar("E")

_KNOWN_MAX = 1_024


class Fragments(Generic[T, E]):
    """Remembers what values were encoded to, by identity.

    Labels and decisions are memoised where they are made, so that most requests carry the very same ones. A value is
    kept as long as its bytes are, so that its identity is not another's meanwhile; it must never change.
    """

    def __init__(self, encode: Callable[[T], E]) -> None:
        self._encode = encode
        self._known: dict[int, tuple[T, E]] = {}

    def __call__(self, value: T) -> E:
        """The bytes of ``value``."""
        found = self._known.get(id(value))
        if found is not None:
            return found[1]
        data = self._encode(value)
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known[id(value)] = (value, data)
        return data
