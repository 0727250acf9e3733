import time
from dataclasses import replace

import pytest

from freehold.domain.errors.policy import EgressDenied
from freehold.domain.zones import DEVICE, LAN, WORLD
from freehold.net.permits import OpenGate, PermitGate
from tests.support.egress import PERMIT_KEY, RealClock, permit_for

ORIGIN = "https://api.test:443"


def gate(clock: RealClock | None = None, spent_max: int = 10) -> PermitGate:
    return PermitGate(clock=clock or RealClock(), key=PERMIT_KEY, spent_max=spent_max)


def test_a_good_permit_is_good_once() -> None:
    asked = gate()
    permit = permit_for(ORIGIN, WORLD, b"x")
    asked.spend(permit, origin=ORIGIN, zone=WORLD, body=b"x")
    with pytest.raises(EgressDenied, match="spent"):
        asked.spend(permit, origin=ORIGIN, zone=WORLD, body=b"x")


def test_a_refused_permit_is_not_spent() -> None:
    asked = gate()
    permit = permit_for(ORIGIN, WORLD, b"x")
    with pytest.raises(EgressDenied, match="another body"):
        asked.spend(permit, origin=ORIGIN, zone=WORLD, body=b"y")
    asked.spend(permit, origin=ORIGIN, zone=WORLD, body=b"x")


def test_only_this_device_goes_without() -> None:
    asked = gate()
    asked.spend(None, origin=ORIGIN, zone=DEVICE, body=b"x")
    for zone in (LAN, WORLD):
        with pytest.raises(EgressDenied, match="no permit"):
            asked.spend(None, origin=ORIGIN, zone=zone, body=b"x")


def test_a_permit_ends_at_its_moment() -> None:
    clock = RealClock()
    permit = replace(permit_for(ORIGIN, WORLD, b"x", lives_s=60.0))
    clock.ahead_s = permit.expires_monotonic_s - time.monotonic()
    with pytest.raises(EgressDenied, match="expired"):
        gate(clock).spend(permit, origin=ORIGIN, zone=WORLD, body=b"x")


def test_what_is_remembered_is_bounded_by_time() -> None:
    clock = RealClock()
    asked = gate(clock, spent_max=3)
    for turn in range(50):
        clock.ahead_s = turn * 30.0
        permit = permit_for(ORIGIN, WORLD, b"x", permit_id=f"p{turn}", lives_s=turn * 30.0 + 60.0)
        asked.spend(permit, origin=ORIGIN, zone=WORLD, body=b"x")


def test_the_users_own_server_needs_none() -> None:
    OpenGate().spend(None, origin=ORIGIN, zone=WORLD, body=b"x")
