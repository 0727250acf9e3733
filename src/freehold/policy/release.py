"""What a release lifts: a named few rules, for one deployment. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from freehold.domain.decisions import RELEASED_BY, PolicyDecision
from freehold.domain.errors.policy import LabelUnreadable
from freehold.domain.labels import Label
from freehold.domain.releases import Release
from freehold.domain.zones import ZoneTree
from freehold.policy.lattice import leq
from freehold.policy.text import parse_label

LIFTED = frozenset({"zone", "level", "kinds", "training", "evidence", "phi-contract", "pii-retention", "scan"})
"""Rules that a person may lift for one body. Any other rule, and any new one until it is named here, stays."""


def not_lifted(rules: Iterable[str]) -> frozenset[str]:
    """Those of some rules that no release lifts."""
    return frozenset(rules) - LIFTED


def find_release(
    decision: PolicyDecision,
    label: Label,
    releases: Sequence[Release],
    *,
    place: str,
    tree: ZoneTree,
    unix_ms: int,
) -> Release | None:
    """The release by which one deployment may have a body after all.

    Args:
        decision: Policy's denial.
        label: The body's label, as it is now.
        releases: Those that are approved for exactly this body.
        place: Digest of what the deployment is now; where it is not known, nothing is released to it.
        tree: The site's zones.
        unix_ms: Now.

    Returns:
        The first that was asked for this deployment as it is, under a label at least as strict, with every rule that
        forbids it now among those that it was approved against; ``None`` for none.
    """
    if decision.allowed or not decision.rules or not_lifted(decision.rules) or not place:
        return None
    for each in releases:
        if each.deployment != decision.deployment or each.place != place or each.state(unix_ms) != "approved":
            continue
        if set(decision.rules) <= set(each.rules) and _covers(each.label, label, tree):
            return each
    return None


def lifted(decision: PolicyDecision, release: Release) -> PolicyDecision:
    """The decision that a release makes of a denial; it says by which release, and what was lifted."""
    against = "; ".join(decision.reasons)
    return PolicyDecision(
        deployment=decision.deployment,
        allowed=True,
        rules=(f"{RELEASED_BY}{release.id}",),
        reasons=(f"may have this one body, once, since {release.approved_by} released it, although it {against}",),
    )


def _covers(text: str, label: Label, tree: ZoneTree) -> bool:
    try:
        return leq(label, parse_label(text, tree))
    except LabelUnreadable:
        return False
