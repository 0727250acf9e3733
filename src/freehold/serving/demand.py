"""How likely it is that something is asked for soon, going by when it was asked for before. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

_GAPS_MAX: Final = 64
"""Times between two requests that are remembered: enough to tell bursts from a steady stream, few enough to follow."""

_COMPANY_FIRST: Final = (0.1, 10.0)
"""What is assumed before anybody waited: so many requests in so many seconds of waiting. Nearly alone."""

_COMPANY_HALF_S: Final = 300.0
"""After so long what was seen counts half: a busy morning says little of the evening."""

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


class Company:
    """How many requests come while somebody waits for memory.

    Patience is for others: who waits lets those go on that come meanwhile. Whoever uses two models in turn and waits for
    each answer is alone, however likely it is that the model which leaves for him is needed soon; it is he who needs it,
    and not before he is answered.
    """

    __slots__ = ("_came", "_now_s", "_somebody_waits", "_waited_s")

    def __init__(self) -> None:
        self._came = 0.0
        self._waited_s = 0.0
        self._now_s = 0.0
        self._somebody_waits = False

    def came(self) -> None:
        """Somebody asks for any model."""
        if self._somebody_waits:
            self._came += 1.0

    def seen(self, *, now_s: float, somebody_waits: bool) -> None:
        """From now on somebody waits for memory, or nobody does."""
        self._came, self._waited_s = self._until(now_s)
        self._now_s, self._somebody_waits = now_s, somebody_waits

    def per_s(self, *, now_s: float) -> float:
        """Requests a second of waiting, as it is expected to go on."""
        came, waited_s = self._until(now_s)
        return (came + _COMPANY_FIRST[0]) / (waited_s + _COMPANY_FIRST[1])

    def _until(self, now_s: float) -> tuple[float, float]:
        passed_s = max(0.0, now_s - self._now_s)
        kept = 0.5 ** (passed_s / _COMPANY_HALF_S)
        return self._came * kept, self._waited_s * kept + (passed_s if self._somebody_waits else 0.0)
