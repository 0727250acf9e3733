"""Each rule forbids what it is for, taking any one of them away is noticed, and whatever fails is a denial."""

from __future__ import annotations

import json
from dataclasses import replace

import cedarpy
import pytest

from freehold.config.shipped import rules_text, schema_text
from freehold.domain.decisions import PolicyDecision
from freehold.domain.deployment import Deployment, Terms
from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE, LAN, WORLD, Zone
from freehold.policy.cedar import Answer, Entities, PolicySet, Question, Schema, parse
from freehold.policy.decide import decide
from freehold.policy.rulebook import Rulebook
from freehold.policy.rules import RULE_ERROR, statements
from freehold.policy.sayings import PERMIT, SAYINGS
from tests.support.labels import CLOUD, EU, ON_DEVICE, TREE, US, cloud, label
from tests.support.rules import rulebook, shipped_without

NOW = 1_000_000
ATLANTIS = Zone("atlantis")


def ask(
    given: Label, deployment: Deployment, *, policy: Rulebook | None = None, tenant: str = "", **flags: bool
) -> PolicyDecision:
    rules = policy or rulebook(deployment)
    return decide(given, deployment, policy=rules, tenant=tenant, unix_ms=NOW, **{"audit_ready": True, **flags})


FORBIDDEN: dict[str, tuple[Label, Deployment, dict[str, bool]]] = {
    "zone": (label(Level.INTERNAL, EU), cloud(US), {}),
    "zone-known": (replace(label(), zones=TREE.zones | {ATLANTIS}), cloud(ATLANTIS), {}),
    "level": (label(Level.CONFIDENTIAL), cloud(clearance=Level.INTERNAL), {}),
    "kinds": (label(kinds=frozenset({"pci"})), cloud(kinds=frozenset({"pii"})), {}),
    "readers": (label(readers=frozenset()), ON_DEVICE, {}),
    "secrets": (label(kinds=frozenset({"secret"})), cloud(LAN), {}),
    "training": (label(Level.INTERNAL), cloud(trains=True), {}),
    "evidence": (label(Level.INTERNAL), cloud(expires_unix_ms=NOW), {}),
    "phi-contract": (label(kinds=frozenset({"phi"})), cloud(contracts=frozenset({"dpa"})), {}),
    "pii-retention": (label(kinds=frozenset({"pii"})), cloud(retention_days=31), {}),
    "audit": (label(), CLOUD, {"audit_ready": False}),
    "scan": (label(), CLOUD, {"scan_complete": False}),
}
"""For each rule a case that it alone forbids."""

ALLOWED = [
    ("zone", label(Level.INTERNAL, US), cloud(US)),
    ("level", label(Level.INTERNAL), cloud(clearance=Level.INTERNAL)),
    ("kinds", label(kinds=frozenset({"pci"})), cloud(kinds=frozenset({"pci"}))),
    ("readers", label(readers=frozenset({"ann"})), CLOUD),
    ("secrets", label(kinds=frozenset({"secret"})), ON_DEVICE),
    ("training", label(), cloud(trains=True)),
    ("evidence", label(Level.INTERNAL), cloud(expires_unix_ms=NOW + 1)),
    ("evidence", label(), cloud(expires_unix_ms=NOW)),
    ("phi-contract", label(kinds=frozenset({"phi"})), CLOUD),
    ("phi-contract", label(kinds=frozenset({"phi"})), cloud(LAN, contracts=frozenset())),
    ("pii-retention", label(kinds=frozenset({"pii"})), cloud(retention_days=30)),
]


def test_every_rule_has_a_case_and_a_saying() -> None:
    ids = [rule.id for rule in rulebook(CLOUD).rules]
    assert ids == [PERMIT, *FORBIDDEN]
    assert list(SAYINGS) == list(FORBIDDEN)
    assert RULE_ERROR not in ids


@pytest.mark.parametrize("rule", FORBIDDEN)
def test_the_rule_alone_forbids(rule: str) -> None:
    given, deployment, flags = FORBIDDEN[rule]
    decision = ask(given, deployment, **flags)
    assert (decision.allowed, decision.rules) == (False, (rule,))
    assert len(decision.reasons) == 1


@pytest.mark.parametrize("rule", FORBIDDEN)
def test_without_the_rule_the_text_would_go(rule: str) -> None:
    """What makes the test above worth something: nothing else forbids its case, so that losing a rule is noticed."""
    given, deployment, flags = FORBIDDEN[rule]
    fewer = rulebook(deployment, shipped=shipped_without(rule))
    assert ask(given, deployment, policy=fewer, **flags).allowed


