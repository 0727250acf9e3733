"""Limits in force: what is set aside before a request is sent anywhere, and counted when it ends.

Counts live in a ``LimitTable``, which all workers share. They are held up to what the receipts say: at the start, when a
limit or a window is new, and now and then, so that neither a restart nor a crash forgets what was used in this hour, day or month.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from freehold.domain.errors.limits import (
    BudgetSpent,
    LimitError,
    LimitHeld,
    LimitReached,
    LimitTooSmall,
    RequestOverLimit,
)
from freehold.domain.identity import Principal
from freehold.domain.limits import Bound, Limit, Measure, Span, Standing, Subject, SubjectKind, Used, Window, span_of
from freehold.domain.ports import Clock
from freehold.domain.receipt import Receipt
from freehold.identity.limit_book import LimitStore, limit_amount
from freehold.identity.limit_table import LimitTable, row_key
from freehold.identity.limits import Count, Reason, Refused, decide
from freehold.storage.usage import Uses

RECONCILE_EVERY_S = 60.0
"""How often counts are held up to receipts where no limit has changed."""

_RECONCILED = (Window.HOUR, Window.DAY, Window.MONTH)
_NO_PLACE = -1


class UsageStore(Protocol):
    """What receipts come to. Blocks."""

    def read(self, *, from_unix_ms: int, to_unix_ms: int, tenant: str | None) -> Uses:
        """Sums from the beginning of one hour to that of another."""
        ...


class _Row:
    """A limit, and where it is counted."""

    __slots__ = ("key", "limit", "place")

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.key = row_key(limit.place)
        self.place = _NO_PLACE


class _Held(NamedTuple):
    """What is set aside of one limit."""

    row: _Row
    span: Span
    amount: int


class Reserved:
    """What is set aside for one request. Implements ``domain.ports.Reservation``."""

    __slots__ = ("_held", "_is_open", "_quotas")

    def __init__(self, quotas: Quotas, held: Sequence[_Held]) -> None:
        self._quotas = quotas
        self._held = held
        self._is_open = True

    def settle(self, receipt: Receipt | None) -> None:
        """Count what the request used, and give the rest back. Idempotent."""
        if self._is_open:
            self._is_open = False
            self._quotas.settle(self._held, receipt)

    def standings(self) -> tuple[Standing, ...]:
        """How its caller stands now."""
        return self._quotas.standings(self._held)


class Quotas:
    """Implements ``domain.ports.Quotas``. All but the reading of stores is for the event loop.

    Attributes:
        limited: Names of tenants and lines of keys that have limits.
    """

    def __init__(
        self,
        *,
        store: LimitStore,
        usage: UsageStore,
        table: LimitTable,
        clock: Clock,
        line_of: Callable[[str], str] = str,
    ) -> None:
        """Hold nobody to anything yet; ``refresh`` does.

        Args:
            store: Where limits are kept.
            usage: What was used before.
            table: Where it is counted.
            clock: Time.
            line_of: Id of the first of the keys that followed one another up to this one: a limit goes on over a
                rotation.
        """
        self._line_of = line_of
        self._store = store
        self._usage = usage
        self._table = table
        self._clock = clock
        self._limits: tuple[tuple[Subject, Limit], ...] = ()
        self._rows: dict[Subject, tuple[_Row, ...]] = {}
        self._refreshing = asyncio.Lock()
        self._spans: list[Span] = []
        self._last: dict[Window, Span] = {}
        self._reconciled_s = float("-inf")
        self.limited: frozenset[str] = frozenset()

    def close(self) -> None:
        """Let go of the table."""
        self._table.close()

    async def refresh(self) -> None:
        """Read the limits again; and what was used where a limit or a window is new, or that was long ago.

        A clock that jumped far back begins windows anew that had been used.

        Raises:
            StorageFailed: Something cannot be read; what held before still does.
        """
        async with self._refreshing:
            limits = await asyncio.to_thread(self._read)
            spans = [span_of(window, self._clock.unix_ms()) for window in _RECONCILED]
            if limits != self._limits:
                self._put_in_force(limits)
            elif spans == self._spans and self._clock.monotonic_s() - self._reconciled_s < RECONCILE_EVERY_S:
                return
            await self._reconcile()
            self._spans, self._reconciled_s = spans, self._clock.monotonic_s()

    def reserve(self, principal: Principal, bound: Bound) -> Reserved | None:
        """Set the most aside that a request may come to; ``None`` for a caller without limits.

        Raises:
            LimitError: It does not fit into what the caller may still use.
        """
        rows = self._rows_of(principal)
        if not rows:
            return None
        unix_ms = self._clock.unix_ms()
        priced = {row.limit.place: bound.micros(row.limit) for row in rows if row.limit.measure is Measure.MONEY}
        # Priced before the table is held, which others wait for.
        fixed = Bound(tokens=bound.tokens, micros=lambda limit: priced[limit.place])
        spans = [self._span(row.limit.window, unix_ms) for row in rows]
        with self._table:
            counts = [self._count(row, span, unix_ms) for row, span in zip(rows, spans, strict=True)]
            answer = decide(counts, fixed, unix_ms=unix_ms)
            if isinstance(answer, Refused):
                raise _error(answer, [count.standing(unix_ms) for count in counts])
            held = [_Held(*each) for each in zip(rows, spans, answer.amounts, strict=True)]
            for row, span, amount in held:
                self._table.hold(row.place, span.to_unix_ms, amount)
        return Reserved(self, held)

    def settle(self, held: Sequence[_Held], receipt: Receipt | None) -> None:
        """Count what a receipt says instead of what was set aside."""
        with self._table:
            for row, span, amount in held:
                used = 0 if receipt is None else used_of(receipt, row.limit.currency).of(row.limit.measure)
                self._table.settle(row.place, row.key, span.to_unix_ms, held=amount, used=used)

    def standings(self, held: Sequence[_Held]) -> tuple[Standing, ...]:
        """How some limits stand now."""
        unix_ms = self._clock.unix_ms()
        with self._table:
            return tuple(self._count(row, span, unix_ms).standing(unix_ms) for row, span, _ in held)

    def _span(self, window: Window, unix_ms: int) -> Span:
        """The window of now, which is most often that of the last time."""
        found = self._last.get(window)
        if found is None or not found.from_unix_ms <= unix_ms < found.to_unix_ms:
            self._last[window] = found = span_of(window, unix_ms)
        return found

    def _count(self, row: _Row, span: Span, unix_ms: int) -> Count:
        row.place = place = self._table.place(row.key, row.place, unix_ms=unix_ms)
        used, reserved = self._table.counted(place, span.to_unix_ms)
        return Count(limit=row.limit, used=used, reserved=reserved, ends_unix_ms=span.to_unix_ms)

    def _rows_of(self, principal: Principal) -> tuple[_Row, ...]:
        none: tuple[_Row, ...] = ()
        return self._rows.get(Subject(SubjectKind.TENANT, principal.tenant.name), none) + self._rows.get(
            Subject(SubjectKind.KEY, principal.line or principal.key_id), none
        )

    def _read(self) -> tuple[tuple[Subject, Limit], ...]:
        """Every limit, and whose use counts for it: of a key that another program made that is known a little later."""
        return tuple((in_line(limit.subject, self._line_of), limit) for limit in self._store.all())

    def _put_in_force(self, limits: tuple[tuple[Subject, Limit], ...]) -> None:
        rows: dict[Subject, tuple[_Row, ...]] = {}
        for subject, limit in limits:
            rows[subject] = (*rows.get(subject, ()), _Row(limit))
        self._limits, self._rows = limits, rows
        self._spans = []  # until what was used before is counted
        self.limited = frozenset(subject.name for subject in rows)

    async def _reconcile(self) -> None:
        """Have at least as much counted as the receipts say: what is not counted yet is added, nothing is taken away.

        The limits are in force already, so that what ends meanwhile is counted by itself. Minutes are left out: they
        are over before that matters.
        """
        unix_ms = self._clock.unix_ms()
        rows = [row for rows in self._rows.values() for row in rows if row.limit.window in _RECONCILED]
        for window in {row.limit.window for row in rows}:
            span = span_of(window, unix_ms)
            uses = await asyncio.to_thread(
                self._usage.read, from_unix_ms=span.from_unix_ms, to_unix_ms=span.to_unix_ms, tenant=None
            )
            found = used_by_subject(uses, self._line_of)
            with self._table:
                for row in rows:
                    if row.limit.window is window and (used := used_of_limit(found, row.limit, self._line_of)):
                        row.place = self._table.place(row.key, row.place, unix_ms=unix_ms)
                        self._table.raise_used(row.place, span.to_unix_ms, used)


def used_of(receipt: Receipt, currency: str) -> Used:
    """What a request came to, in all its attempts; money of one currency only. One that never ran counts as no request."""
    tokens = micros = 0
    for attempt in receipt.attempts:
        tokens += attempt.usage.input_tokens + attempt.usage.output_tokens
        amount = attempt.cost.amount if attempt.cost is not None else None
        if amount is not None and amount.currency == currency:
            micros += amount.micros
    return Used(int(receipt.counts), tokens, micros)


def in_line(subject: Subject, line_of: Callable[[str], str]) -> Subject:
    """Whose use counts for a subject: of a key, that of all keys of its line."""
    return Subject(subject.kind, line_of(subject.name)) if subject.kind is SubjectKind.KEY else subject


def used_by_subject(uses: Uses, line_of: Callable[[str], str] = str) -> Mapping[tuple[Subject, str], Used]:
    """What tenants and lines of keys used, by subject and currency; requests and tokens under no currency."""
    found: dict[tuple[Subject, str], Used] = {}

    def add(tenant: str, key_id: str, currency: str, used: Used) -> None:
        for subject in (Subject(SubjectKind.TENANT, tenant), Subject(SubjectKind.KEY, line_of(key_id))):
            before = found.get((subject, currency), Used())
            found[subject, currency] = Used(*map(sum, zip(before, used, strict=True)))

    for row in uses.requests:
        add(row.tenant, row.key_id, "", Used(requests=row.requests))
    for row in uses.attempts:
        add(row.tenant, row.key_id, "", Used(tokens=row.input_tokens + row.output_tokens))
        if row.currency:
            add(row.tenant, row.key_id, row.currency, Used(micros=row.amount_micros))
    return found


def used_of_limit(found: Mapping[tuple[Subject, str], Used], limit: Limit, line_of: Callable[[str], str] = str) -> int:
    """What a limit counts of what was used."""
    return found.get((in_line(limit.subject, line_of), limit.currency), Used()).of(limit.measure)


def _error(refused: Refused, standings: Sequence[Standing]) -> LimitError:
    """The refusal as its caller is told it."""
    count = refused.count
    limit, retry_s = count.limit, refused.retry_after_s
    said: dict[str, object] = {
        "subject": f"{limit.subject.kind.value} {limit.subject.name}",
        "used": limit_amount(limit, count.used),
        "limit": limit_amount(limit),
        "window": limit.window.value,
        "reserved": limit_amount(limit, count.reserved),
        "wanted": limit_amount(limit, refused.wanted),
        "left": limit_amount(limit, limit.amount - count.used),
        "resets": f"{datetime.fromtimestamp(count.ends_unix_ms // 1000, UTC):%Y-%m-%d %H:%M} UTC",
        "retry_s": retry_s,
    }
    kind: type[LimitError] = {
        Reason.HELD: LimitHeld,
        Reason.LITTLE_LEFT: LimitTooSmall,
        Reason.REACHED: BudgetSpent if limit.window is Window.MONTH else LimitReached,
        Reason.NEVER: RequestOverLimit,
    }[refused.reason]
    error = kind(source="freehold", param=None, retry_after_s=retry_s, **said)
    error.standings = tuple(standings)
    return error
