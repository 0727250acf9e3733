"""Nobody gets what is not theirs, however they ask; the long run is ``python -m tests.fuzz_access --seconds N``."""

from __future__ import annotations

from collections.abc import Generator
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz_access import both_lanes, fuzz
from tests.support.hostile import World, attack
from tests.support.inside import inside


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generator[World]:
    with inside(tmp_path_factory.mktemp("inside")) as gateway:
        yield World.make(gateway)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(chance=st.randoms(use_true_random=False))
def test_nobody_gets_what_is_not_theirs(world: World, chance: Random) -> None:
    sent = attack(chance, world)
    assert not both_lanes(sent, world), sent


def test_a_seeded_run_passes_and_reaches_what_may_be_reached(world: World) -> None:
    """The attacks are no mere noise: many are let through, where the oracle allows it, on many routes."""
    found = fuzz(world, seed=68, attacks=1_500)
    assert found.faults == []
    assert found.passed > 80
    assert len(found.routes_passed) > 12
    assert {401, 403, 404, 405, 400, 421, 200} <= set(found.statuses)


def test_the_fuzzer_finds_a_hole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Controls: a view that forgets the tenant, and a gateway that takes the first of two keys, are found."""
    with monkeypatch.context() as patch:
        patch.setattr("freehold.api.key_views.reached_tenant", lambda _principal, _access: None)
        assert fuzz(world, seed=1, attacks=1_500).faults
    with monkeypatch.context() as patch:
        patch.setattr("freehold.api.server.authorise", lambda _principal, _access: None)
        assert fuzz(world, seed=2, attacks=1_500).faults
