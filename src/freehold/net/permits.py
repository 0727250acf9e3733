"""The gate: what may be sent beyond this device, checked on the exact bytes."""

from __future__ import annotations

import hashlib
import heapq
import hmac
from typing import Protocol

from freehold.domain.egress import EgressPermit, seal_permit
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.ports import Clock
from freehold.domain.zones import DEVICE, Zone


class Gate(Protocol):
    """Asked before anything is sent."""

    def spend(self, permit: EgressPermit | None, *, origin: str, zone: Zone, body: bytes) -> None:
        """Let ``body`` go to ``origin``, once.

        Raises:
            EgressDenied: It may not.
        """
        ...


class PermitGate:
    """Lets only out what has a permit. One gate for all clients of a broker, so that a permit is spent once for all.

    Args:
        clock: Tells whether a permit has expired.
        key: Seals permits; only journal and broker hold it.
        spent_max: Spent permits remembered at once. When it is full of permits that have not expired, nothing goes
            out any more: forgetting one would allow a replay.
    """

    def __init__(self, *, clock: Clock, key: bytes, spent_max: int) -> None:
        self._clock = clock
        self._key = key
        self._spent_max = spent_max
        self._spent: set[str] = set()
        self._by_expiry: list[tuple[float, str]] = []

    def spend(self, permit: EgressPermit | None, *, origin: str, zone: Zone, body: bytes) -> None:
        """Let ``body`` go to ``origin``, once. What stays on this device needs no permit.

        Raises:
            EgressDenied: There is no permit, or it is forged, spent, void, or for something else.
        """
        if zone == DEVICE:
            return
        reason = "there is no permit" if permit is None else self._fault(permit, origin, zone, body)
        if permit is None or reason:
            raise EgressDenied(origin=origin, reason=reason)
        self._spent.add(permit.id)
        heapq.heappush(self._by_expiry, (permit.expires_monotonic_s, permit.id))

    def _fault(self, permit: EgressPermit, origin: str, zone: Zone, body: bytes) -> str:
        """Why ``permit`` does not allow this; empty if it does."""
        # The seal first: nothing in a forged permit is worth reading.
        if not hmac.compare_digest(permit.seal, seal_permit(self._key, permit)):
            return "the permit's seal is wrong"
        if permit.origin != origin:
            return f"the permit is for {permit.origin}"
        if permit.zone != zone:
            return f"the permit is for zone {permit.zone!r}, not {zone!r}"
        if not hmac.compare_digest(permit.body_sha256, hashlib.sha256(body).digest()):
            return "the permit is for another body"
        now = self._clock.monotonic_s()
        if now >= permit.expires_monotonic_s:
            return "the permit has expired"
        self._forget_expired(now)
        if permit.id in self._spent:
            return "the permit is spent"
        if len(self._spent) >= self._spent_max:
            return f"more than {self._spent_max} permits were spent and none has expired"
        return ""

    def _forget_expired(self, now: float) -> None:
        while self._by_expiry and self._by_expiry[0][0] <= now:
            self._spent.discard(heapq.heappop(self._by_expiry)[1])


class OpenGate:
    """Lets everything out: for the user's own command line talking to the server whose address they typed."""

    def spend(self, permit: EgressPermit | None, *, origin: str, zone: Zone, body: bytes) -> None:
        """Let it go."""
