"""A broker with a clock of its own, and permits as the egress journal would make them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from freehold.domain.egress import EgressPermit, seal_permit
from freehold.domain.zones import Zone
from freehold.net.addresses import Endpoint, Resolver, system_resolver
from freehold.net.broker import Broker
from freehold.net.limits import HttpLimits

PERMIT_KEY = b"k" * 32


class RealClock:
    """The process's clock, with a switch to move it on."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def unix_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic() + self.ahead_s


def permit_for(
    origin: str, zone: Zone, body: bytes = b"", *, permit_id: str = "p1", lives_s: float = 60.0, key: bytes = PERMIT_KEY
) -> EgressPermit:
    bare = EgressPermit(
        id=permit_id,
        audit_index=7,
        origin=origin,
        zone=zone,
        body_sha256=hashlib.sha256(body).digest(),
        expires_monotonic_s=time.monotonic() + lives_s,
        seal=b"",
    )
    return replace(bare, seal=seal_permit(key, bare))


def names(table: dict[str, list[str]]) -> Resolver:
    """A resolver that knows only ``table`` and counts nothing."""

    def resolve(host: str, port: int, /) -> Sequence[Endpoint]:
        return tuple(Endpoint.of(address, port) for address in table[host])

    return resolve


@asynccontextmanager
async def broker(
    limits: HttpLimits | None = None, *, resolver: Resolver = system_resolver, clock: RealClock | None = None
) -> AsyncIterator[Broker]:
    made = Broker(clock=clock or RealClock(), permit_key=PERMIT_KEY, limits=limits or HttpLimits(), resolver=resolver)
    try:
        yield made
    finally:
        await made.close()


def soon(seconds: float = 10.0) -> float:
    """A deadline on the clock's scale."""
    return time.monotonic() + seconds
