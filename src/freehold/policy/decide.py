"""Where may it run? All rules must agree; whatever cannot be decided is denied."""

from __future__ import annotations

from freehold.domain.decisions import PolicyDecision
from freehold.domain.deployment import Deployment
from freehold.domain.labels import Label
from freehold.domain.zones import ZoneTree
from freehold.policy.rules import RULES, Facts

RULE_ERROR = "rule-error"
"""Id given where a rule failed instead of answering."""

_FAILURES = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def decide(label: Label, deployment: Deployment, *, tree: ZoneTree, unix_ms: int, audit_ready: bool) -> PolicyDecision:
    """Whether a text with this label may go to this deployment.

    Args:
        label: The text's.
        deployment: Where it would go.
        tree: The site's zones.
        unix_ms: Now, against which the evidence of terms expires.
        audit_ready: Whether an egress record could be written; without it nothing leaves this machine.

    Returns:
        For a denial the rules that forbid it, for an allowance all rules that were asked; a sentence for each. A rule
        that fails, or a table without rules, is a denial.
    """
    facts = Facts(label=label, deployment=deployment, tree=tree, unix_ms=unix_ms, audit_ready=audit_ready)
    try:
        asked = [rule for rule in RULES if not (rule.beyond_device and deployment.is_on_device)]
        against = [rule for rule in asked if rule.forbids(facts)]
        reasons = tuple(rule.denied(facts) for rule in against) or tuple(rule.allowed for rule in asked)
    except _FAILURES as error:
        failed = f"could not be decided on ({type(error).__name__}), which is a denial"
        return PolicyDecision(deployment=deployment.name, allowed=False, rules=(RULE_ERROR,), reasons=(failed,))
    if not asked:
        nothing = "has no rule that allows it"
        return PolicyDecision(deployment=deployment.name, allowed=False, rules=(RULE_ERROR,), reasons=(nothing,))
    return PolicyDecision(
        deployment=deployment.name,
        allowed=not against,
        rules=tuple(rule.id for rule in against or asked),
        reasons=reasons,
    )
