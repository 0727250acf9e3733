"""Raising a label never opens a way: for every rule, every label, every deployment."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.deployment import Deployment, Terms
from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE, LAN, WORLD, Zone
from freehold.policy import decide as decide_module
from freehold.policy.decide import decide
from freehold.policy.lattice import join
from freehold.policy.rules import RULES, Facts, Rule
from tests.support.labels import CLOUD, EU, KINDS, ON_DEVICE, TREE, US, cloud, deployments, labels, raises

NOW = 1_500


def allows(label: Label, deployment: Deployment, *, audit_ready: bool = True) -> bool:
    return decide(label, deployment, tree=TREE, unix_ms=NOW, audit_ready=audit_ready).allowed


PLACES = [
    ON_DEVICE,
    replace(ON_DEVICE, terms=Terms()),
    cloud(LAN, contracts=frozenset()),
    cloud(EU, clearance=Level.INTERNAL, kinds=frozenset({"pii", "phi"}), expires_unix_ms=NOW),
    cloud(US, clearance=Level.CONFIDENTIAL, kinds=frozenset({"pii", "other"}), retention_days=31, trains=True),
    cloud(WORLD),
    replace(CLOUD, terms=Terms()),
    cloud(Zone("atlantis")),
]


def violations() -> list[tuple[Label, Label, str]]:
    """Every one-step raise, of all labels there are, that turns a denial into an allowance."""
    kinds = [frozenset(some) for n in range(len(KINDS) + 1) for some in itertools.combinations(KINDS, n)]
    zones = [frozenset(some) for n in range(6) for some in itertools.combinations(sorted(TREE.zones), n)]
    space = [
        Label(level=level, kinds=some_kinds, zones=some_zones, readers=readers)
        for level in Level
        for some_kinds in kinds
        for some_zones in zones
        for readers in (None, frozenset())
    ]
    found: list[tuple[Label, Label, str]] = []
    for place in PLACES:
        allowed = {label for label in space if allows(label, place)}
        for label in space:
            if label not in allowed:
                found += [(label, higher, place.name) for higher in raises(label) if higher in allowed]
    return found


def test_no_single_raise_of_any_label_opens_a_way() -> None:
    assert violations() == []


def test_the_search_finds_a_rule_that_opens_a_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that cannot fail proves nothing: a rule that forbids what is *not* personal data must be caught."""
    opening = Rule(id="opening", forbids=lambda f: "pii" not in f.label.kinds, denied=lambda _: "no", allowed="yes")
    monkeypatch.setattr(decide_module, "RULES", (*RULES, opening))
    assert violations()


@given(labels(TREE), labels(TREE), deployments, st.booleans())
def test_a_join_goes_only_where_both_may_go(a: Label, b: Label, place: Deployment, audit_ready: bool) -> None:
    if allows(join(a, b), place, audit_ready=audit_ready):
        assert allows(a, place, audit_ready=audit_ready)
        assert allows(b, place, audit_ready=audit_ready)


@given(labels(TREE), deployments)
def test_each_rule_alone_is_monotone(label: Label, place: Deployment) -> None:
    def forbidden(given: Label) -> set[str]:
        facts = Facts(label=given, deployment=place, tree=TREE, unix_ms=NOW, audit_ready=True)
        return {rule.id for rule in RULES if rule.forbids(facts)}

    for higher in raises(label):
        assert forbidden(label) <= forbidden(higher)


@given(labels(TREE), deployments)
def test_without_a_record_nothing_goes_beyond_the_device(label: Label, place: Deployment) -> None:
    if place.zone != DEVICE:
        assert not allows(label, place, audit_ready=False)
    else:
        assert allows(label, place, audit_ready=False) == allows(label, place)


@given(labels(TREE), deployments)
def test_secrets_and_unknown_zones_never_leave(label: Label, place: Deployment) -> None:
    if place.zone != DEVICE:
        assert not allows(replace(label, kinds=label.kinds | {"secret"}), place)
    if not TREE.is_known(place.zone):
        assert not allows(label, place)


@given(labels(TREE), deployments)
def test_every_decision_says_why(label: Label, place: Deployment) -> None:
    decision = decide(label, place, tree=TREE, unix_ms=NOW, audit_ready=True)
    assert decision.rules
    assert len(decision.rules) == len(decision.reasons)
    assert all(decision.reasons)