@pytest.mark.parametrize(("rule", "given", "deployment"), ALLOWED)
def test_the_rule_does_not_forbid_beyond_its_purpose(rule: str, given: Label, deployment: Deployment) -> None:
    decision = ask(given, deployment)
    assert decision.allowed, decision
    assert len(decision.rules) == len(decision.reasons) > 0


def test_own_hardware_may_have_everything_even_when_nothing_can_be_recorded_or_looked_through() -> None:
    everything = label(Level.RESTRICTED, DEVICE, kinds=frozenset({"secret", "phi", "own"}), readers=frozenset({"ann"}))
    assert ask(everything, ON_DEVICE, audit_ready=False, scan_complete=False).allowed


@pytest.mark.parametrize("zone", [LAN, EU, US, WORLD])
def test_what_could_not_be_looked_through_stays_on_this_device(zone: Zone) -> None:
    """Not even public text for the house's own network: nobody knows whether it is public."""
    place = cloud(zone)
    decision = ask(label(), place, scan_complete=False)
    assert (decision.allowed, decision.rules) == (False, ("scan",))
    assert decision.reasons == ("is beyond this machine, and the text could not be looked through to the end",)
    looked = ask(label(), place)
    assert looked.allowed
    assert (
        dict(zip(looked.rules, looked.reasons, strict=True))["scan"] == "gets nothing that was yet to be looked through"
    )
    assert "scan" not in ask(label(), ON_DEVICE).rules


def test_a_decision_is_made_anew_once_the_scan_ends() -> None:
    """What is remembered of a text that was not looked through yet holds for no other."""
    policy = Rulebook.compile(deployments=(CLOUD,), tree=TREE)
    found = [ask(label(), CLOUD, policy=policy, scan_complete=each).allowed for each in (False, True, False)]
    assert found == [False, True, False]


def test_a_label_without_zones_goes_nowhere() -> None:
    nowhere = replace(label(), zones=frozenset())
    assert ask(nowhere, ON_DEVICE).rules == ("zone",)


def test_terms_of_which_nothing_is_known_clear_for_public_text_without_kinds_only() -> None:
    unknown = replace(CLOUD, terms=Terms())
    assert ask(label(), unknown).allowed
    assert ask(label(Level.INTERNAL), unknown).rules == ("level", "training")
    assert ask(label(kinds=frozenset({"pii"})), unknown).rules == ("kinds", "pii-retention")


def test_an_unknown_zone_is_denied_whatever_the_label_says() -> None:
    for zones in (frozenset({WORLD}), frozenset({ATLANTIS}), TREE.zones | {ATLANTIS}):
        assert not ask(replace(label(), zones=zones), cloud(ATLANTIS)).allowed


def test_all_reasons_are_given_at_once() -> None:
    given = label(Level.RESTRICTED, DEVICE, kinds=frozenset({"secret"}))
    decision = ask(given, replace(CLOUD, terms=Terms()), audit_ready=False, scan_complete=False)
    assert decision.rules == ("zone", "level", "kinds", "secrets", "training", "audit", "scan")
    assert decision.reasons[1] == "is cleared up to public, the text is restricted"


def test_a_decision_is_made_anew_once_evidence_expires() -> None:
    place = cloud(expires_unix_ms=NOW + 1)
    policy = rulebook(place)
    given = label(Level.INTERNAL)

    def at(unix_ms: int) -> bool:
        return decide(given, place, policy=policy, tenant="", unix_ms=unix_ms, audit_ready=True).allowed

    assert [at(NOW), at(NOW + 1), at(NOW)] == [True, False, True]


