"""Whether a remote deployment is worth trying, from what its last calls said. Nobody is called to find out."""

from __future__ import annotations

from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.upstream import UpstreamError, UpstreamStatus
from freehold.domain.ports import Clock, EngineState

FAILURES_MAX = 5
"""Failures in a row after which it is left alone; as Envoy's outlier detection."""

REST_S = 30.0
REST_MAX_S = 300.0
"""How long it is left alone: the first time, and at most."""

BUSY_MAX_S = 60.0
"""Longest rest on account of a 429; what it asks for may be absurd."""

_BUSY = (429, 529)


class Health:
    """Counts failures in a row. One success makes it healthy again.

    Args:
        clock: Time.
    """

    __slots__ = ("_clock", "_failures", "_reason", "_rests", "_until_s")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._rests = 0
        self._until_s = 0.0
        self._reason = ""

    def succeeded(self) -> None:
        """A call was answered."""
        self._failures = self._rests = 0
        self._until_s = 0.0

    def failed(self, error: FreeholdError) -> None:
        """A call failed. What the request itself is to blame for does not count, nor does being busy as ill health."""
        if not isinstance(error, UpstreamError):
            return
        if isinstance(error, UpstreamStatus):
            status = error.values["upstream_status"]
            if status in _BUSY:
                self._rest(min(error.retry_after_s or 0.0, BUSY_MAX_S), "busy")
                return
            if isinstance(status, int) and status < 500 and status not in (401, 403):
                return
        self._failures += 1
        if self._failures >= FAILURES_MAX:
            self._rests += 1
            self._failures = 0
            self._rest(min(REST_S * self._rests, REST_MAX_S), f"{FAILURES_MAX} failures in a row, last {error.code}")

    def state(self) -> EngineState:
        """Ready unless it is being left alone."""
        left_s = self._until_s - self._clock.monotonic_s()
        if left_s <= 0:
            return EngineState(ready=True, detail="ready")
        return EngineState(ready=False, detail=f"left alone for {left_s:.0f} s: {self._reason}")

    def _rest(self, seconds: float, reason: str) -> None:
        self._until_s = max(self._until_s, self._clock.monotonic_s() + seconds)
        self._reason = reason
