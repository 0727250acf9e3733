"""Deadlines without a timer per event: ``Watchdog`` for a connection's life, ``Expiry`` for its set-up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self, cast

# Timers of uvloop count whole milliseconds and may fire up to one early; what is due within that is due.
TIMER_SLACK_S = 0.002


class Watchdog:
    """One timer for all deadlines of one object, re-armed lazily.

    Whoever moves a deadline later does nothing: the timer fires at the old moment, looks, and goes on sleeping until
    the new one. So a connection that serves a request every millisecond touches its timer once in some seconds.

    Args:
        loop: The running loop.
        look: Called when the timer fires. Acts on what is due and returns the next moment (loop time) to look at,
            or ``None`` for none.
    """

    __slots__ = ("_at_s", "_handle", "_look", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, look: Callable[[], float | None]) -> None:
        self._loop = loop
        self._look: Callable[[], float | None] | None = look
        self._handle: asyncio.TimerHandle | None = None
        self._at_s = 0.0

    def no_later_than(self, when_s: float) -> None:
        """Make sure that it looks at ``when_s`` or before, unless it was stopped."""
        if self._handle is not None:
            if self._at_s <= when_s:
                return
            self._handle.cancel()
        elif self._look is None:
            return
        self._at_s = when_s
        self._handle = self._loop.call_at(when_s, self._fire)

    def stop(self) -> None:
        """Never look again. Idempotent.

        Lets go of whom it watches, who holds it: so both go without the garbage collector, which seldom looks.
        """
        self._look = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        if self._look is None:
            return
        when_s = self._look()
        if when_s is not None:
            self.no_later_than(when_s)


class Expiry:
    """Ends what the current task awaits inside a ``with`` block when a moment comes.

    Args:
        loop: The running loop.
        when_s: The moment, in loop time.

    Raises:
        TimeoutError: The moment came; ``fired`` tells it from an operating system's time-out.
    """

    __slots__ = ("_cancelling", "_handle", "_loop", "_task", "_when_s", "fired")

    def __init__(self, loop: asyncio.AbstractEventLoop, when_s: float) -> None:
        self._loop = loop
        self._when_s = when_s
        self.fired = False

    def __enter__(self) -> Self:
        # Used inside coroutines only, so there is a task.
        self._task = cast("asyncio.Task[object]", asyncio.current_task())
        self._cancelling = self._task.cancelling()
        self._handle = self._loop.call_at(self._when_s, self._fire)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._handle.cancel()
        # Someone else may have cancelled the task as well: then it stays cancelled.
        if self.fired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _fire(self) -> None:
        self.fired = True
        self._task.cancel()