@pytest.mark.parametrize(
    "error", [KeyError("x"), TypeError("x"), RecursionError("x"), ZeroDivisionError("x"), ValueError("x")]
)
def test_an_engine_that_fails_is_a_denial(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Answer:
        raise error

    policy = Rulebook.compile(deployments=(CLOUD,), tree=TREE)
    monkeypatch.setattr(policy, "ask", fail)
    decision = ask(label(), CLOUD, policy=policy)
    assert (decision.allowed, decision.rules) == (False, (RULE_ERROR,))
    assert type(error).__name__ in decision.reasons[0]
    monkeypatch.undo()
    assert ask(label(), CLOUD, policy=policy).allowed, "a failure is not remembered"


OVERFLOWS = '@id("adds") forbid (principal, action, resource) when { context.label.level + 9223372036854775806 < 0 };'


def test_a_rule_that_fails_is_a_denial_though_cedar_says_allow() -> None:
    """Cedar leaves out a rule that fails. Two and the largest number but one have no sum; there the answer is no."""
    policy = rulebook(CLOUD, own=OVERFLOWS)
    assert ask(label(Level.INTERNAL), CLOUD, policy=policy).allowed
    decision = ask(label(Level.CONFIDENTIAL), CLOUD, policy=policy)
    assert (decision.allowed, decision.rules) == (False, (RULE_ERROR,))
    assert "overflow" in decision.reasons[0]


def test_a_label_that_is_none_is_a_denial() -> None:
    assert ask(replace(label(), kinds=None), CLOUD).rules == (RULE_ERROR,)  # pyright: ignore[reportArgumentType]
    assert ask(replace(label(), level="public"), CLOUD).rules == (RULE_ERROR,)  # pyright: ignore[reportArgumentType]


def test_a_deployment_that_the_configuration_does_not_have_is_a_denial() -> None:
    decision = ask(label(), CLOUD, policy=rulebook(ON_DEVICE))
    assert (decision.allowed, decision.rules) == (False, (RULE_ERROR,))


def test_rules_without_a_permit_allow_nothing() -> None:
    policy = rulebook(ON_DEVICE, shipped=shipped_without(PERMIT))
    decision = ask(label(), ON_DEVICE, policy=policy)
    assert (decision.allowed, decision.rules) == (False, (PERMIT,))


def asked_of(name: str) -> Question:
    return Question(
        tenant="",
        deployment=name,
        label=label(),
        evidence_valid=True,
        audit_ready=True,
        scan_complete=True,
        own_permits=False,
    )


@pytest.mark.parametrize("decision", ["NoDecision", "Allow", "Deny"])
@pytest.mark.parametrize("errors", [[], ["a rule failed"]])
@pytest.mark.parametrize("reasons", [[], ["a"], ["unheard-of"]])
def test_only_an_allowance_without_errors_by_a_known_rule_allows(
    decision: str, errors: list[str], reasons: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = Schema(schema_text())
    rules = PolicySet({"a": parse("permit (principal, action, resource);")}, schema=schema)
    result = cedarpy.AuthzResult({"decision": decision, "diagnostics": {"reason": reasons, "errors": errors}})
    monkeypatch.setattr(cedarpy, "is_authorized_batch", lambda *_: [result])
    question = asked_of("cloud")
    (answer,) = rules.ask([question], Entities([CLOUD], tree=TREE, schema=schema))
    assert answer.allowed == ((decision, errors, reasons) == ("Allow", [], ["a"]))


def test_an_answer_too_few_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    rulebook(CLOUD)
    monkeypatch.setattr(cedarpy, "is_authorized_batch", lambda *_: [])
    assert ask(label(Level.RESTRICTED, kinds=frozenset({"fresh-one"})), CLOUD).rules == (RULE_ERROR,)


def test_an_entity_that_there_is_not_is_a_denial() -> None:
    """A missing fact is an error of the rule that asks for it, which Cedar would leave out."""
    schema = Schema(schema_text())
    text = '@id("all") permit (principal, action, resource); @id("level") forbid (principal, action, resource) when { context.label.level > resource.clearance };'
    trees = {parse(each)["annotations"]["id"]: parse(each) for _, each in statements(text)}
    entities = Entities([CLOUD], tree=TREE, schema=schema)
    asked = [asked_of(name) for name in ("cloud", "unheard-of")]
    known, unknown = PolicySet(trees, schema=schema).ask(asked, entities)
    assert known.allowed
    assert not unknown.allowed
    assert unknown.failed


def test_the_schema_is_asked_for_every_question() -> None:
    """Without one, a label without a level would be allowed: the rule about it fails, and is left out."""
    schema = Schema(schema_text())
    rules = PolicySet({"a": parse("permit (principal, action, resource);")}, schema=schema)
    question = asked_of("cloud")
    request = question.to_request()
    del request["context"]["label"]["level"]
    entities = Entities([CLOUD], tree=TREE, schema=schema)
    (found,) = cedarpy.is_authorized_batch([request], rules._handle, entities.handle, schema.handle)
    assert found.decision is cedarpy.Decision.NoDecision
    (bare,) = cedarpy.is_authorized_batch([request], rules._handle, entities.handle, None)
    assert bare.decision is cedarpy.Decision.Allow, "the trap that the schema closes is there no more"


def test_the_shipped_rules_hold_by_the_schema() -> None:
    schema = Schema(schema_text())
    for _, text in statements(rules_text()):
        assert schema.mistakes(text) == []
    assert json.dumps(cedarpy.policies_to_json_str(rules_text())).count("annotations") == len(SAYINGS) + 1
