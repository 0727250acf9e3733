"""From a judged request to its outcomes: one for each answer of a chat, with the labels that an escalation gives away."""

from __future__ import annotations

from collections.abc import Callable

from freehold.domain.certificates import LabelKind, ScoredOn
from freehold.domain.decisions import Action, Confidence, Outcome, Verdict
from freehold.domain.outcomes import AnswerOutcome, Judged
from freehold.domain.receipt import Attempt
from freehold.policy.text import format_label
from freehold.routing.agreement import agrees_with

ScoredBy = Callable[[str, str, Confidence], ScoredOn]
"""What the score of a deployment's answer means: of its name, the workload and how sure we were."""


def outcomes_of(judged: Judged, *, scored_by: ScoredBy, sought: float) -> list[AnswerOutcome]:
    """The outcomes of a request, in the order of its attempts.

    Args:
        judged: The request.
        scored_by: What scores mean now.
        sought: With which chance the label of an accepted answer will be sought.
    """
    receipt = judged.receipt
    label = format_label(receipt.label)
    found: list[AnswerOutcome] = []
    for place, attempt in enumerate(receipt.attempts):
        sure, decided = attempt.prefix or attempt.confidence, attempt.verdict
        if attempt.outcome is not Outcome.COMPLETE or sure is None or decided is None:
            continue  # it failed, or was asked for the sake of another one
        right, judged_by = _by_agreement(judged, place, decided)
        cost = None if attempt.cost is None else attempt.cost.amount
        found.append(
            AnswerOutcome(
                request_id=receipt.id,
                tenant=receipt.tenant,
                label=label,
                unix_ms=receipt.created_unix_ms,
                route=receipt.route,
                deployment=attempt.deployment,
                scored_on=scored_by(attempt.deployment, judged.workload, sure),
                signals=sure.signals,
                probability=sure.probability,
                threshold=decided.threshold,
                accepted=decided.action is Action.ACCEPT,
                answered=place == receipt.answered_index,
                response_id=judged.answers[place].answer_id if place in judged.answers else "",
                right=right,
                label_kind=None if right is None else LabelKind.AGREEMENT,
                judged_by=judged_by,
                sought=_sought(decided, sought),
                question=judged.question,
                question_model=judged.question_model,
                input_tokens=attempt.usage.input_tokens,
                output_tokens=attempt.usage.output_tokens,
                cost_micros=None if cost is None else cost.micros,
                latency_ms=attempt.ended_ms - attempt.started_ms,
            )
        )
    return found


def _sought(decided: Verdict, sought: float) -> float:
    """An escalated answer has its label for nothing; of one that was the last resort nobody can tell."""
    if decided.action is Action.ACCEPT:
        return sought
    return 1.0 if decided.action is Action.ESCALATE else 0.0


def _by_agreement(judged: Judged, place: int, decided: Verdict) -> tuple[bool | None, str]:
    """Whether a stronger deployment said the same, and which."""
    if decided.action is not Action.ESCALATE or place not in judged.answers:
        return None, ""
    stronger = _stronger(judged, place)
    if stronger is None:
        return None, ""
    ours, theirs = judged.answers[place], judged.answers[stronger[0]]
    said = agrees_with(ours.text, ours.tool_calls, theirs.text, theirs.tool_calls)
    return said, "" if said is None else stronger[1].deployment


def _stronger(judged: Judged, place: int) -> tuple[int, Attempt] | None:
    """The last answer that came after this one."""
    mine = judged.receipt.attempts[place].deployment
    for later in range(len(judged.receipt.attempts) - 1, place, -1):
        attempt = judged.receipt.attempts[later]
        if attempt.verdict is not None and later in judged.answers and attempt.deployment != mine:
            return later, attempt
    return None
