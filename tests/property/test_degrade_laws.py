"""Degrading, whatever is busy: it never leaves the plan, and goes farther only where the route says so."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.decisions import Room
from freehold.domain.deployment import Instead
from freehold.domain.zones import DEVICE, LAN, WORLD, Zone, ZoneTree
from freehold.routing.degrade import Course, detour
from tests.support.routing import deployment, route

TREE = ZoneTree(site_region=Zone("eu"), regions=frozenset({Zone("eu"), Zone("us")}))
ZONES = (DEVICE, LAN, Zone("eu"), Zone("us"), WORLD)
rooms = st.builds(Room, ready=st.booleans(), free=st.booleans(), waits=st.booleans())
words = st.lists(st.sampled_from(list(Instead)), max_size=4).map(tuple)


@given(
    zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=6),
    sizes=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    places=st.lists(rooms, min_size=6, max_size=6),
    left=st.sets(st.integers(0, 5)),
    busy=words,
    down=words,
)
def test_a_detour_stays_in_the_plan(zones, sizes, places, left, busy, down):
    plan = [
        deployment(f"d{number}", zone, size_bytes=size)
        for number, (zone, size) in enumerate(zip(zones, sizes, strict=False))
    ]
    here, remaining = plan[0], [each for number, each in enumerate(plan) if number in left]
    by_name = {each.name: place for each, place in zip(plan, places, strict=False)}
    found = detour(
        route("r", when_busy=busy, when_down=down),
        here,
        remaining=remaining,
        room=lambda each: by_name[each.name],
        tree=TREE,
    )
    now = by_name[here.name]
    if now.ready and now.free:
        assert found.course is Course.STAY
        return
    said = busy if now.ready else down
    if found.course is Course.GO:
        there = found.deployment
        assert there in remaining
        assert there != here
        assert by_name[there.name].ready
        assert by_name[there.name].free
        assert found.word in said
        if Instead.OVERFLOW_FARTHER not in said:
            assert there.zone in TREE.within(here.zone) or there.zone == DEVICE
    elif found.course is Course.STAY:
        assert Instead.QUEUE in said
    else:
        assert Instead.QUEUE not in said
