"""How many attempts share this machine right now, so that each pays for its share of machine time."""

from __future__ import annotations

_PERMILLE = 1000


class DeviceLoad:
    """Counts attempts that run on this device."""

    def __init__(self) -> None:
        self._running = 0

    def enter(self) -> None:
        """An attempt begins."""
        self._running += 1

    def leave(self) -> int:
        """An attempt ends.

        Returns:
            Its share of the machine in permille: one part of those that were running at its end, itself included.
        """
        share = _PERMILLE // max(1, self._running)
        self._running -= 1
        return share
