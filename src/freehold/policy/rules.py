"""The rules that hold a label against a deployment, as one table.

A rule only ever forbids, and what it forbids for a label it forbids for every stricter one: raising a label never
opens a way. ``tests/property/test_policy_monotone.py`` proves that of each rule over all labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from freehold.domain.deployment import Deployment, Terms
from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE, LAN, ZoneTree
from freehold.policy.text import DEVICE_ONLY_KIND

PII_RETENTION_DAYS_MAX = 30
"""Longest that an upstream may keep personal data: the usual abuse-monitoring window of API terms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that rules may look at."""

    label: Label
    deployment: Deployment
    tree: ZoneTree
    unix_ms: int
    audit_ready: bool

    @property
    def terms(self) -> Terms:
        """What the deployment promises."""
        return self.deployment.terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One reason to forbid.

    Attributes:
        id: What receipts, the audit log and errors call it.
        forbids: Whether it forbids.
        denied: Why not, as the end of a sentence that begins with the deployment's name.
        allowed: Why it has no objection.
        beyond_device: Whether it only looks at deployments beyond this machine: promises of an upstream mean nothing
            where a text never leaves its owner's hardware.
    """

    id: str
    forbids: Callable[[Facts], bool]
    denied: Callable[[Facts], str]
    allowed: str
    beyond_device: bool = False


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _kinds_not_cleared(facts: Facts) -> frozenset[str]:
    cleared = facts.terms.kinds
    return frozenset() if cleared is None else facts.label.kinds - cleared


RULES: tuple[Rule, ...] = (
    Rule(
        id="zone",
        forbids=lambda f: f.deployment.zone not in f.label.zones,
        denied=lambda f: f"runs in zone {f.deployment.zone}, the text may be processed in: {_listed(f.label.zones)}",
        allowed="runs in a zone that the label names",
    ),
    Rule(
        id="zone-known",
        forbids=lambda f: not f.tree.is_known(f.deployment.zone),
        denied=lambda f: f"runs in zone {f.deployment.zone}, which is none of this site's",
        allowed="runs in a zone of this site",
    ),
    Rule(
        id="level",
        forbids=lambda f: f.label.level > f.terms.clearance,
        denied=lambda f: f"is cleared up to {f.terms.clearance.word}, the text is {f.label.level.word}",
        allowed="is cleared for the level",
    ),
    Rule(
        id="kinds",
        forbids=lambda f: bool(_kinds_not_cleared(f)),
        denied=lambda f: f"is not cleared for the kinds: {_listed(_kinds_not_cleared(f))}",
        allowed="is cleared for all kinds",
    ),
    Rule(
        id="readers",
        forbids=lambda f: f.label.readers is not None and not f.label.readers,
        denied=lambda _: "would make an answer that nobody may read",
        allowed="makes an answer that somebody may read",
    ),
    Rule(
        id="secrets",
        forbids=lambda f: DEVICE_ONLY_KIND in f.label.kinds,
        denied=lambda _: f"is not in zone {DEVICE}, which secrets never leave",
        allowed="gets no secrets",
        beyond_device=True,
    ),
    Rule(
        id="training",
        forbids=lambda f: f.terms.trains and f.label.level > Level.PUBLIC,
        denied=lambda f: f"may train on what it gets, the text is {f.label.level.word}",
        allowed="does not train on the text, or it is public",
        beyond_device=True,
    ),
    Rule(
        id="evidence",
        forbids=lambda f: (
            f.terms.expires_unix_ms is not None
            and f.unix_ms >= f.terms.expires_unix_ms
            and (f.label.level > Level.PUBLIC or bool(f.label.kinds))
        ),
        denied=lambda _: "has terms whose evidence has expired, which clears it for public text only",
        allowed="has terms with valid evidence, or the text is public",
        beyond_device=True,
    ),
    Rule(
        id="phi-contract",
        forbids=lambda f: "phi" in f.label.kinds and f.deployment.zone != LAN and "baa" not in f.terms.contracts,
        denied=lambda _: "has no business associate agreement (baa), the text holds health data",
        allowed="may have health data, or there is none",
        beyond_device=True,
    ),
    Rule(
        id="pii-retention",
        forbids=lambda f: "pii" in f.label.kinds and f.terms.retention_days > PII_RETENTION_DAYS_MAX,
        denied=lambda f: (
            f"keeps texts for {f.terms.retention_days} days, personal data may be kept {PII_RETENTION_DAYS_MAX}"
        ),
        allowed="keeps texts no longer than personal data may be kept, or there is none",
        beyond_device=True,
    ),
    Rule(
        id="audit",
        forbids=lambda f: not f.audit_ready,
        denied=lambda _: "is beyond this machine, and the audit log cannot be written",
        allowed="can be recorded before anything is sent",
        beyond_device=True,
    ),
)
"""Every rule there is, in the order in which reasons are given."""
