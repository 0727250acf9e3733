"""Real time and real randomness behind ``domain.ports.Clock`` and ``domain.ports.IdSource``."""

from __future__ import annotations

import os
import random
import time

from freehold.domain.ids import uuid7
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
        self._random = b""
        self._place = 0

    def new_id(self) -> str:
        """A fresh UUIDv7."""
        if self._place >= len(self._random):
            # Fetched ahead: a call into the kernel for every id would cost more than the id.
            self._random = os.urandom(_ID_RANDOM_BYTES * _IDS_AHEAD)
            self._place = 0
        random_bytes = self._random[self._place : self._place + _ID_RANDOM_BYTES]
        self._place += _ID_RANDOM_BYTES
        return uuid7(unix_ms=self._clock.unix_ms(), random=random_bytes)
