"""Rulebooks for tests, and the shipped rules once more, in Python: what the rules in Cedar are held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from freehold.config.shipped import rules_text
from freehold.domain.deployment import Deployment
from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE, LAN, ZoneTree
from freehold.policy.rulebook import Rulebook
from freehold.policy.rules import statements
from freehold.policy.sayings import SAYINGS
from tests.support.labels import TREE


@lru_cache(maxsize=256)
def rulebook(
    *deployments: Deployment,
    tree: ZoneTree = TREE,
    own: str = "",
    tenants: tuple[str, ...] = ("default", "acme"),
    shipped: str | None = None,
) -> Rulebook:
    """The shipped rules, and those of ``own``, over some deployments. Of those with one name the first one counts."""
    named = {each.name: each for each in reversed(deployments)}
    return Rulebook.compile(
        deployments=tuple(named.values()), tree=tree, own=own, path="own.cedar", tenants=tenants, shipped=shipped
    )


@lru_cache(maxsize=256)
def shipped_rulebook(*deployments: Deployment, tree: ZoneTree = TREE) -> Rulebook:
    """The shipped rules over some deployments, of which it was not looked again whether a raise of a label opens a way.

    That these rules open none, whatever the deployments, is what tests/property/test_policy_monotone.py is about. It
    takes a tenth of a second for each that differs, which was most of what a test of the pipeline took.
    """
    whole = rulebook(tree=tree)
    return Rulebook(whole.rules, deployments, tree=tree, digest=whole.digest, checked=whole.checked)


def shipped_without(rule: str) -> str:
    """The shipped rules but for one."""
    kept = [text for _, text in statements(rules_text()) if f'@id("{rule}")' not in text]
    assert len(kept) == len(SAYINGS)
    return "\n".join(kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What rules look at besides the label and the deployment."""

    tree: ZoneTree
    unix_ms: int
    audit_ready: bool = True
    scan_complete: bool = True

    def expired(self, deployment: Deployment) -> bool:
        """Whether the evidence for a deployment's terms has."""
        expires = deployment.terms.expires_unix_ms
        return expires is not None and self.unix_ms >= expires


Forbids = Callable[[Label, Deployment, Circumstances], bool]

ANYWHERE: Mapping[str, Forbids] = {
    "zone": lambda x, d, _: d.zone not in x.zones,
    "zone-known": lambda _, d, c: not c.tree.is_known(d.zone),
    "level": lambda x, d, _: x.level > d.terms.clearance,
    "kinds": lambda x, d, _: d.terms.kinds is not None and bool(x.kinds - d.terms.kinds),
    "readers": lambda x, _d, _c: x.readers is not None and not x.readers,
}
"""What each rule forbids."""

BEYOND_DEVICE: Mapping[str, Forbids] = {
    "secrets": lambda x, _d, _c: "secret" in x.kinds,
    "training": lambda x, d, _: d.terms.trains and x.level > Level.PUBLIC,
    "evidence": lambda x, d, c: c.expired(d) and (x.level > Level.PUBLIC or bool(x.kinds)),
    "phi-contract": lambda x, d, _: "phi" in x.kinds and d.zone != LAN and "baa" not in d.terms.contracts,
    "pii-retention": lambda x, d, _: "pii" in x.kinds and d.terms.retention_days > 30,
    "audit": lambda _x, _d, c: not c.audit_ready,
    "scan": lambda _x, _d, c: not c.scan_complete,
}
"""The same, of rules that have nothing to say of this machine."""


def expected(
    label: Label,
    deployment: Deployment,
    tree: ZoneTree,
    *,
    unix_ms: int,
    audit_ready: bool,
    scan_complete: bool = True,
) -> tuple[bool, tuple[str, ...]]:
    """Whether it is allowed, and the rules to be named: those that forbid it, else all that were asked."""
    asked = {**ANYWHERE, **({} if deployment.zone == DEVICE else BEYOND_DEVICE)}
    circumstances = Circumstances(tree=tree, unix_ms=unix_ms, audit_ready=audit_ready, scan_complete=scan_complete)
    against = tuple(rule for rule, forbids in asked.items() if forbids(label, deployment, circumstances))
    return not against, against or tuple(asked)
