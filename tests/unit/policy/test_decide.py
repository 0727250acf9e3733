"""Each rule forbids what it is for, and taking any one of them away is noticed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from freehold.domain.decisions import PolicyDecision
from freehold.domain.deployment import Deployment, Terms
from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE, LAN, WORLD, Zone
from freehold.policy import decide as decide_module
from freehold.policy.decide import RULE_ERROR, decide
from freehold.policy.rules import RULES, Facts, Rule
from tests.support.labels import CLOUD, EU, ON_DEVICE, TREE, US, cloud, label

NOW = 1_000_000
ATLANTIS = Zone("atlantis")


def ask(given: Label, deployment: Deployment, *, audit_ready: bool = True) -> PolicyDecision:
    return decide(given, deployment, tree=TREE, unix_ms=NOW, audit_ready=audit_ready)


FORBIDDEN: dict[str, tuple[Label, Deployment, bool]] = {
    "zone": (label(Level.INTERNAL, EU), cloud(US), True),
    "zone-known": (replace(label(), zones=TREE.zones | {ATLANTIS}), cloud(ATLANTIS), True),
    "level": (label(Level.CONFIDENTIAL), cloud(clearance=Level.INTERNAL), True),
    "kinds": (label(kinds=frozenset({"pci"})), cloud(kinds=frozenset({"pii"})), True),
    "readers": (label(readers=frozenset()), ON_DEVICE, True),
    "secrets": (label(kinds=frozenset({"secret"})), cloud(LAN), True),
    "training": (label(Level.INTERNAL), cloud(trains=True), True),
    "evidence": (label(Level.INTERNAL), cloud(expires_unix_ms=NOW), True),
    "phi-contract": (label(kinds=frozenset({"phi"})), cloud(contracts=frozenset({"dpa"})), True),
    "pii-retention": (label(kinds=frozenset({"pii"})), cloud(retention_days=31), True),
    "audit": (label(), CLOUD, False),
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


def test_every_rule_has_a_case() -> None:
    assert list(FORBIDDEN) == [rule.id for rule in RULES]
    assert len({rule.id for rule in RULES} | {RULE_ERROR}) == len(RULES) + 1


@pytest.mark.parametrize("rule", FORBIDDEN)
def test_the_rule_alone_forbids(rule: str) -> None:
    given, deployment, audit_ready = FORBIDDEN[rule]
    decision = ask(given, deployment, audit_ready=audit_ready)
    assert (decision.allowed, decision.rules) == (False, (rule,))
    assert len(decision.reasons) == 1


@pytest.mark.parametrize("rule", FORBIDDEN)
def test_without_the_rule_the_text_would_go(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes the test above worth something: nothing else forbids its case."""
    monkeypatch.setattr(decide_module, "RULES", tuple(each for each in RULES if each.id != rule))
    given, deployment, audit_ready = FORBIDDEN[rule]
    assert ask(given, deployment, audit_ready=audit_ready).allowed


@pytest.mark.parametrize(("rule", "given", "deployment"), ALLOWED)
def test_the_rule_does_not_forbid_beyond_its_purpose(rule: str, given: Label, deployment: Deployment) -> None:
    decision = ask(given, deployment)
    assert decision.allowed, decision
    assert len(decision.rules) == len(decision.reasons) > 0


def test_own_hardware_may_have_everything_even_when_nothing_can_be_recorded() -> None:
    everything = label(Level.RESTRICTED, DEVICE, kinds=frozenset({"secret", "phi", "own"}), readers=frozenset({"ann"}))
    assert ask(everything, ON_DEVICE, audit_ready=False).allowed


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
    decision = ask(given, replace(CLOUD, terms=Terms()), audit_ready=False)
    assert decision.rules == ("zone", "level", "kinds", "secrets", "training", "audit")
    assert decision.reasons[1] == "is cleared up to public, the text is restricted"


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("x"), RecursionError("x"), ZeroDivisionError("x")])
def test_a_rule_that_fails_is_a_denial(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Facts) -> bool:
        raise error

    broken = Rule(id="broken", forbids=fail, denied=lambda _: "", allowed="")
    monkeypatch.setattr(decide_module, "RULES", (*RULES, broken))
    decision = ask(label(), CLOUD)
    assert (decision.allowed, decision.rules) == (False, (RULE_ERROR,))
    assert type(error).__name__ in decision.reasons[0]


def test_a_label_that_is_none_is_a_denial() -> None:
    assert ask(replace(label(), kinds=None), CLOUD).rules == (RULE_ERROR,)  # pyright: ignore[reportArgumentType]


def test_a_table_without_rules_allows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide_module, "RULES", ())
    assert ask(label(), ON_DEVICE).rules == (RULE_ERROR,)
