"""Single steps of the order of labels; the laws are in tests/property/test_label_laws.py."""

from __future__ import annotations

from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE, LAN, WORLD
from freehold.policy.lattice import bottom, join, join_all, leq
from tests.support.labels import EU, TREE, US, label


def test_join_takes_the_stricter_of_every_component() -> None:
    left = label(Level.INTERNAL, EU, kinds=frozenset({"pii"}), readers=frozenset({"ann", "bob"}))
    right = label(Level.CONFIDENTIAL, LAN, kinds=frozenset({"phi"}), readers=frozenset({"bob", "eve"}), trusted=False)
    assert join(left, right) == Label(
        level=Level.CONFIDENTIAL,
        kinds=frozenset({"pii", "phi"}),
        zones=frozenset({DEVICE, LAN}),
        readers=frozenset({"bob"}),
        trusted=False,
    )


def test_readers_of_everybody_and_of_some_are_those_some() -> None:
    some = label(readers=frozenset({"ann"}))
    assert join(label(), some).readers == join(some, label()).readers == {"ann"}
    assert join(label(), label()).readers is None


def test_lan_and_the_sites_region_meet_in_lan_not_in_nothing() -> None:
    assert join(label(Level.PUBLIC, LAN), label(Level.PUBLIC, EU)).zones == {DEVICE, LAN}


def test_another_region_does_not_contain_this_lan() -> None:
    assert TREE.closure([US]) == {US}
    assert join(label(Level.PUBLIC, LAN), label(Level.PUBLIC, US)).zones == frozenset()
    assert join(label(Level.PUBLIC, EU), label(Level.PUBLIC, US)).zones == frozenset()


def test_an_unknown_zone_contains_nothing() -> None:
    assert label(Level.PUBLIC, WORLD).zones == TREE.zones
    assert TREE.closure(["atlantis"]) == frozenset()


def test_join_of_nothing_is_bottom() -> None:
    assert join_all([], tree=TREE) == bottom(TREE) == label()


def test_leq_sees_each_component() -> None:
    low = label(Level.INTERNAL, EU, kinds=frozenset({"pii"}), readers=frozenset({"ann", "bob"}))
    stricter = [
        label(Level.CONFIDENTIAL, EU, kinds=low.kinds, readers=low.readers),
        label(Level.INTERNAL, EU, kinds=low.kinds | {"phi"}, readers=low.readers),
        label(Level.INTERNAL, LAN, kinds=low.kinds, readers=low.readers),
        label(Level.INTERNAL, EU, kinds=low.kinds, readers=frozenset({"ann"})),
        label(Level.INTERNAL, EU, kinds=low.kinds, readers=low.readers, trusted=False),
    ]
    for high in stricter:
        assert leq(low, high)
        assert not leq(high, low)
