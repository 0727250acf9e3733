"""What other rules would have said of what was decided before."""

from __future__ import annotations

from dataclasses import replace

from freehold.domain.decisions import PolicyDecision
from freehold.domain.labels import LabelSource, Level
from freehold.domain.receipt import Receipt
from freehold.domain.receipt_json import receipt_from_json, receipt_to_json
from freehold.policy.labelling import join_sources
from freehold.policy.replay import Change, Replay
from tests.support.labels import CLOUD, ON_DEVICE, TREE, label
from tests.support.receipts import make_attempt, make_receipt
from tests.support.rules import rulebook, shipped_without

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


def test_what_detectors_found_then_is_part_of_the_label_now() -> None:
    """A receipt's label is the join of its sources, a detector's like any other: as it was stored, so it is tried."""
    tenant, found_in_it = label(Level.INTERNAL), label(kinds=frozenset({"draft"}))
    sources = (
        LabelSource(origin="tenant", rule="tenant:acme", label=tenant),
        LabelSource(origin="detector", rule="detector:kind", label=found_in_it),
    )
    kept = replace(receipt(join_sources(sources, tree=TREE)), label_sources=sources)
    read = receipt_from_json(receipt_to_json(kept))
    assert read.label_sources == sources
    (change,) = replayed(NONE, SOME, read).changes()
    assert (change.label, change.opened, change.rules) == ("internal;zones=world;kinds=draft", False, ("no-drafts",))


def test_what_could_not_be_looked_through_then_is_not_looked_through_now() -> None:
    """Else rules that keep it here would seem to let it go, and every such receipt would have drifted."""
    home = PolicyDecision(deployment="home", allowed=True, rules=("zone",))
    denied = PolicyDecision(deployment="cloud", allowed=False, rules=("scan",))
    then = replace(receipt(label()), decisions=(home, denied))
    assert replayed(NONE, SOME, then).drifted == 0
    nowhere = '@id("nowhere") forbid (principal, action, resource) when { !context.scan_complete };'
    strict = rulebook(ON_DEVICE, CLOUD, own=nowhere)
    (change,) = replayed(NONE, strict, then, receipt(label(), home=True, cloud=True)).changes()
    assert (change.deployment, change.rules, change.requests) == ("home", ("nowhere",), 1)
    loose = rulebook(ON_DEVICE, CLOUD, shipped=shipped_without("scan"))
    (change,) = replayed(NONE, loose, then).changes()
    assert (change.deployment, change.opened, change.rules) == ("cloud", True, ("scan",))


def test_what_could_not_be_recorded_then_is_not_recorded_now() -> None:
    denied = PolicyDecision(deployment="cloud", allowed=False, rules=("audit",))
    found = replayed(NONE, SOME, replace(receipt(label()), decisions=(denied,)))
    assert found.drifted == 0
