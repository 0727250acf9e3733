"""What holds a month's spend: how a tenant's month goes, read from its outcomes and its usage, and the threshold that follows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from freehold.domain.certificates import LabelKind
from freehold.domain.limits import Window, span_of
from freehold.domain.money import Money
from freehold.domain.outcomes import AnswerOutcome
from freehold.routing.spend import Spending, spend_threshold
from freehold.storage.outcomes import SqliteOutcomes
from freehold.storage.usage import SqliteUsage

_RECENT = 2_000
"""Outcomes of a tenant that tell how it asks of late."""

_LATE_MS = 3_600_000
"""A rate is taken over no less than an hour: one request is no traffic."""


async def thresholds(
    budgets: Mapping[str, Money], *, outcomes: SqliteOutcomes, usage: SqliteUsage, unix_ms: int
) -> dict[str, float]:
    """The probabilities below which a tenant's answers may be escalated for doubt; none where all can be paid.

    Args:
        budgets: What is to be spent in a month, by tenant.
        outcomes: How tenants ask of late, and what escalations cost.
        usage: What was spent.
        unix_ms: Now.

    Raises:
        StorageFailed: The database cannot be read.
    """
    month = span_of(Window.MONTH, unix_ms)
    found: dict[str, float] = {}
    for tenant, budget in budgets.items():
        uses = await asyncio.to_thread(
            usage.read, from_unix_ms=month.from_unix_ms, to_unix_ms=month.to_unix_ms, tenant=tenant
        )
        spent = sum(each.amount_micros for each in uses.attempts if each.currency == budget.currency)
        recent = await outcomes.read(tenant=tenant, most=_RECENT)
        length_ms = month.to_unix_ms - month.from_unix_ms
        at = spend_threshold(
            spending_of(
                recent,
                budget_micros=budget.micros,
                spent_micros=spent,
                elapsed=(unix_ms - month.from_unix_ms) / length_ms,
                month_ms=length_ms,
                unix_ms=unix_ms,
            )
        )
        if at is not None:
            found[tenant] = at
    return found


def spending_of(
    recent: Sequence[AnswerOutcome],
    *,
    budget_micros: int,
    spent_micros: int,
    elapsed: float,
    month_ms: int,
    unix_ms: int,
) -> Spending:
    """How a month goes.

    Args:
        recent: The tenant's newest outcomes, oldest first.
        budget_micros: What is to be spent in it.
        spent_micros: What was.
        elapsed: Share of it that is over.
        month_ms: Its length.
        unix_ms: Now.
    """
    asked: dict[str, list[AnswerOutcome]] = {}
    for outcome in recent:
        if outcome.label_kind is not LabelKind.GOLD:
            asked.setdefault(outcome.request_id, []).append(outcome)
    probabilities: list[float] = []
    costs: list[int] = []
    for answers in asked.values():
        probabilities += [answers[0].probability] if answers[0].probability is not None else []
        if len(answers) > 1:
            costs.append(sum(each.cost_micros or 0 for each in answers[1:]))
    since_ms = min((each[0].unix_ms for each in asked.values()), default=unix_ms)
    return Spending(
        budget_micros=budget_micros,
        spent_micros=spent_micros,
        elapsed=elapsed,
        answers=len(asked) * month_ms / max(unix_ms - since_ms, _LATE_MS),
        escalation_micros=sum(costs) / len(costs) if costs else 0.0,
        probabilities=probabilities,
    )
