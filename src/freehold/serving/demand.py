"""How likely it is that something is asked for soon, going by when it was asked for before. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

_GAPS_MAX: Final = 64
"""Times between two requests that are remembered: enough to tell bursts from a steady stream, few enough to follow."""

_TAIL: Final = 3.0
"""How much faster hope fades than in a gap that lasts as long again as it has."""


class Demand:
    """The times between requests, and what they say of the next one.

    What counts is how long nobody has asked already: of the gaps that lasted at least as long, the share that ended
    within the time that is asked about. A burst that is over makes its model unlikely at once, however many requests it
    had, and a steady stream stays likely.
    Where none lasted so long, hope fades with the time.
    """

    __slots__ = ("_gaps_s", "_last_s")

    def __init__(self) -> None:
        self._gaps_s: deque[float] = deque(maxlen=_GAPS_MAX)
        self._last_s: float | None = None

    def came(self, *, now_s: float) -> None:
        """Somebody asked for it."""
        if self._last_s is not None:
            self._gaps_s.append(max(0.0, now_s - self._last_s))
        self._last_s = now_s

    def within(self, horizon_s: float, *, now_s: float) -> float:
        """The chance that somebody asks for it in that time, 0 to 1; 0 where nobody ever did."""
        if self._last_s is None or horizon_s <= 0:
            return 0.0
        idle_s = max(0.0, now_s - self._last_s)
        lasting = [gap for gap in self._gaps_s if gap > idle_s]
        ending = sum(1 for gap in lasting if gap <= idle_s + horizon_s)
        return (ending + horizon_s / (horizon_s + _TAIL * idle_s)) / (len(lasting) + 1)
