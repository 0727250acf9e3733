"""Whether a remote deployment is worth trying, from what its calls said. Nobody is called to find out.

``ejection.py`` decides; here errors are sorted into kinds and the clock is read.
"""

from __future__ import annotations

from collections.abc import Callable

from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.upstream import (
    UpstreamBroken,
    UpstreamError,
    UpstreamStatus,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from freehold.domain.health import CallWindow, FailureKind
from freehold.domain.ports import Clock, EngineState
from freehold.engines.ejection import Ejection
from freehold.hostinfo.clock import any_share

_BUSY = (429, 529)
_CREDENTIAL = (401, 403)
_SERVER_ERRORS = 500
_SEEN_FROM_HERE = (UpstreamUnreachable, UpstreamTimeout, UpstreamBroken)
_READY = EngineState(ready=True, detail="ready")


def failure_kind(error: FreeholdError) -> FailureKind | None:
    """Whose failure an error is; ``None`` for what the request itself, or its client, is to blame for."""
    if isinstance(error, UpstreamStatus):
        status = error.values["upstream_status"]
        if status in _BUSY:
            return FailureKind.CAPACITY
        is_its_fault = not isinstance(status, int) or status >= _SERVER_ERRORS or status in _CREDENTIAL
        return FailureKind.UPSTREAM if is_its_fault else None
    if isinstance(error, UpstreamError) and not error.unread:
        return FailureKind.LOCAL if isinstance(error, _SEEN_FROM_HERE) else FailureKind.UPSTREAM
    return None


class Health:
    """The health of one server as its calls show it.

    Args:
        clock: Time.
        jitter: Random number from 0 to 1.
    """

    __slots__ = ("_clock", "_ejection")

    def __init__(self, clock: Clock, *, jitter: Callable[[], float] = any_share) -> None:
        self._clock = clock
        self._ejection = Ejection(jitter=jitter)

    def call(self) -> CallHealth:
        """A call begins; tell the result what becomes of it."""
        return CallHealth(self._clock, self._ejection)

    def state(self) -> EngineState:
        """Ready unless it is being left alone; then the detail says why and for how long."""
        standing = self._ejection.standing(self._clock.monotonic_s())
        if standing.ready:
            return _READY
        if standing.left_s:
            return EngineState(ready=False, detail=f"left alone for {standing.left_s:.0f} s: {standing.reason}")
        return EngineState(ready=False, detail=standing.reason)

    @property
    def is_ejected(self) -> bool:
        """Left alone for its failures, or on trial after them."""
        return self._ejection.is_ejected

    def swept(self) -> CallWindow:
        """What ended since the last sweep over all servers."""
        return self._ejection.swept()

    def eject(self, reason: str) -> None:
        """Leave it alone: compared with its peers it fails too often."""
        self._ejection.eject(self._clock.monotonic_s(), reason)


class CallHealth:
    """What one call says of its server. Exactly one of ``succeeded``, ``failed`` and ``abandoned`` ends it."""

    __slots__ = ("_clock", "_ejection", "_trial")

    def __init__(self, clock: Clock, ejection: Ejection) -> None:
        self._clock = clock
        self._ejection = ejection
        self._trial = ejection.began(clock.monotonic_s())

    def answering(self) -> None:
        """The first part of its answer came. Idempotent."""
        if self._trial:
            self._trial = False
            self._ejection.answering(self._clock.monotonic_s())

    def succeeded(self) -> None:
        """It was answered to its end."""
        self.answering()
        self._ejection.succeeded(self._clock.monotonic_s())

    def failed(self, error: FreeholdError) -> None:
        """It failed. What request or client are to blame for does not count, nor does being busy as ill health."""
        now_s, kind = self._clock.monotonic_s(), failure_kind(error)
        if kind is None or kind is FailureKind.CAPACITY:
            self.abandoned()
            if kind is FailureKind.CAPACITY:
                self._ejection.busy(error.retry_after_s, now_s=now_s)
            return
        trial, self._trial = self._trial, False
        self._ejection.failed(kind, now_s=now_s, code=error.code, trial=trial)

    def abandoned(self) -> None:
        """Nothing was learnt: who asked has left, or the request was to blame."""
        if self._trial:
            self._trial = False
            self._ejection.abandoned()
