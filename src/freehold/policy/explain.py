"""Why a label may or may not go somewhere, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from freehold.domain.decisions import PolicyDecision
from freehold.domain.deployment import Deployment
from freehold.domain.labels import Label, LabelSource
from freehold.policy.decide import decide
from freehold.policy.labelling import join_sources
from freehold.policy.lattice import bottom
from freehold.policy.rulebook import Rulebook
from freehold.policy.text import format_label


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSaying:
    """What one rule says of one deployment.

    Attributes:
        rule: Its id.
        reason: Its sentence.
        because_of: Sources of the label any one of which alone makes the rule forbid; empty where the rule has no
            objection, or forbids any text at all, or only several sources together make it forbid.
    """

    rule: str
    reason: str
    because_of: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WayExplained:
    """Whether the text may go to one deployment, rule by rule."""

    deployment: Deployment
    allowed: bool
    rules: tuple[RuleSaying, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A label, who set it, and where it may go."""

    label: Label
    sources: tuple[LabelSource, ...]
    ways: tuple[WayExplained, ...]

    def lines(self) -> tuple[str, ...]:
        """For people: the label, each source, then each deployment with the rules that forbid it."""
        shown = [f"label {format_label(self.label)}"]
        shown += [f"  {source.rule} asks for {format_label(source.label)}" for source in self.sources]
        for way in self.ways:
            verdict = "allowed" if way.allowed else "denied"
            shown.append(f"{way.deployment.name} (zone {way.deployment.zone}): {verdict}")
            if not way.allowed:
                shown += [_line(saying) for saying in way.rules]
        return tuple(shown)

    def to_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "label": format_label(self.label),
            "sources": [{"rule": source.rule, "label": format_label(source.label)} for source in self.sources],
            "deployments": [
                {
                    "deployment": way.deployment.name,
                    "zone": way.deployment.zone,
                    "allowed": way.allowed,
                    "rules": [
                        {"rule": each.rule, "reason": each.reason, "because_of": list(each.because_of)}
                        for each in way.rules
                    ],
                }
                for way in self.ways
            ],
        }


def explain(
    sources: Sequence[LabelSource],
    deployments: Sequence[Deployment],
    *,
    policy: Rulebook,
    tenant: str,
    unix_ms: int,
    audit_ready: bool,
    scan_complete: bool = True,
) -> Explanation:
    """Decide for every deployment, and trace each denial to the sources of the label that cause it."""

    def decided(label: Label, deployment: Deployment) -> PolicyDecision:
        return decide(
            label,
            deployment,
            policy=policy,
            tenant=tenant,
            unix_ms=unix_ms,
            audit_ready=audit_ready,
            scan_complete=scan_complete,
        )

    def way(deployment: Deployment) -> WayExplained:
        whole = decided(label, deployment)
        anyway = _forbidding(decided(bottom(policy.tree), deployment))
        alone = {source.rule: _forbidding(decided(source.label, deployment)) - anyway for source in sources}
        return WayExplained(
            deployment=deployment,
            allowed=whole.allowed,
            rules=tuple(
                RuleSaying(
                    rule=rule, reason=reason, because_of=tuple(name for name, rules in alone.items() if rule in rules)
                )
                for rule, reason in zip(whole.rules, whole.reasons, strict=True)
            ),
        )

    label = join_sources(sources, tree=policy.tree)
    return Explanation(label=label, sources=tuple(sources), ways=tuple(map(way, deployments)))


def _forbidding(decision: PolicyDecision) -> frozenset[str]:
    return frozenset() if decision.allowed else frozenset(decision.rules)


def _line(saying: RuleSaying) -> str:
    cause = f" (set by {', '.join(saying.because_of)})" if saying.because_of else ""
    return f"  {saying.rule}: {saying.reason}{cause}"
