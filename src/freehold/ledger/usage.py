"""What was used, by key, tenant, deployment or day: as values, as JSON-ready documents, and as a table for other programs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from freehold.domain.limits import Span, Window, span_of
from freehold.domain.money import Money
from freehold.storage.usage import WHOLE_MS, AttemptUse, RequestUse, Uses

DAY_MS = 86_400_000
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins like this is a program to a spreadsheet; names are what people chose."""


class By(StrEnum):
    """What a row is about."""

    KEY = "key"
    TENANT = "tenant"
    DEPLOYMENT = "deployment"
    DAY = "day"

    @property
    def step_ms(self) -> int:
        """Slots of time to ask the store for."""
        return DAY_MS if self is By.DAY else WHOLE_MS


@dataclass(slots=True, kw_only=True)
class UsageLine:
    """One row.

    Attributes:
        group: The key's id, the tenant, the deployment or the day.
        tenant: Whose the key is; else empty.
        requests: Those that were not refused; nothing is said of them by deployment.
        refused: Those that were.
        attempts: Calls of models, escalations too.
        input_tokens: Read, cached ones among them.
        output_tokens: Written, reasoning among them.
        cached_tokens: Of those that were read.
        reasoning_tokens: Of those that were written.
        estimated: Of how many attempts the tokens are estimates.
        unpriced: Attempts whose cost is not known.
        energy_mwh: Drawn by owned hardware.
        micros: What the others cost, by currency.
    """

    group: str
    tenant: str = ""
    requests: int = 0
    refused: int = 0
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: int = 0
    unpriced: int = 0
    energy_mwh: int = 0
    micros: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def cost(self) -> tuple[Money, ...]:
        """What it came to, by currency."""
        return tuple(Money(micros=micros, currency=currency) for currency, micros in sorted(self.micros.items()))


def usage_lines(uses: Uses, by: By) -> list[UsageLine]:
    """Rows of what was used, in the order of their groups."""
    found: dict[tuple[str, str], UsageLine] = {}
    group = _GROUPS[by]

    def line(row: AttemptUse | RequestUse, name: str) -> UsageLine:
        tenant = row.tenant if by is By.KEY else ""
        return found.setdefault((name, tenant), UsageLine(group=name, tenant=tenant))

    for asked in uses.requests if by is not By.DEPLOYMENT else ():
        each = line(asked, group(asked))
        each.requests += asked.requests
        each.refused += asked.refused
    for row in uses.attempts:
        each = line(row, row.deployment if by is By.DEPLOYMENT else group(row))
        for name in _SUMMED:
            setattr(each, name, getattr(each, name) + getattr(row, name))
        if row.currency:
            each.micros[row.currency] = each.micros.get(row.currency, 0) + row.amount_micros
        else:
            each.unpriced += row.attempts
    return [found[key] for key in sorted(found)]


_SUMMED = (
    "attempts", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "estimated", "energy_mwh",
)  # fmt: skip
_GROUPS: Mapping[By, Callable[[AttemptUse | RequestUse], str]] = {
    By.KEY: lambda row: row.key_id,
    By.TENANT: lambda row: row.tenant,
    By.DEPLOYMENT: lambda _: "",
    By.DAY: lambda row: day_of(row.slot_unix_ms),
}


def usage_documents(lines: Sequence[UsageLine], by: By, *, names: Mapping[str, str]) -> list[dict[str, object]]:
    """Rows as JSON-ready values; ``names`` are what people call keys."""
    return [{**_about(line, by, names), **_counts(line, by), "cost": _costs(line)} for line in lines]


def usage_csv(lines: Sequence[UsageLine], by: By, *, names: Mapping[str, str]) -> str:
    """Rows as comma-separated values with a head; one column for each currency that occurs."""
    currencies = sorted({currency for line in lines for currency in line.micros})
    rows = [
        {
            **_about(line, by, names),
            **_counts(line, by),
            **{f"cost_{each.currency.lower()}": f"{each.amount:.6f}" for each in line.cost},
        }
        for line in lines
    ]
    empty = UsageLine(group="")
    head = [*_about(empty, by, names), *_counts(empty, by), *(f"cost_{each.lower()}" for each in currencies)]
    text = io.StringIO()
    writer = csv.DictWriter(text, head, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: as_cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def span_of_days(first: str, last: str, *, unix_ms: int) -> Span:
    """From the beginning of one day in UTC up to but without another one; this month where neither is given.

    Args:
        first: ``YYYY-MM-DD``; empty for the beginning of the month of ``last``, or of this month.
        last: The same; empty for the end of this month.
        unix_ms: Now.

    Raises:
        ValueError: One is no day, or there is nothing between them; the message says so.
    """
    month = span_of(Window.MONTH, unix_ms)
    to_unix_ms = _day_ms(last) if last else month.to_unix_ms
    from_unix_ms = _day_ms(first) if first else span_of(Window.MONTH, to_unix_ms - 1).from_unix_ms
    if from_unix_ms >= to_unix_ms:
        raise ValueError(f"there is nothing from {day_of(from_unix_ms)} up to but without {day_of(to_unix_ms)}")
    return Span(from_unix_ms, to_unix_ms)


def span_of_month(text: str) -> Span:
    """A month in UTC.

    Raises:
        ValueError: The text is not ``YYYY-MM``.
    """
    if not _MONTH.fullmatch(text):
        raise ValueError(f"{text!r} is no month; write YYYY-MM")
    return span_of(Window.MONTH, _day_ms(f"{text}-01"))


def day_of(unix_ms: int) -> str:
    """The day in UTC of a moment, ``YYYY-MM-DD``."""
    return datetime.fromtimestamp(unix_ms // 1000, UTC).date().isoformat()


def _day_ms(text: str) -> int:
    if _DAY.fullmatch(text):
        try:
            return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000
        except ValueError:
            pass
    raise ValueError(f"{text!r} is no day; write YYYY-MM-DD")


def _about(line: UsageLine, by: By, names: Mapping[str, str]) -> dict[str, object]:
    if by is By.KEY:
        return {"key": line.group, "name": names.get(line.group, ""), "tenant": line.tenant}
    return {by.value: line.group}


def _counts(line: UsageLine, by: By) -> dict[str, object]:
    asked = {} if by is By.DEPLOYMENT else {"requests": line.requests, "refused": line.refused}
    return {
        **asked,
        "attempts": line.attempts,
        "input_tokens": line.input_tokens,
        "output_tokens": line.output_tokens,
        "cached_tokens": line.cached_tokens,
        "reasoning_tokens": line.reasoning_tokens,
        "estimated_attempts": line.estimated,
        "unpriced_attempts": line.unpriced,
        "energy_mwh": line.energy_mwh,
    }


def _costs(line: UsageLine) -> list[dict[str, object]]:
    return [{"micros": each.micros, "currency": each.currency, "amount": f"{each.amount:.6f}"} for each in line.cost]


def as_cell(value: object) -> object:
    """A value as a cell of a table: what a spreadsheet would take for a program is a text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
