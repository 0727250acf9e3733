"""Where may it run? No rule may forbid it and one must permit it; whatever cannot be decided is denied."""

from __future__ import annotations

from freehold.domain.decisions import PolicyDecision
from freehold.domain.deployment import Deployment
from freehold.domain.labels import Label
from freehold.policy.cedar import Answer, Question
from freehold.policy.rulebook import Rulebook
from freehold.policy.rules import RULE_ERROR, Rule
from freehold.policy.sayings import PERMIT, SAYINGS, Facts

_FAILURES = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def decide(
    label: Label,
    deployment: Deployment,
    *,
    policy: Rulebook,
    tenant: str,
    unix_ms: int,
    audit_ready: bool,
    scan_complete: bool = True,
) -> PolicyDecision:
    """Whether a tenant's text with this label may go to this deployment.

    Args:
        label: The text's.
        deployment: Where it would go.
        policy: The rules in force.
        tenant: Whose text; empty for what the operator asks of the machine itself.
        unix_ms: Now, against which the evidence of terms expires.
        audit_ready: Whether an egress record could be written; without it nothing leaves this machine.
        scan_complete: Whether detectors saw everything that could forbid the way, or nobody asked for any. False once
            one crashed, ran out of time or left something unread; the text then stays on this machine.

    Returns:
        For a denial the rules that forbid it, for an allowance all rules that were asked; a sentence for each. A rule
        that fails, a deployment that the configuration does not have, or rules that permit nothing are a denial.
    """
    expires = deployment.terms.expires_unix_ms
    evidence_valid = expires is None or unix_ms < expires
    try:
        key = (label, deployment, tenant, evidence_valid, audit_ready, scan_complete)
        known = policy.kept(key)
        if known is None:
            question = Question(
                tenant=tenant,
                deployment=deployment.name,
                label=label,
                evidence_valid=evidence_valid,
                audit_ready=audit_ready,
                scan_complete=scan_complete,
                own_permits=tenant in policy.narrowed,
            )
            known = _decided(policy, question, deployment)
            policy.keep(key, known)
    except _FAILURES as error:
        return _failed(deployment, type(error).__name__)
    return known


def _decided(policy: Rulebook, question: Question, deployment: Deployment) -> PolicyDecision:
    if deployment.name not in policy.names:
        return _failed(deployment, "no deployment of the configuration has this name")
    answer = policy.ask(question, deployment)
    if answer.failed:
        return _failed(deployment, answer.failed)
    facts = Facts(label=question.label, deployment=deployment)
    if answer.allowed:
        said = [(rule.id, _allowed(rule)) for rule in policy.rules if _was_asked(rule, answer, deployment)]
    else:
        said = [(rule.id, _denied(rule, facts)) for rule in policy.rules if rule.id in answer.forbids]
        said = said or [(PERMIT, f"is nothing that a rule lets {question.tenant or 'anybody'} use for it")]
    return PolicyDecision(
        deployment=deployment.name,
        allowed=answer.allowed,
        rules=tuple(rule for rule, _ in said) or (PERMIT,),
        reasons=tuple(reason for _, reason in said) or ("is forbidden by no rule",),
    )


def _was_asked(rule: Rule, answer: Answer, deployment: Deployment) -> bool:
    """Whether a rule is told of where all is well: the site's permit that allows it, and all that could have forbidden."""
    if rule.permits:
        return rule.is_own and rule.id in answer.permits
    return not (rule.beyond_device and deployment.is_on_device)


def _allowed(rule: Rule) -> str:
    if rule.is_own:
        return rule.reason if rule.permits else f"is not forbidden by the site's rule {rule.id}"
    return SAYINGS[rule.id].allowed


def _denied(rule: Rule, facts: Facts) -> str:
    return rule.reason if rule.is_own else SAYINGS[rule.id].denied(facts)


def _failed(deployment: Deployment, why: str) -> PolicyDecision:
    reason = f"could not be decided on ({why}), which is a denial"
    return PolicyDecision(deployment=deployment.name, allowed=False, rules=(RULE_ERROR,), reasons=(reason,))
