"""What each shipped rule says, in words. The rules themselves are in ``rules.cedar``, with the same ids in this order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from freehold.domain.deployment import Deployment, Terms
from freehold.domain.labels import Label
from freehold.domain.zones import DEVICE

PERMIT = "permit"
"""Id of the shipped permit: what no rule forbids may go. A tenant with permits of its own has those instead."""

PII_RETENTION_DAYS_MAX = 30
"""Longest that an upstream may keep personal data: the usual abuse-monitoring window of API terms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What sentences are made of."""

    label: Label
    deployment: Deployment

    @property
    def terms(self) -> Terms:
        """What the deployment promises."""
        return self.deployment.terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """One rule's sentences; both begin with the deployment's name.

    Attributes:
        denied: Why it forbids.
        allowed: Why it has no objection.
    """

    denied: Callable[[Facts], str]
    allowed: str


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _kinds_not_cleared(facts: Facts) -> frozenset[str]:
    cleared = facts.terms.kinds
    return frozenset() if cleared is None else facts.label.kinds - cleared


SAYINGS: Mapping[str, Saying] = MappingProxyType(
    {
        "zone": Saying(
            denied=lambda f: (
                f"runs in zone {f.deployment.zone}, the text may be processed in: {_listed(f.label.zones)}"
            ),
            allowed="runs in a zone that the label names",
        ),
        "zone-known": Saying(
            denied=lambda f: f"runs in zone {f.deployment.zone}, which is none of this site's",
            allowed="runs in a zone of this site",
        ),
        "level": Saying(
            denied=lambda f: f"is cleared up to {f.terms.clearance.word}, the text is {f.label.level.word}",
            allowed="is cleared for the level",
        ),
        "kinds": Saying(
            denied=lambda f: f"is not cleared for the kinds: {_listed(_kinds_not_cleared(f))}",
            allowed="is cleared for all kinds",
        ),
        "readers": Saying(
            denied=lambda _: "would make an answer that nobody may read",
            allowed="makes an answer that somebody may read",
        ),
        "secrets": Saying(
            denied=lambda _: f"is not in zone {DEVICE}, which secrets never leave",
            allowed="gets no secrets",
        ),
        "training": Saying(
            denied=lambda f: f"may train on what it gets, the text is {f.label.level.word}",
            allowed="does not train on the text, or it is public",
        ),
        "evidence": Saying(
            denied=lambda _: "has terms whose evidence has expired, which clears it for public text only",
            allowed="has terms with valid evidence, or the text is public",
        ),
        "phi-contract": Saying(
            denied=lambda _: "has no business associate agreement (baa), the text holds health data",
            allowed="may have health data, or there is none",
        ),
        "pii-retention": Saying(
            denied=lambda f: (
                f"keeps texts for {f.terms.retention_days} days, personal data may be kept {PII_RETENTION_DAYS_MAX}"
            ),
            allowed="keeps texts no longer than personal data may be kept, or there is none",
        ),
        "audit": Saying(
            denied=lambda _: (
                "is beyond this machine, and what leaves cannot be recorded: the audit log fails, or the egress broker is away"
            ),
            allowed="can be recorded before anything is sent",
        ),
        "scan": Saying(
            denied=lambda _: "is beyond this machine, and the text could not be looked through to the end",
            allowed="gets nothing that was yet to be looked through",
        ),
    }
)
"""Of every shipped rule that forbids, in the order in which reasons are given."""
