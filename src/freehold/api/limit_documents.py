"""Limits and tenants as JSON-ready values: what the admin API answers, and commands print. Blocks on stores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from freehold.domain.identity import Tenant
from freehold.domain.limits import Limit, Measure, Subject, SubjectKind, Used, Window, span_of
from freehold.domain.money import Money
from freehold.identity.limit_book import Keys, LimitBook
from freehold.identity.quotas import used_by_subject, used_of_limit
from freehold.ledger.usage import By, usage_documents, usage_lines
from freehold.policy.text import format_label
from freehold.storage.usage import SqliteUsage


def limit_documents(
    limits: Sequence[Limit], *, usage: SqliteUsage, unix_ms: int, line_of: Callable[[str], str] = str
) -> list[dict[str, object]]:
    """Limits with what receipts say is used of them now; of a minute that is not said."""
    found: dict[Window, Mapping[tuple[Subject, str], Used]] = {}
    for window in {limit.window for limit in limits} - {Window.MINUTE}:
        span = span_of(window, unix_ms)
        uses = usage.read(from_unix_ms=span.from_unix_ms, to_unix_ms=span.to_unix_ms, tenant=None)
        found[window] = used_by_subject(uses, line_of)
    return [
        {
            "subject": str(limit.subject),
            "what": limit.measure.value,
            "window": limit.window.value,
            "amount": _number(limit, limit.amount),
            "currency": limit.currency or None,
            "used": _number(limit, used_of_limit(found[limit.window], limit, line_of))
            if limit.window in found
            else None,
            "resets_unix_ms": span_of(limit.window, unix_ms).to_unix_ms,
        }
        for limit in limits
    ]


def tenant_documents(
    tenants: Iterable[Tenant], *, book: LimitBook, keys: Keys, usage: SqliteUsage, unix_ms: int
) -> list[dict[str, object]]:
    """Tenants with their limits and what they used this month; ``None`` where that is nothing."""
    month = span_of(Window.MONTH, unix_ms)
    uses = usage.read(from_unix_ms=month.from_unix_ms, to_unix_ms=month.to_unix_ms, tenant=None)
    used = {line.group: line for line in usage_lines(uses, By.TENANT)}
    limits = [limit for limit in book.all() if limit.subject.kind is SubjectKind.TENANT]
    shown: dict[str, list[dict[str, object]]] = {}
    for limit, document in zip(limits, limit_documents(limits, usage=usage, unix_ms=unix_ms), strict=True):
        shown.setdefault(limit.subject.name, []).append(document)
    good = Counter(record.tenant for record in keys.list() if record.revoked_unix_ms is None)
    found: list[dict[str, object]] = []
    for tenant in tenants:
        lines = [used[tenant.name]] if tenant.name in used else []
        found.append(
            {
                "name": tenant.name,
                "label": format_label(tenant.label),
                "weight": tenant.weight,
                "keys": good[tenant.name],
                "limits": shown.get(tenant.name, []),
                "this_month": next(iter(usage_documents(lines, By.TENANT, names={})), None),
            }
        )
    return found


def _number(limit: Limit, amount: int) -> object:
    """Whole numbers as such, money as exact text."""
    return f"{Money(micros=amount).amount:.6f}" if limit.measure is Measure.MONEY else amount
