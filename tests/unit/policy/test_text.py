"""Labels as text: what is read, what is refused, and with which words."""

from __future__ import annotations

import pytest

from freehold.domain.errors.policy import LabelUnreadable
from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE, LAN, WORLD
from freehold.policy.text import DEFAULT_ZONES, format_label, parse_label
from tests.support.labels import EU, TREE, US, label


@pytest.mark.parametrize(
    ("level", "zones"),
    [
        ("public", TREE.zones),
        ("internal", TREE.zones),
        ("confidential", {DEVICE, LAN}),
        ("restricted", {DEVICE}),
    ],
)
def test_a_level_alone_has_its_documented_zones(level: str, zones: frozenset[str]) -> None:
    assert parse_label(level, TREE) == Label(level=Level[level.upper()], zones=frozenset(zones))


def test_every_level_has_default_zones() -> None:
    assert set(DEFAULT_ZONES) == set(Level)


def test_all_members_are_read() -> None:
    text = "Confidential ; zones = lan , eu; kinds=PII,phi;readers=Ann,team:legal;trusted=no"
    assert parse_label(text, TREE) == Label(
        level=Level.CONFIDENTIAL,
        kinds=frozenset({"pii", "phi"}),
        zones=frozenset({DEVICE, LAN, EU}),
        readers=frozenset({"Ann", "team:legal"}),
        trusted=False,
    )


def test_another_region_beside_the_device_is_read() -> None:
    assert parse_label("internal;zones=us,device", TREE).zones == {US, DEVICE}


def test_nobody_is_a_set_of_no_readers() -> None:
    assert parse_label("internal;readers=nobody", TREE).readers == frozenset()


def test_own_kinds_are_taken() -> None:
    assert parse_label("internal;kinds=project-x", TREE).kinds == {"project-x"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no level"),
        ("confidental", "did you mean 'confidential'?"),
        ("zones=lan", "is not a level"),
        ("2", "'2' is not a level"),
        ("internal;zones=mars", "'mars' is not one of this site's zones"),
        ("internal;zones=wrld", "did you mean 'world'?"),
        ("internal;zones=", "needs values"),
        ("internal;zones=lan,,eu", "needs values"),
        ("internal;zones", "needs values"),
        ("internal;zone=lan", "did you mean 'zones'?"),
        ("internal;zones=lan;zones=eu", "given twice"),
        ("internal;", "'' is not one of"),
        ("internal;zones=us", "add 'device'"),
        ("internal;kinds=secrets", "did you mean 'secret'?"),
        ("internal;kinds=secert", "did you mean 'secret'?"),
        ("internal;kinds=a b", "lower-case letters"),
        ("internal;readers=nobody,ann", "cannot be a reader"),
        ("internal;readers=a\x1b[2J", "cannot be a reader"),
        ("internal;trusted=maybe", "yes or no"),
        ("internal;trusted=", "needs values"),
        ("x" * 2000, "at most 1024"),
        ("{}", "is not a level"),
    ],
)
def test_what_cannot_be_read_is_refused_with_advice(text: str, says: str) -> None:
    with pytest.raises(LabelUnreadable) as caught:
        parse_label(text, TREE, param="freehold-label")
    assert says in str(caught.value.values["reason"])
    assert caught.value.param == "freehold-label"
    assert caught.value.http_status == 400
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (label(), "public;zones=world"),
        (label(Level.CONFIDENTIAL, LAN), "confidential;zones=lan"),
        (label(Level.RESTRICTED, DEVICE, kinds=frozenset({"phi", "pii"})), "restricted;zones=device;kinds=phi,pii"),
        (label(Level.INTERNAL, US, DEVICE, readers=frozenset()), "internal;zones=device,us;readers=nobody"),
        (label(Level.INTERNAL, EU, readers=frozenset({"b", "a"})), "internal;zones=eu,lan;readers=a,b"),
        (label(Level.INTERNAL, WORLD, trusted=False), "internal;zones=world;trusted=no"),
    ],
)
def test_a_label_is_one_line(given: Label, line: str) -> None:
    assert format_label(given) == line
    assert parse_label(line, TREE) == given
