"""How calls to a server fail, and how many did: what engines count and routing compares."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """Whose failure it was. Kinds are counted apart, since each has another remedy.

    ``LOCAL`` was seen from here: no connection, a reset, a deadline. ``UPSTREAM`` is what the server said itself: 5xx,
    a refused credential, an answer that breaks its protocol. ``CAPACITY`` is 429 or 529: busy, not ill.
    """

    LOCAL = "local"
    UPSTREAM = "upstream"
    CAPACITY = "capacity"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallWindow:
    """Calls that ended within one window, and those of them that failed by ``LOCAL`` or ``UPSTREAM``."""

    calls: int = 0
    failures: int = 0

    @property
    def success_rate(self) -> float:
        """Share of calls that were answered, 0 to 1; 1 where there were none."""
        return 1.0 - self.failures / self.calls if self.calls else 1.0
