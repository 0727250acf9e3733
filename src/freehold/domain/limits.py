"""Limits: how much a tenant or a key may use in a window of time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from freehold.domain.values import value


class Measure(StrEnum):
    """What is counted."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    MONEY = "money"


class Window(StrEnum):
    """For how long. Windows follow the calendar in UTC, so that anybody can tell when one ends."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Span(NamedTuple):
    """One window: from the first moment up to but without the second."""

    from_unix_ms: int
    to_unix_ms: int


HOUR_MS = 3_600_000
_LENGTH_MS = {Window.MINUTE: 60_000, Window.HOUR: HOUR_MS, Window.DAY: 24 * HOUR_MS}


def span_of(window: Window, unix_ms: int) -> Span:
    """The window that a moment lies in."""
    if window is Window.MONTH:
        moment = datetime.fromtimestamp(unix_ms // 1000, UTC)
        year, month = moment.year, moment.month
        return Span(_month_start(year, month), _month_start(year + month // 12, month % 12 + 1))
    length_ms = _LENGTH_MS[window]
    start = unix_ms // length_ms * length_ms
    return Span(start, start + length_ms)


def _month_start(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000


class SubjectKind(StrEnum):
    """Whose use is counted."""

    TENANT = "tenant"
    KEY = "key"


class Subject(NamedTuple):
    """Who is limited: a tenant by its name, or a key by its id."""

    kind: SubjectKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The most that a subject may use in each window.

    Attributes:
        subject: Who.
        measure: Of what.
        window: In which time.
        amount: How much; for money in micro-units.
        currency: ISO 4217 code of an amount of money, else empty. A subject may have one for each currency.
    """

    subject: Subject
    measure: Measure
    window: Window
    amount: int
    currency: str = ""

    @property
    def place(self) -> tuple[str, str, str, str]:
        """What is counted where: limits that differ in nothing but their amount have the same one."""
        return str(self.subject), self.measure, self.window, self.currency


class Used(NamedTuple):
    """What somebody used, or may use at most.

    Attributes:
        requests: Requests that were not refused.
        tokens: Read and written, in all attempts.
        micros: Money of one currency.
    """

    requests: int = 0
    tokens: int = 0
    micros: int = 0

    def of(self, measure: Measure) -> int:
        """One of them."""
        return (
            self.requests if measure is Measure.REQUESTS else self.tokens if measure is Measure.TOKENS else self.micros
        )


@value
class Bound:
    """The most that a request may come to.

    Attributes:
        tokens: Read and written, in all attempts that may be made.
        micros: Money of a currency. It raises ``PriceMissing`` where that cannot be told.
    """

    tokens: int
    micros: Callable[[Limit], int]


@value
class Standing:
    """How a caller stands with one of its limits.

    Attributes:
        limit: The limit.
        used: Used in this window.
        reserved: Held for requests that run.
        reset_s: Seconds until the window ends, at least 1.
    """

    limit: Limit
    used: int
    reserved: int
    reset_s: int

    @property
    def remaining(self) -> int:
        """What is neither used nor held."""
        return max(0, self.limit.amount - self.used - self.reserved)
