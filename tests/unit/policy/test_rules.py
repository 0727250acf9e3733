"""A site's own rules: what may be written, what is refused and where, and what they may look at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from freehold.domain.errors.policy import RulesInvalid, RulesUnbounded
from freehold.domain.labels import Level
from freehold.domain.zones import LAN, Zone, ZoneTree
from freehold.policy.cedar import parse
from freehold.policy.decide import decide
from freehold.policy.monotone import BITS_MAX
from freehold.policy.reads import reads_of
from freehold.policy.rulebook import Rulebook
from freehold.policy.rules import RULES_CHARACTERS_MAX, RULES_MAX, statements
from freehold.policy.sayings import PERMIT
from tests.support.labels import CLOUD, ON_DEVICE, TREE, US, cloud, label
from tests.support.rules import rulebook

FORBID = "forbid (principal, action, resource)"


def mistakes(own: str) -> tuple[str, ...]:
    with pytest.raises(RulesInvalid) as refused:
        rulebook(ON_DEVICE, CLOUD, own=own)
    return refused.value.mistakes


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (f"{FORBID};", "it has no name"),
        (f'@id("") {FORBID};', "it has no name"),
        (f'@id("Big") {FORBID};', "is not lower-case letters"),
        (f'@id("level") {FORBID};', "there is a rule 'level' already"),
        (f'@id("permit") {FORBID};', "there is a rule 'permit' already"),
        (f'@id("rule-error") {FORBID};', "there is a rule 'rule-error' already"),
        (f'@id("a") @beyond("device") {FORBID};', "@beyond says nothing here"),
        (f'@id("a") @reason("{"x" * 201}") {FORBID};', "its @reason is not a sentence"),
        ('@id("a") permit (principal, action, resource);', "a permit is for one tenant"),
        ('@id("a") permit (principal in Freehold::Tenant::"acme", action, resource);', "a permit is for one tenant"),
        ('@id("a") permit (principal is Freehold::Tenant, action, resource);', "a permit is for one tenant"),
        ('@id("a") permit (principal == Freehold::Tenant::"acne", action, resource);', "did you mean 'acme'?"),
        ('@id("a") forbid (principal, action, resource == Freehold::Deployment::"clod");', "did you mean 'cloud'?"),
        ('@id("a") forbid (principal, action, resource in Freehold::Zone::"mars");', "there is no zone 'mars'"),
        (f'@id("a") {FORBID} when {{ context.label.zones.contains("mars") }};', "there is no zone 'mars'"),
        (f'@id("a") {FORBID} when {{ resource.zone == "mars" }};', "there is no zone 'mars'"),
        (f'@id("a") {FORBID} when {{ context.label.kinds.contains("secrets") }};', "did you mean 'secret'?"),
        (f'@id("a") {FORBID} when {{ context.lable.level > 1 }};', "`lable`"),
        (f'@id("a") {FORBID} when {{ resource.clearance > "1" }};', "Long"),
        ('@id("a") forbid (principal, action == Freehold::Action::"sned", resource);', "sned"),
        ('@id("a") forbid (principal == ?principal, action, resource);', "it is a template"),
        (f'@id("a") @id("b") {FORBID};', "this is not Cedar"),
        (f'@id("a") {FORBID}', "this is not Cedar"),
        ('@id("a") forbid (', "this is not Cedar"),
        ("\x00", "this is not Cedar"),
    ],
)
def test_what_is_refused(own: str, said: str) -> None:
    found = mistakes(f"// the rules of this house\n\n{own}\n")
    assert any(said in each for each in found), found
    assert all(each.startswith("own.cedar:3: ") for each in found), found


def test_all_mistakes_are_told_at_once_with_their_lines() -> None:
    found = mistakes(f'{FORBID};\n@id("ok") @reason("; // no end") {FORBID};\n\n@id("ok") {FORBID};\nforbid (')
    assert [each.split(":")[1] for each in found] == ["1", "4", "5"]


def test_too_much_is_refused_before_it_is_read() -> None:
    assert "characters" in mistakes("/" * (RULES_CHARACTERS_MAX + 1))[0]
    many = "".join(f'@id("r{number}") {FORBID} when {{ resource.trains }};\n' for number in range(RULES_MAX + 1))
    assert "rules, at most" in mistakes(many)[0]


@pytest.mark.parametrize(
    "condition",
    [
        "resource.contracts.containsAll(context.label.kinds)",
        "resource.kinds.containsAll(context.label.readers)",
        "context.label.kinds.contains(resource.zone)",
        'context.label == context.label || context.label.kinds.contains("a")',
        'context == context || context.label.kinds.contains("a")',
        "(if resource.trains then context.label.kinds else resource.kinds).isEmpty()",
    ],
)
def test_what_has_no_end_is_refused_with_the_reason(condition: str) -> None:
    found = mistakes(f'@id("a") {FORBID} when {{ {condition} }};')
    assert any("enumerated" in each or "name the members" in each for each in found), found


def test_too_much_to_look_at_is_refused_with_the_reason() -> None:
    kinds = ", ".join(f'"k{number:02}"' for number in range(20))
    with pytest.raises(RulesUnbounded) as refused:
        rulebook(CLOUD, own=f'@id("a") {FORBID} when {{ context.label.kinds.containsAny([{kinds}]) }};')
    assert "at most" in refused.value.message
    # Alone, one rule may be too much although all of them together are not.
    kinds = ", ".join(f'"k{number:02}"' for number in range(8))
    heavy = (
        f"context.label.kinds.containsAny([{kinds}]) && ([{kinds}].containsAll(context.label.kinds) || resource.trains)"
    )
    with pytest.raises(RulesUnbounded):
        rulebook(CLOUD, own=f'@id("a") {FORBID} when {{ {heavy} && context.label.zones.contains("us") }};')


def test_a_site_of_seven_regions_can_be_checked() -> None:
    """The shipped rules tell every zone apart: that many still fit, and no more."""
    place = cloud(US, kinds=frozenset({"a", "b"}), expires_unix_ms=1)

    def tree(regions: int) -> ZoneTree:
        return ZoneTree(site_region=US, regions=frozenset({US, *(Zone(f"region-{n}") for n in range(1, regions))}))

    policy = Rulebook.compile(deployments=(place,), tree=tree(7))
    assert policy.checked.states == 1 << BITS_MAX
    with pytest.raises(RulesUnbounded):
        Rulebook.compile(deployments=(place,), tree=tree(8))


def test_what_a_rule_looks_at() -> None:
    def read(condition: str, scope: str = "principal, action, resource") -> set[str]:
        return reads_of(parse(f"forbid ({scope}) when {{ {condition} }};")).variables

    assert read("resource.trains && resource.kinds.isEmpty()") == set()
    assert read('context.label.level > 1 || context.label.kinds.contains("pii")') == {"level", "kind:pii"}
    assert read("context.label.kinds.isEmpty()") == {"kind:*"}
    assert read('["a"].containsAll(context.label.kinds)') == {"kind:a", "kind:*"}
    assert read('context.label.kinds.containsAll(["a", "b"])') == {"kind:a", "kind:b"}
    assert read("resource.kinds.containsAll(context.label.kinds)") == {"kind:*"}
    assert read('context.label.readers.contains("ann")') == {"reader:ann", "anyone"}
    assert read("context.label.zones.contains(resource.zone)") == {"zones"}
    assert read('principal == Freehold::Tenant::"acme"') == {"tenant"}
    assert read("resource.trains", 'principal == Freehold::Tenant::"acme", action, resource') == {"tenant"}
    assert read("context has label && context.label has level") == set()
    assert read("!context.scan_complete") == {"scan_complete"}
    assert read("if context.audit_ready then context.evidence_valid else context.own_permits") == {
        "audit_ready",
        "evidence_valid",
        "tenant",
    }


def test_statements_begin_where_they_begin() -> None:
    text = '// one; two\n\n@id("a;b") // why;\nforbid (principal, action, resource)\nwhen { "//" == ";" };permit (p);  rest'
    assert [line for line, _ in statements(text)] == [3, 5, 5]
    assert list(statements("// nothing\n")) == []


def test_an_own_rule_forbids_more_and_says_why() -> None:
    own = f'@id("no-drafts") @reason("gets no drafts") {FORBID} when {{ context.label.kinds.contains("draft") }};'
    policy = rulebook(CLOUD, own=own)
    drafts = label(kinds=frozenset({"draft"}))
    denied = decide(drafts, CLOUD, policy=policy, tenant="default", unix_ms=0, audit_ready=True)
    assert (denied.allowed, denied.rules, denied.reasons) == (False, ("no-drafts",), ("gets no drafts",))
    allowed = decide(label(), CLOUD, policy=policy, tenant="default", unix_ms=0, audit_ready=True)
    assert allowed.rules[-1] == "no-drafts"
    assert allowed.reasons[-1] == "is not forbidden by the site's rule no-drafts"


def test_a_tenants_own_permit_stands_in_the_place_of_the_shipped_one_for_that_tenant_only() -> None:
    own = (
        '@id("acme-at-home") permit (principal == Freehold::Tenant::"acme", action, resource in Freehold::Zone::"lan");'
    )
    office = replace(cloud(LAN), name="office")
    policy = rulebook(CLOUD, office, ON_DEVICE, own=own)

    def ask(tenant: str, place):
        return decide(label(), place, policy=policy, tenant=tenant, unix_ms=0, audit_ready=True)

    assert [ask("acme", each).allowed for each in (ON_DEVICE, office, CLOUD)] == [True, True, False]
    assert [ask("default", each).allowed for each in (ON_DEVICE, office, CLOUD)] == [True, True, True]
    assert ask("acme", CLOUD).rules == (PERMIT,)
    assert "acme" in ask("acme", CLOUD).reasons[0]
    assert ask("acme", office).rules[-1] == "acme-at-home"
    assert "acme-at-home" not in ask("default", office).rules


def test_a_permit_opens_nothing_that_is_forbidden() -> None:
    own = '@id("all") permit (principal == Freehold::Tenant::"acme", action, resource);'
    policy = rulebook(CLOUD, own=own)
    secret = label(Level.INTERNAL, kinds=frozenset({"secret"}))
    found = decide(secret, CLOUD, policy=policy, tenant="acme", unix_ms=0, audit_ready=True)
    assert (found.allowed, found.rules) == (False, ("secrets",))


def test_every_change_of_a_rule_changes_the_digest() -> None:
    texts = ["", f'@id("a") {FORBID} when {{ resource.trains }};', f'@id("b") {FORBID} when {{ resource.trains }};']
    digests = {Rulebook.compile(deployments=(CLOUD,), tree=TREE, own=own).digest for own in texts}
    assert len(digests) == len(texts)
