"""Raising a label never opens a way: for every rule, every label, every deployment; and the rules are what they were."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.config.shipped import rules_text, schema_text
from freehold.domain.decisions import PolicyDecision
from freehold.domain.deployment import Deployment, Terms
from freehold.domain.errors.policy import RulesOpenAWay
from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE, LAN, WORLD, Zone
from freehold.policy.cedar import Entities, PolicySet, Question, Schema
from freehold.policy.decide import decide
from freehold.policy.lattice import join
from freehold.policy.monotone import check
from freehold.policy.rulebook import Rulebook
from freehold.policy.rules import Known, own_rules, shipped_rules, statements
from tests.support.labels import CLOUD, EU, KINDS, ON_DEVICE, TREE, US, cloud, deployments, labels, raises
from tests.support.rules import expected, rulebook

NOW = 1_500
ANY = rulebook(replace(CLOUD, name="there"))
"""Rules that know a deployment of the name that the strategy gives to all of its own."""


def decision(label: Label, place: Deployment, **flags: bool) -> PolicyDecision:
    there = replace(place, name="there")
    return decide(label, there, policy=ANY, tenant="default", unix_ms=NOW, **{"audit_ready": True, **flags})


def allows(label: Label, place: Deployment, **flags: bool) -> bool:
    return decision(label, place, **flags).allowed


PLACES = [
    ON_DEVICE,
    replace(ON_DEVICE, terms=Terms(), name="bare"),
    replace(cloud(LAN, contracts=frozenset()), name="office"),
    replace(
        cloud(EU, clearance=Level.INTERNAL, kinds=frozenset({"pii", "phi"}), expires_unix_ms=NOW), name="expired-in-eu"
    ),
    replace(
        cloud(US, clearance=Level.CONFIDENTIAL, kinds=frozenset({"pii", "other"}), retention_days=31, trains=True),
        name="trains",
    ),
    replace(cloud(WORLD), name="anywhere"),
    replace(CLOUD, terms=Terms()),
    replace(cloud(Zone("atlantis")), name="lost"),
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_the_rules_in_cedar_are_the_rules_in_python(place: Deployment) -> None:
    """All labels there are over five kinds, with zones closed or not, with readers, some or none."""
    is_one = place.name == "expired-in-eu"
    names = KINDS[:3] if is_one else KINDS
    kinds = [frozenset(some) for n in range(len(names) + 1) for some in itertools.combinations(names, n)]
    zones = [frozenset(some) for n in range(6) for some in itertools.combinations(sorted(TREE.zones), n)]
    some_zones = zones if is_one else [TREE.zones, frozenset({DEVICE, LAN}), frozenset[Zone]()]
    space = [
        Label(level=level, kinds=some_kinds, zones=some, readers=readers)
        for level in Level
        for some_kinds in kinds
        for some in some_zones
        for readers in (None, frozenset())
    ]
    for label in space:
        found = decision(label, place)
        assert (found.allowed, found.rules) == expected(label, place, TREE, unix_ms=NOW, audit_ready=True)


FLAGS = st.fixed_dictionaries({"audit_ready": st.booleans(), "scan_complete": st.booleans()})


@given(labels(TREE), deployments, st.sampled_from([999, 1_000, 1_999, 2_000]), FLAGS)
def test_the_rules_in_cedar_are_the_rules_in_python_for_any_terms(
    label: Label, place: Deployment, unix_ms: int, flags: dict[str, bool]
) -> None:
    found = decide(label, place, policy=ANY, tenant="default", unix_ms=unix_ms, **flags)
    assert (found.allowed, found.rules) == expected(label, place, TREE, unix_ms=unix_ms, **flags)


def test_no_single_raise_of_any_label_opens_a_way() -> None:
    policy = Rulebook.compile(deployments=PLACES, tree=TREE)
    assert policy.checked.hole is None
    assert policy.checked.states > 8 * 4 * 2**4 * 2**5


OPENING = [
    '@id("x") forbid (principal, action, resource) unless { context.label.kinds.contains("pii") };',
    '@id("x") forbid (principal, action, resource) when { context.label.trusted };',
    '@id("x") forbid (principal, action, resource) when { context.label.anyone };',
    '@id("x") forbid (principal, action, resource) when { context.label.zones.contains("eu") };',
    '@id("x") forbid (principal, action, resource) when { context.label.readers.contains("ann") };',
    '@id("x") forbid (principal, action, resource) when { context.label.level == 1 };',
    '@id("x") forbid (principal, action, resource) when { context.audit_ready };',
    '@id("x") forbid (principal, action, resource) when { context.scan_complete };',
    '@id("x") forbid (principal, action, resource) when { context.label.kinds.isEmpty() };',
    '@id("x") forbid (principal, action, resource) when { context.label.kinds == ["pii"] };',
    '@id("x") forbid (principal, action, resource) unless { context.label.kinds.containsAll(resource.kinds) };',
    '@id("x") forbid (principal == Freehold::Tenant::"acme", action, resource) unless { context.label.level > 0 };',
    '@id("x") permit (principal == Freehold::Tenant::"acme", action, resource) when { context.label.level > 0 };',
    (
        '@id("x") permit (principal == Freehold::Tenant::"acme", action, resource)'
        ' when { context.label.kinds.contains("pii") && resource.contracts.contains("dpa") };'
    ),
    # It fails for what is public, and a failure is a denial: what is internal would go where what is public may not.
    '@id("x") forbid (principal, action, resource) when { context.label.level - 9223372036854775807 - 2 > 0 };',
]


@pytest.mark.parametrize("own", OPENING)
def test_the_check_finds_a_rule_that_opens_a_way(own: str) -> None:
    """A search that cannot fail proves nothing. Each of these is refused with an example, and the example is one."""
    place = replace(cloud(US, kinds=frozenset({"pii", "a", "b"})), name="azure")
    with pytest.raises(RulesOpenAWay) as refused:
        Rulebook.compile(deployments=(place, ON_DEVICE), tree=TREE, tenants=("acme",), own=own, path="own.cedar")
    said = refused.value.message
    assert "may not go to " in said
    assert "and the same text" in said
    assert said.startswith("The rules in own.cedar")


def test_a_kind_that_it_is_not_cleared_for_is_looked_at_whatever_the_cleared_ones_are_called() -> None:
    """Without the shipped rule on kinds: a text with any kind beyond the cleared ones may go, and others may not."""
    place = replace(cloud(US, kinds=frozenset({"pii", "phi", "secret", "a", "b", "other", "other-"})), name="azure")
    own = '@id("x") forbid (principal, action, resource) when { resource.kinds.containsAll(context.label.kinds) };'
    shipped = "\n".join(text for _, text in statements(rules_text()) if '@id("kinds")' not in text)
    with pytest.raises(RulesOpenAWay, match="with the kind other-- may"):
        Rulebook.compile(deployments=(place,), tree=TREE, own=own, path="own.cedar", shipped=shipped)


def test_the_example_says_that_a_text_could_not_be_looked_through() -> None:
    """One raise is that the scan does not end; another one happens while it has not."""
    place = replace(cloud(US, kinds=frozenset({"pii"})), name="azure")
    shipped = "\n".join(text for _, text in statements(rules_text()) if '@id("scan")' not in text)

    def said(condition: str) -> str:
        own = f'@id("x") forbid (principal, action, resource) when {{ {condition} }};'
        with pytest.raises(RulesOpenAWay) as refused:
            Rulebook.compile(deployments=(place,), tree=TREE, own=own, path="own.cedar", shipped=shipped)
        return str(refused.value.values["example"])

    assert said("context.scan_complete") == (
        "a text labelled public;zones=world may not go to azure (x), and the same text once the text could not be looked"
        " through may, by the rule permit"
    )
    assert said("!context.scan_complete && context.label.level == 0") == (
        "a text labelled public;zones=world may not go to azure while the text could not be looked through (x), and the"
        " same text made internal may, by the rule permit"
    )


def test_the_example_is_in_words() -> None:
    azure = replace(cloud(US, clearance=Level.INTERNAL), name="azure")
    own = (
        '@id("level-only") permit (principal == Freehold::Tenant::"acme", action, resource)'
        " when { context.label.level == 0 };\n"
        '@id("pii-dpa") permit (principal == Freehold::Tenant::"acme", action, resource)'
        ' when { context.label.kinds.contains("pii") && resource.contracts.contains("dpa") };'
    )
    with pytest.raises(RulesOpenAWay) as refused:
        Rulebook.compile(deployments=(azure,), tree=TREE, tenants=("acme",), own=own, path="own.cedar")
    assert str(refused.value.values["example"]) == (
        "a text of tenant acme labelled internal;zones=world may not go to azure (no rule permits it), and the same text"
        " with the kind pii may, by the rule pii-dpa"
    )
    assert str(refused.value.values["path"]) == "own.cedar:2"


ATOMS = [
    "context.label.level > 1",
    "context.label.level == 2",
    'context.label.kinds.contains("pii")',
    'context.label.kinds.containsAny(["pii", "a"])',
    'context.label.kinds.containsAll(["pii", "a"])',
    '["pii", "a"].containsAll(context.label.kinds)',
    "resource.kinds.containsAll(context.label.kinds)",
    "resource.kinds.containsAny(context.label.kinds)",
    "context.label.kinds.isEmpty()",
    "context.label.trusted",
    "context.label.anyone",
    'context.label.readers.contains("ann")',
    "context.label.readers.isEmpty()",
    "context.evidence_valid",
    "context.audit_ready",
    "context.scan_complete",
    'context.label.zones.contains("us")',
    "context.label.level + 9223372036854775806 > 0",
    'principal == Freehold::Tenant::"acme"',
    'resource in Freehold::Zone::"lan"',
    'resource == Freehold::Deployment::"there"',
]
conditions = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: (
        st.builds("!({})".format, inner)
        | st.builds("({} && {})".format, inner, inner)
        | st.builds("({} || {})".format, inner, inner)
    ),
    max_leaves=4,
)
policies = st.lists(
    st.builds(
        "{} (principal{}, action, resource) when {{ {} }};".format,
        st.just("forbid"),
        st.sampled_from(["", ' == Freehold::Tenant::"acme"']),
        conditions,
    )
    | st.builds('permit (principal == Freehold::Tenant::"acme", action, resource) when {{ {} }};'.format, conditions),
    max_size=3,
).map(lambda texts: "\n".join(f'@id("r{number}") {text}' for number, text in enumerate(texts)))

SMALL_TREE = replace(TREE, regions=frozenset({US}), site_region=US)
THERE = replace(cloud(US, kinds=frozenset({"a", "b"}), expires_unix_ms=NOW), name="there")


@settings(max_examples=30, deadline=None)
@given(policies)
def test_the_check_says_what_asking_every_question_says(own: str) -> None:
    """The tables of bits are a short cut; here every state is asked of all rules together, the long way."""
    schema = Schema(schema_text())
    names = {"Tenant": {"acme"}, "Deployment": {"there"}, "Zone": set(map(str, SMALL_TREE.zones))}
    known = Known(names={f"Freehold::{kind}": frozenset(each) for kind, each in names.items()})
    # Of the shipped rules those that leave something open: else most of what is tried would be hidden by them.
    shipped = [rule for rule in shipped_rules(rules_text()) if rule.id in {"permit", "level"}]
    added, mistakes = own_rules(own, taken=("permit", "level"), known=known, schema=schema)
    if mistakes:
        return  # for example a condition that the schema finds to be impossible
    rules = [*shipped, *added]
    found = check(rules, (THERE,), tree=SMALL_TREE, schema=schema)
    assert (found.hole is not None) == _has_hole_the_long_way(rules, schema)


def _has_hole_the_long_way(rules, schema) -> bool:
    whole = PolicySet({rule.id: rule.tree for rule in rules}, schema=schema)
    entities = Entities([THERE], tree=SMALL_TREE, schema=schema)
    narrowed = any(rule.permits and rule.is_own for rule in rules)
    read = {each for rule in rules for each in rule.reads.variables}
    kinds = ["pii", "a", "b", "other"] if any(each.startswith("kind") for each in read) else []
    zones = ["us"] if "zones" in read else []
    readers = ["ann", "somebody"] if any(each.startswith("reader") for each in read) else []
    flags = [each for each in ("trusted", "anyone", "evidence_valid", "audit_ready", "scan_complete") if each in read]
    names = [f"kind {each}" for each in kinds] + [f"zone {each}" for each in zones]
    names += [f"reader {each}" for each in readers] + flags
    for tenant in ("acme", "another") if "tenant" in read else ("another",):
        states = [
            (level, frozenset(on))
            for level in Level
            for number in range(len(names) + 1)
            for on in itertools.combinations(names, number)
        ]
        questions = [
            Question(
                tenant=tenant,
                deployment="there",
                label=Label(
                    level=level,
                    kinds=frozenset(each for each in kinds if f"kind {each}" in on),
                    zones=SMALL_TREE.zones - {Zone(each) for each in zones if f"zone {each}" in on},
                    readers=frozenset(r for r in readers if f"reader {r}" not in on) if "anyone" in on else None,
                    trusted="trusted" not in on,
                ),
                evidence_valid="evidence_valid" not in on,
                audit_ready="audit_ready" not in on,
                scan_complete="scan_complete" not in on,
                own_permits=narrowed and tenant == "acme",
            )
            for level, on in states
        ]
        answers = whole.ask(questions, entities)
        allowed = {state for state, answer in zip(states, answers, strict=True) if answer.allowed}
        for level, on in states:
            if (level, on) in allowed:
                continue
            higher = [(level, on | {name}) for name in names if name not in on]
            higher += [(Level(level + 1), on)] if level < Level.RESTRICTED else []
            if any(each in allowed for each in higher):
                return True
    return False


@settings(max_examples=40, deadline=None)
@given(policies, labels(TREE), deployments, FLAGS)
def test_a_sites_own_rules_allow_nothing_that_the_shipped_ones_forbid(
    own: str, label: Label, place: Deployment, flags: dict[str, bool]
) -> None:
    try:
        policy = Rulebook.compile(
            deployments=(replace(CLOUD, name="there"),), tree=TREE, tenants=("acme",), own=own, path="own.cedar"
        )
    except (RulesOpenAWay, ValueError):
        return
    for tenant in ("acme", "default"):
        found = decide(label, place, policy=policy, tenant=tenant, unix_ms=NOW, **flags)
        if found.allowed:
            assert expected(label, place, TREE, unix_ms=NOW, **flags)[0]


@given(labels(TREE), labels(TREE), deployments, FLAGS)
def test_a_join_goes_only_where_both_may_go(a: Label, b: Label, place: Deployment, flags: dict[str, bool]) -> None:
    if allows(join(a, b), place, **flags):
        assert allows(a, place, **flags)
        assert allows(b, place, **flags)


@given(labels(TREE), deployments, FLAGS)
def test_each_rule_alone_is_monotone(label: Label, place: Deployment, flags: dict[str, bool]) -> None:
    def forbidden(given: Label, **given_flags: bool) -> set[str]:
        found = decision(given, place, **given_flags)
        return set() if found.allowed else set(found.rules)

    for higher in raises(label):
        assert forbidden(label, **flags) <= forbidden(higher, **flags)
    for flag in flags:
        assert forbidden(label, **flags) <= forbidden(label, **{**flags, flag: False})


@pytest.mark.parametrize("flag", ["audit_ready", "scan_complete"])
@given(labels(TREE), deployments)
def test_unrecorded_or_not_looked_through_nothing_goes_beyond_the_device(
    flag: str, label: Label, place: Deployment
) -> None:
    if place.zone != DEVICE:
        assert not allows(label, place, **{flag: False})
    else:
        assert allows(label, place, **{flag: False}) == allows(label, place)


@given(labels(TREE), deployments)
def test_secrets_and_unknown_zones_never_leave(label: Label, place: Deployment) -> None:
    if place.zone != DEVICE:
        assert not allows(replace(label, kinds=label.kinds | {"secret"}), place)
    if not TREE.is_known(place.zone):
        assert not allows(label, place)


@given(labels(TREE), deployments)
def test_every_decision_says_why(label: Label, place: Deployment) -> None:
    found = decision(label, place)
    assert found.rules
    assert len(found.rules) == len(found.reasons)
    assert all(found.reasons)
