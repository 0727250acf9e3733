"""Whether a request fits into what its caller may still use. Pure: limits and counts in, an answer out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from freehold.domain.limits import Bound, Limit, Measure, Standing

HELD_S = 1
"""When to ask again where running requests hold what is left: they give most of it back when they end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What is counted of one limit in the window of now.

    Attributes:
        limit: The limit.
        used: What ended requests came to.
        reserved: The most that running ones may come to.
        ends_unix_ms: The end of the window.
    """

    limit: Limit
    used: int
    reserved: int
    ends_unix_ms: int

    def standing(self, unix_ms: int) -> Standing:
        """The same, as a caller is told."""
        return Standing(
            limit=self.limit, used=self.used, reserved=self.reserved, reset_s=reset_s(self.ends_unix_ms, unix_ms)
        )


class Reason(Enum):
    """Why a request is refused; those that come later keep it out for longer."""

    HELD = 1
    """Running requests hold what is left."""
    LITTLE_LEFT = 2
    """It may come to more than what is left."""
    REACHED = 3
    """Nothing is left."""
    NEVER = 4
    """It may come to more than the whole limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """It does not fit.

    Attributes:
        reason: Why.
        count: The limit that keeps it out for longest.
        wanted: The most that it may come to, of what that limit counts.
        retry_after_s: When it may fit; ``None`` for never.
    """

    reason: Reason
    count: Count
    wanted: int
    retry_after_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """It fits.

    Attributes:
        amounts: What is to be set aside for it, by limit, in their order.
    """

    amounts: tuple[int, ...]


def decide(counts: Sequence[Count], bound: Bound, *, unix_ms: int) -> Allowed | Refused:
    """Let a request pass only if, whatever it comes to within its bound, no limit is exceeded.

    Args:
        counts: All limits that hold for its caller.
        bound: The most that it may come to.
        unix_ms: Now.

    Raises:
        PriceMissing: Money is limited, and what it may cost cannot be told.
    """
    amounts: list[int] = []
    refused: list[Refused] = []
    for count in counts:
        wanted = 0 if count.used >= count.limit.amount else wanted_of(count.limit, bound)
        amounts.append(wanted)
        if (reason := _reason(count, wanted)) is not None:
            retry_s = _retry_s(reason, count, unix_ms)
            refused.append(Refused(reason=reason, count=count, wanted=wanted, retry_after_s=retry_s))
    if not refused:
        return Allowed(amounts=tuple(amounts))
    return max(refused, key=lambda each: (each.reason is Reason.NEVER, each.retry_after_s or 0, each.reason.value))


def wanted_of(limit: Limit, bound: Bound) -> int:
    """What of a bound a limit counts."""
    if limit.measure is Measure.MONEY:
        return bound.micros(limit)
    return bound.tokens if limit.measure is Measure.TOKENS else 1


def reset_s(ends_unix_ms: int, unix_ms: int) -> int:
    """Whole seconds until a window has ended, at least 1."""
    return max(1, math.ceil((ends_unix_ms - unix_ms) / 1000))


def _reason(count: Count, wanted: int) -> Reason | None:
    amount = count.limit.amount
    if count.used >= amount:
        return Reason.REACHED
    if count.used + count.reserved + wanted <= amount:
        return None
    if wanted > amount:
        return Reason.NEVER
    return Reason.LITTLE_LEFT if count.used + wanted > amount else Reason.HELD


def _retry_s(reason: Reason, count: Count, unix_ms: int) -> int | None:
    if reason is Reason.NEVER:
        return None
    window_s = reset_s(count.ends_unix_ms, unix_ms)
    return min(HELD_S, window_s) if reason is Reason.HELD else window_s
