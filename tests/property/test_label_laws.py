"""Labels are a bounded join-semilattice on every site, and one line of text holds all of a label."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.labels import Label
from freehold.domain.zones import DEVICE, ZoneTree
from freehold.policy.lattice import bottom, join, join_all, leq
from freehold.policy.text import format_label, parse_label
from tests.support.labels import labels, raises, trees


@st.composite
def several(draw: st.DrawFn, count: int) -> tuple[ZoneTree, list[Label]]:
    tree = draw(trees)
    return tree, [draw(labels(tree)) for _ in range(count)]


@given(several(3))
def test_join_is_associative_commutative_and_idempotent(given: tuple[ZoneTree, list[Label]]) -> None:
    tree, (a, b, c) = given
    assert join(a, join(b, c)) == join(join(a, b), c) == join_all([c, a, b], tree=tree)
    assert join(a, b) == join(b, a)
    assert join(a, a) == a


@given(several(1))
def test_bottom_is_neutral_and_below_everything(given: tuple[ZoneTree, list[Label]]) -> None:
    tree, (a,) = given
    assert join(a, bottom(tree)) == a
    assert leq(bottom(tree), a)


@given(several(2))
def test_join_lowers_no_component(given: tuple[ZoneTree, list[Label]]) -> None:
    _, (a, b) = given
    joined = join(a, b)
    for part in (a, b):
        assert joined.level >= part.level
        assert joined.kinds >= part.kinds
        assert joined.zones <= part.zones
        assert part.readers is None or (joined.readers is not None and joined.readers <= part.readers)
        assert part.trusted or not joined.trusted


@given(several(3))
def test_join_is_the_least_upper_bound_and_monotone(given: tuple[ZoneTree, list[Label]]) -> None:
    _, (a, b, c) = given
    assert leq(a, join(a, b))
    assert not (leq(a, c) and leq(b, c)) or leq(join(a, b), c)
    assert leq(join(a, c), join(join(a, b), c))


@given(several(3))
def test_leq_is_a_partial_order(given: tuple[ZoneTree, list[Label]]) -> None:
    _, (a, b, c) = given
    assert leq(a, a)
    assert not (leq(a, b) and leq(b, a)) or a == b
    assert not (leq(a, b) and leq(b, c)) or leq(a, c)
    assert leq(a, join(a, b))
    assert leq(join(a, b), join(join(a, b), c))


@given(several(1))
def test_each_single_raise_is_strictly_above(given: tuple[ZoneTree, list[Label]]) -> None:
    _, (a,) = given
    for higher in raises(a):
        assert leq(a, higher)
        assert not leq(higher, a)


@given(several(2))
def test_zones_stay_closed_downwards_under_join(given: tuple[ZoneTree, list[Label]]) -> None:
    tree, (a, b) = given
    zones = join(a, b).zones
    assert tree.closure(zones) == zones


@given(several(2))
def test_one_line_holds_the_whole_label(given: tuple[ZoneTree, list[Label]]) -> None:
    tree, (a, b) = given
    for each in (a, join(a, b)):
        if DEVICE in each.zones:
            line = format_label(each)
            assert parse_label(line, tree) == each
            assert format_label(parse_label(line, tree)) == line
            assert "\n" not in line
