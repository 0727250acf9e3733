"""What other rules would have said of what was decided before."""

from __future__ import annotations

from dataclasses import replace

from freehold.domain.decisions import PolicyDecision
from freehold.domain.labels import Level
from freehold.domain.receipt import Receipt
from freehold.policy.replay import Change, Replay
from tests.support.labels import CLOUD, ON_DEVICE, label
from tests.support.receipts import make_attempt, make_receipt
from tests.support.rules import rulebook

OWN = '@id("no-drafts") forbid (principal, action, resource) when { context.label.kinds.contains("draft") };'
NONE, SOME = rulebook(ON_DEVICE, CLOUD), rulebook(ON_DEVICE, CLOUD, own=OWN)
DRAFT = label(Level.INTERNAL, kinds=frozenset({"draft"}))


def receipt(given=DRAFT, *, answered: str = "cloud", **allowed: bool) -> Receipt:
    said = allowed or {"cloud": True}
    return make_receipt(
        label=given,
        decisions=tuple(PolicyDecision(deployment=name, allowed=each, rules=("level",)) for name, each in said.items()),
        attempts=(make_attempt(deployment=answered),),
    )


def replayed(now, new, *receipts: Receipt) -> Replay:
    found = Replay(now=now, new=new, deployments={"home": ON_DEVICE, "cloud": CLOUD})
    for each in receipts:
        found.see(each)
    return found


def test_what_would_be_blocked_is_counted_by_tenant_label_deployment_and_rule() -> None:
    others = [receipt(label()), receipt(answered="home", home=True, cloud=True)]
    found = replayed(NONE, SOME, receipt(), receipt(), *others)
    assert (found.requests, found.decisions, found.gone, found.drifted) == (4, 5, 0, 0)
    where = {"tenant": "acme", "label": "internal;zones=world;kinds=draft", "opened": False, "rules": ("no-drafts",)}
    assert found.changes() == (
        Change(deployment="cloud", requests=3, answered=2, **where),
        Change(deployment="home", requests=1, answered=1, **where),
    )
    assert found.by_rule() == {"no-drafts": 4}


def test_what_would_be_opened_is_told_by_the_rules_that_forbid_it_now() -> None:
    found = replayed(SOME, NONE, receipt(cloud=False))
    (change,) = found.changes()
    assert (change.opened, change.rules, change.requests, change.answered) == (True, ("no-drafts",), 1, 1)


def test_the_same_rules_change_nothing() -> None:
    assert replayed(SOME, SOME, receipt(), receipt(label())).changes() == ()


def test_what_is_gone_and_what_has_drifted_are_told_apart() -> None:
    found = replayed(NONE, SOME, receipt(label(), old=True), receipt(label(), cloud=False))
    assert (found.gone, found.drifted, found.changes()) == (1, 1, ())


def test_what_could_not_be_recorded_then_is_not_recorded_now() -> None:
    denied = PolicyDecision(deployment="cloud", allowed=False, rules=("audit",))
    found = replayed(NONE, SOME, replace(receipt(label()), decisions=(denied,)))
    assert found.drifted == 0
