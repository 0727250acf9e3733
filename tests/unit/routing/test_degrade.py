"""What the route's words do with a request whose deployment has no room."""

from __future__ import annotations

import pytest

from freehold.domain.decisions import Room
from freehold.domain.deployment import Instead
from freehold.domain.zones import LAN, WORLD, Zone, ZoneTree
from freehold.routing.degrade import Course, detour
from tests.support.routing import deployment, route

TREE = ZoneTree(site_region=Zone("eu"), regions=frozenset({Zone("eu"), Zone("us")}))
BIG = deployment("big", size_bytes=8_000)
SMALL = deployment("small", size_bytes=500)
TWIN = deployment("twin", size_bytes=9_000)
BOX = deployment("box", LAN)
CLOUD = deployment("cloud", WORLD)

FREE = Room(ready=True, free=True, waits=False)
BUSY = Room(ready=True, free=False, waits=True)
FULL = Room(ready=True, free=False, waits=False)
DOWN = Room(ready=False, free=True, waits=True)
Q, S, N, F = Instead.QUEUE, Instead.SMALLER, Instead.OVERFLOW, Instead.OVERFLOW_FARTHER


def way(here, *remaining, busy=(Q,), down=(Q,), **rooms):
    found = detour(
        route("r", when_busy=busy, when_down=down),
        here,
        remaining=remaining,
        room=lambda each: rooms.get(each.name, FREE),
        tree=TREE,
    )
    return found.course, found.deployment.name if found.deployment else None, found.word


def test_room_is_used():
    assert way(BIG, SMALL, busy=(S,)) == (Course.STAY, None, None)


def test_by_default_nobody_is_moved():
    assert way(BIG, SMALL, CLOUD, big=BUSY) == (Course.STAY, None, Q)
    assert way(BIG, SMALL, CLOUD, big=DOWN) == (Course.STAY, None, Q)
    assert way(BIG, SMALL, CLOUD, big=FULL) == (Course.STAY, None, None), "its queue refuses, with its numbers"


@pytest.mark.parametrize(
    ("words", "rooms", "course", "there", "word"),
    [
        ((S, Q), {"big": BUSY}, Course.GO, "small", S),
        ((S, Q), {"big": BUSY, "small": BUSY}, Course.STAY, None, Q),
        ((S, Q), {"big": BUSY, "small": DOWN}, Course.STAY, None, Q),
        ((S,), {"big": BUSY, "small": BUSY}, Course.REFUSE, None, None),
        ((Q, S), {"big": BUSY}, Course.STAY, None, Q),
        ((Q, S), {"big": FULL}, Course.GO, "small", S),
        ((N,), {"big": BUSY}, Course.GO, "twin", N),
        ((N,), {"big": BUSY, "twin": BUSY, "small": FULL}, Course.REFUSE, None, None),
        ((N, F), {"big": BUSY, "twin": BUSY, "small": FULL}, Course.GO, "box", F),
        ((F,), {"big": BUSY, "twin": BUSY, "small": FULL, "box": DOWN}, Course.GO, "cloud", F),
        ((N, Q), {"big": FULL, "twin": BUSY, "small": FULL}, Course.STAY, None, None),
        ((F, Q), {"big": BUSY, "twin": BUSY, "small": FULL, "box": DOWN, "cloud": BUSY}, Course.STAY, None, Q),
    ],
)
def test_words_are_read_in_order(words, rooms, course, there, word):
    assert way(BIG, TWIN, SMALL, BOX, CLOUD, busy=words, **rooms) == (course, there, word)


def test_down_has_words_of_its_own():
    assert way(BIG, SMALL, busy=(Q,), down=(S, Q), big=DOWN) == (Course.GO, "small", S)
    assert way(BIG, SMALL, busy=(S,), down=(Q,), big=DOWN) == (Course.STAY, None, Q)
    assert way(BIG, down=(S,), big=DOWN) == (Course.REFUSE, None, None)


def test_nearer_is_never_farther():
    assert way(BOX, CLOUD, SMALL, busy=(N,), box=BUSY) == (Course.GO, "small", N)
    assert way(deployment("eu", Zone("eu")), deployment("us", Zone("us")), busy=(N,), eu=BUSY)[0] is Course.REFUSE
    assert way(CLOUD, BOX, busy=(N,), cloud=BUSY) == (Course.GO, "box", N)


def test_smaller_is_on_this_device_and_not_known_to_be_larger():
    assert way(BIG, TWIN, BOX, busy=(S,), big=BUSY)[0] is Course.REFUSE
    assert way(CLOUD, BIG, busy=(S,), cloud=BUSY) == (Course.GO, "big", S)
