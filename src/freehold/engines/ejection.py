"""When a server is left alone, and how it comes back. A state machine without clock, lock or I/O.

Left alone means: tried last among its neighbours. It is never given up, since for some label it may be the only place.

    healthy ── failures ──▶ resting ── time ──▶ on trial ── a call began to be answered ──▶ healthy
                               ▲                    │
                               └──── it failed ─────┘
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from freehold.domain.health import CallWindow, FailureKind

FAILURES_MAX: Final = 5
"""Failures of one kind in a row."""

WINDOW_S: Final = 10.0
SHARE_CALLS_MIN: Final = 50
SHARE_MAX: Final = 0.85
"""Share of the calls of a window that fail, once there are enough of them to say so."""

REST_S: Final = 30.0
REST_MAX_S: Final = 300.0
"""A rest is ``REST_S`` times the number of rests lately, at most ``REST_MAX_S``. These numbers are Envoy's defaults."""

BUSY_DEFAULT_S: Final = 1.0
BUSY_MAX_S: Final = 60.0
_BUSY_JITTER: Final = 0.25
"""Rest after 429: what the server asked for, which may be absurd, and up to a quarter longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether a server is worth a call now, and if not, why and for how long."""

    ready: bool
    left_s: float = 0.0
    reason: str = ""


_HEALTHY: Final = Standing(ready=True)


class Ejection:
    """What the calls to one server say of its health. Every method takes the moment.

    Args:
        jitter: Random number from 0 to 1.
    """

    __slots__ = (
        "_busy_until_s",
        "_calls",
        "_ejected",
        "_failures",
        "_forgiving",
        "_healthy_since_s",
        "_in_row",
        "_jitter",
        "_reason",
        "_rest_until_s",
        "_rests",
        "_swept_calls",
        "_swept_failures",
        "_trials",
        "_window_s",
    )

    def __init__(self, *, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._in_row = {FailureKind.LOCAL: 0, FailureKind.UPSTREAM: 0}
        self._window_s = self._healthy_since_s = self._rest_until_s = self._busy_until_s = 0.0
        self._calls = self._failures = self._swept_calls = self._swept_failures = 0
        self._rests = self._trials = 0
        self._ejected = self._forgiving = False
        self._reason = ""

    def standing(self, now_s: float) -> Standing:
        """Whether it is worth a call. While a trial is unanswered it is not: one call is enough to find out."""
        if now_s < self._rest_until_s:
            return Standing(ready=False, left_s=self._rest_until_s - now_s, reason=self._reason)
        if self._trials and self._ejected:
            return Standing(ready=False, reason=f"on trial after {self._reason}")
        if now_s < self._busy_until_s:
            return Standing(ready=False, left_s=self._busy_until_s - now_s, reason="busy")
        return _HEALTHY

    @property
    def is_ejected(self) -> bool:
        """Resting or on trial; being busy is neither."""
        return self._ejected

    def began(self, now_s: float) -> bool:
        """A call begins.

        Returns:
            Whether it is a trial; then exactly one of ``answering``, ``failed`` and ``abandoned`` must be told so.
        """
        if not self._ejected or now_s < self._rest_until_s:
            return False
        self._trials += 1
        return True

    def answering(self, now_s: float) -> None:
        """A trial began to be answered: others may come too, and the next failure is believed at once."""
        self._trials -= 1
        self._recover(now_s)
        for kind in self._in_row:
            self._in_row[kind] = FAILURES_MAX - 1

    def abandoned(self) -> None:
        """A trial was given up by who asked: nothing was learnt."""
        self._trials -= 1

    def succeeded(self, now_s: float) -> None:
        """A call was answered to its end. It ends a rest after failures in a row, not one for failing too often."""
        self._count(now_s, failed=0)
        if self._ejected and self._forgiving:
            self._recover(now_s)
        for kind in self._in_row:
            self._in_row[kind] = 0

    def failed(self, kind: FailureKind, *, now_s: float, code: str, trial: bool = False) -> None:
        """A call failed, and the request was not to blame.

        Args:
            kind: ``LOCAL`` or ``UPSTREAM``; for ``CAPACITY`` there is ``busy``.
            now_s: The moment.
            code: Code of the error, for the reason.
            trial: What ``began`` said.
        """
        self._trials -= trial
        self._count(now_s, failed=1)
        self._in_row[kind] += 1
        if kind is FailureKind.UPSTREAM:
            self._in_row[FailureKind.LOCAL] = 0  # it answered, so it can be reached
        if now_s < self._rest_until_s:
            return
        if trial or self._in_row[kind] >= FAILURES_MAX:
            self.eject(now_s, f"{FAILURES_MAX} failures in a row, last {code}", forgiving=True)
        elif self._calls >= SHARE_CALLS_MIN and self._failures >= SHARE_MAX * self._calls:
            self.eject(now_s, f"{self._failures} of its last {self._calls} calls failed, last {code}")

    def busy(self, asked_s: float | None, *, now_s: float) -> None:
        """It is busy, and says for how long or not; capacity, not ill health."""
        asked_s = BUSY_DEFAULT_S if asked_s is None else max(0.0, asked_s)
        rest_s = min(asked_s * (1 + _BUSY_JITTER * self._jitter()), BUSY_MAX_S)
        self._busy_until_s = max(self._busy_until_s, now_s + rest_s)

    def eject(self, now_s: float, reason: str, *, forgiving: bool = False) -> None:
        """Leave it alone for a while, longer each time; healthy windows between make the next rest shorter.

        Args:
            now_s: The moment.
            reason: Why, for people.
            forgiving: Whether an answer to a call that was sent all the same ends the rest.
        """
        if not self._ejected:
            self._rests = max(0, self._rests - int((now_s - self._healthy_since_s) // WINDOW_S))
        self._rests += 1
        self._ejected, self._forgiving, self._reason = True, forgiving, reason
        self._rest_until_s = now_s + min(REST_S * self._rests, REST_MAX_S)
        self._calls = self._failures = 0

    def swept(self) -> CallWindow:
        """What ended since the last sweep, which is over with this."""
        window = CallWindow(calls=self._swept_calls, failures=self._swept_failures)
        self._swept_calls = self._swept_failures = 0
        return window

    def _recover(self, now_s: float) -> None:
        if self._ejected:
            self._ejected = False
            self._rest_until_s = 0.0
            self._healthy_since_s = now_s

    def _count(self, now_s: float, *, failed: int) -> None:
        if now_s - self._window_s >= WINDOW_S:
            self._window_s, self._calls, self._failures = now_s, 0, 0
        self._calls += 1
        self._failures += failed
        self._swept_calls += 1
        self._swept_failures += failed
