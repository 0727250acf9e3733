"""What a release lifts, and everything that it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.decisions import PolicyDecision
from freehold.domain.labels import Label, Level
from freehold.domain.releases import Release
from freehold.domain.zones import LAN
from freehold.policy.decide import decide
from freehold.policy.release import LIFTED, find_release, lifted
from freehold.policy.text import format_label
from tests.support.labels import CLOUD, TREE, cloud, label, labels
from tests.support.rules import ANYWHERE, BEYOND_DEVICE, rulebook

NOW_MS = 1_000_000
RULES = ANYWHERE.keys() | BEYOND_DEVICE.keys()
APPROVED = Release(
    id="r-1",
    tenant="acme",
    deployment="cloud",
    place="here",
    commitment="c",
    label="confidential;zones=lan",
    rules=("zone", "level"),
    reason="",
    receipt="",
    requested_by="key-1",
    requested_line="key-1",
    requested_unix_ms=NOW_MS - 10,
    expires_unix_ms=NOW_MS + 10,
    approved_by="key-2",
    approved_unix_ms=NOW_MS - 5,
)
LABEL = label(Level.CONFIDENTIAL, LAN)
DENIED = PolicyDecision(deployment="cloud", allowed=False, rules=("zone",), reasons=("runs in zone us",))


def found(
    release: Release = APPROVED,
    *,
    decision: PolicyDecision = DENIED,
    asked: Label = LABEL,
    place: str = "here",
    unix_ms: int = NOW_MS,
) -> Release | None:
    return find_release(decision, asked, [release], place=place, tree=TREE, unix_ms=unix_ms)


def test_it_lifts_what_it_was_approved_against() -> None:
    release = found()
    assert release is APPROVED
    decision = lifted(DENIED, release)
    assert (decision.allowed, decision.rules, decision.release) == (True, ("release:r-1",), "r-1")
    assert "key-2 released it, although it runs in zone us" in decision.reasons[0]
    assert not DENIED.release
    assert not replace(decision, allowed=False).release


@pytest.mark.parametrize(
    "changed",
    [
        {"release": replace(APPROVED, deployment="other")},
        {"release": replace(APPROVED, place="there")},
        {"release": replace(APPROVED, place=""), "place": ""},
        {"release": replace(APPROVED, approved_unix_ms=None)},
        {"release": replace(APPROVED, used_unix_ms=NOW_MS)},
        {"release": replace(APPROVED, rules=("level",))},
        {"release": replace(APPROVED, label="confidential;zones=nowhere")},
        {"release": replace(APPROVED, label="internal")},
        {"unix_ms": APPROVED.expires_unix_ms},
        {"decision": replace(DENIED, allowed=True)},
        {"decision": replace(DENIED, rules=())},
        {"decision": replace(DENIED, rules=("zone", "secrets"))},
        {"asked": label(Level.RESTRICTED, LAN)},
        {"asked": label(Level.CONFIDENTIAL, LAN, kinds=frozenset({"pii"}))},
        {"asked": label(Level.CONFIDENTIAL, LAN, trusted=False)},
    ],
)
def test_it_lets_nothing_else_go(changed: dict[str, object]) -> None:
    assert found(**changed) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", sorted(RULES - LIFTED))
def test_some_rules_are_nobodys_to_lift(rule: str) -> None:
    anyway = replace(APPROVED, rules=tuple(RULES))
    assert found(anyway, decision=replace(DENIED, rules=(rule,))) is None


def test_every_rule_is_either_lifted_or_not_on_purpose() -> None:
    assert {"zone-known", "readers", "secrets", "audit"} == RULES - LIFTED
    assert "scan" in LIFTED, "a person who has read a body has looked through it"
    assert RULES >= LIFTED


def test_a_person_who_has_read_a_body_that_could_not_be_looked_through_lets_it_go() -> None:
    def denial(asked: Label) -> PolicyDecision:
        return decide(
            asked,
            CLOUD,
            policy=rulebook(CLOUD),
            tenant="acme",
            unix_ms=NOW_MS,
            audit_ready=True,
            scan_complete=False,
        )

    decision = denial(label())
    assert decision.rules == ("scan",)
    approved = replace(APPROVED, label="public", rules=("scan",))
    assert found(replace(approved, rules=("zone", "level")), decision=decision, asked=label()) is None
    release = found(approved, decision=decision, asked=label())
    assert release is approved
    assert "could not be looked through" in lifted(decision, release).reasons[0]
    # What is found once the scan has ended is another label, which was not approved.
    secret = label(kinds=frozenset({"secret"}))
    assert found(replace(approved, rules=("scan", "secrets")), decision=denial(secret), asked=secret) is None


@given(labels(TREE), st.booleans(), st.booleans())
def test_no_release_lets_a_secret_go_or_anything_go_unrecorded(
    asked: Label, audit_ready: bool, scan_complete: bool
) -> None:
    asked = replace(asked, kinds=asked.kinds | {"secret"}) if audit_ready else asked
    there = cloud(clearance=Level.PUBLIC)
    decision = decide(
        asked,
        there,
        policy=rulebook(there),
        tenant="acme",
        unix_ms=NOW_MS,
        audit_ready=audit_ready,
        scan_complete=scan_complete,
    )
    anyway = replace(APPROVED, deployment=CLOUD.name, rules=tuple(RULES), label=format_label(asked))
    assert found(anyway, decision=decision, asked=asked) is None
