"""How sensitive a text is, and where it may go. Laws and joins are in ``policy.lattice``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from freehold.domain.zones import Zone


class Level(IntEnum):
    """Sensitivity, lowest first."""

    PUBLIC = 0
    INTERNAL = 1
    CONFIDENTIAL = 2
    RESTRICTED = 3

    @property
    def word(self) -> str:
        """The level as users write it, for example ``confidential``."""
        return _WORDS[self]


_WORDS = tuple(level.name.lower() for level in Level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Sensitivity of one text. Joining may only make each field stricter.

    Attributes:
        level: Highest sensitivity seen.
        kinds: What is in it: ``pii``, ``phi``, ``pci``, ``secret``…
        zones: Where it may be processed, closed downwards (see ``ZoneTree.closure``).
        readers: Who may read it; ``None`` means everybody.
        trusted: False once a text from an untrusted source is part of it.
    """

    level: Level
    kinds: frozenset[str] = frozenset()
    zones: frozenset[Zone]
    readers: frozenset[str] | None = None
    trusted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSource:
    """One reason why a label is as it is.

    Attributes:
        origin: ``tenant``, ``key``, ``route``, ``client``, ``detector`` or ``vault``.
        rule: Id that a receipt shows, for example ``key:finance`` or ``client:freehold-label``.
        label: What this source asks for; the request's label is the join of all sources.
    """

    origin: str
    rule: str
    label: Label
