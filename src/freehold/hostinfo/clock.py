"""Real time and real randomness behind ``domain.ports.Clock`` and ``domain.ports.IdSource``."""

from __future__ import annotations

import os
import random
import time

from freehold.domain.ids import uuid7_head, uuid7_tail
from freehold.domain.ports import Clock

_ID_RANDOM_BYTES = 10
_IDS_AHEAD = 256


def any_share() -> float:
    """A random number from 0 to 1, for pauses that must not fall in step. No secret: a simulation may seed it."""
    return random.random()  # noqa: S311 - see above


class SystemClock:
    """The machine's clocks.

    ``monotonic_s`` is on the event loop's scale: asyncio and uvloop both read ``CLOCK_MONOTONIC``, so that a moment
    of one may be compared with a moment of the other.
    """

    def unix_ms(self) -> int:
        """Wall clock in milliseconds since 1970; may jump, so never measure a duration with it."""
        return time.time_ns() // 1_000_000

    monotonic_s = staticmethod(time.monotonic)
    """Monotonic seconds; unharmed by changes of the wall clock."""


class SystemIds:
    """UUIDv7 of the current moment and 74 bits from the system's generator."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tails: list[str] = []
        self._unix_ms = -1
        self._head = ""

    def new_id(self) -> str:
        """A fresh UUIDv7."""
        if not self._tails:
            # Made ahead: a call into the kernel for every id would cost more than the id.
            random_bytes = os.urandom(_ID_RANDOM_BYTES * _IDS_AHEAD)
            self._tails = [
                uuid7_tail(random_bytes[place : place + _ID_RANDOM_BYTES])
                for place in range(0, len(random_bytes), _ID_RANDOM_BYTES)
            ]
        unix_ms = self._clock.unix_ms()
        if unix_ms != self._unix_ms:
            self._unix_ms, self._head = unix_ms, uuid7_head(unix_ms)
        return self._head + self._tails.pop()
