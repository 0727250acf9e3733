"""What other rules would have said of what was decided before: a dry run over receipts. Nothing is changed by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from freehold.domain.deployment import Deployment
from freehold.domain.labels import Label
from freehold.domain.receipt import Receipt
from freehold.policy.decide import decide
from freehold.policy.rulebook import Rulebook
from freehold.policy.text import format_label

_AUDIT, _SCAN = "audit", "scan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What would be otherwise for the texts of a tenant with a label at a deployment.

    Attributes:
        tenant: Whose texts.
        label: Theirs, as one line.
        deployment: Where they may go, or may not.
        opened: Whether the new rules allow what those in force deny; else the other way round.
        rules: For what is blocked the new rules that forbid it; for what is opened those in force that did.
        requests: How many.
        answered: How many of them were answered there.
    """

    tenant: str
    label: str
    deployment: str
    opened: bool
    rules: tuple[str, ...]
    requests: int
    answered: int


@dataclass(slots=True, kw_only=True)
class Replay:
    """Rules in force and new ones over the same receipts.

    Both are held against the facts of today, so that what differs is due to the rules alone. What was recorded then and
    would be decided otherwise today by the rules in force is counted apart: there facts or rules have changed since.

    Attributes:
        now: The rules in force.
        new: Those that are tried.
        deployments: By name, with the terms of today.
        requests: Receipts seen.
        decisions: Decisions in them.
        gone: Decisions on deployments that there are no more.
        drifted: Decisions that the rules in force would make otherwise today than they were made.
    """

    now: Rulebook
    new: Rulebook
    deployments: Mapping[str, Deployment]
    requests: int = 0
    decisions: int = 0
    gone: int = 0
    drifted: int = 0
    _found: Counter[tuple[str, Label, str, bool, tuple[str, ...]]] = field(default_factory=Counter)
    _answered: Counter[tuple[str, Label, str, bool, tuple[str, ...]]] = field(default_factory=Counter)

    def see(self, receipt: Receipt) -> None:
        """Count one receipt."""
        self.requests += 1
        answered = receipt.answered_by
        # One fact of the whole text, which a decision on this machine does not tell, since that rule says nothing there.
        scan_complete = not any(_SCAN in each.rules for each in receipt.decisions if not each.allowed)
        for decision in receipt.decisions:
            self.decisions += 1
            deployment = self.deployments.get(decision.deployment)
            if deployment is None:
                self.gone += 1
                continue
            audit_ready = decision.allowed or _AUDIT not in decision.rules
            before, after = (
                decide(
                    receipt.label,
                    deployment,
                    policy=rules,
                    tenant=receipt.tenant,
                    unix_ms=receipt.created_unix_ms,
                    audit_ready=audit_ready,
                    scan_complete=scan_complete,
                )
                for rules in (self.now, self.new)
            )
            self.drifted += before.allowed != decision.allowed
            if before.allowed == after.allowed:
                continue
            denied = before if after.allowed else after
            key = (receipt.tenant, receipt.label, deployment.name, after.allowed, denied.rules)
            self._found[key] += 1
            self._answered[key] += answered is not None and answered.deployment == deployment.name

    def changes(self) -> tuple[Change, ...]:
        """What would be otherwise: what opens first, then what most requests have."""
        found = [
            Change(
                tenant=tenant,
                label=format_label(label),
                deployment=deployment,
                opened=opened,
                rules=rules,
                requests=number,
                answered=self._answered[tenant, label, deployment, opened, rules],
            )
            for (tenant, label, deployment, opened, rules), number in self._found.items()
        ]
        return tuple(sorted(found, key=lambda c: (not c.opened, -c.requests, c.tenant, c.deployment, c.label)))

    def by_rule(self) -> dict[str, int]:
        """How many decisions each rule is the reason of, most first."""
        counts: Counter[str] = Counter()
        for change in self.changes():
            for rule in change.rules:
                counts[rule] += change.requests
        return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))
