"""Whose item runs next, and what becomes of one that failed. Pure but for whose turn it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from freehold.domain.batch import Batch
from freehold.domain.errors.admission import AdmissionError
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.limits import LimitTooSmall

_TOO_MANY = 429
_SPENT = "insufficient_quota"
"""An upstream's word, and OpenAI's, for what waiting does not help against."""

_OURS = frozenset({408, 500, 502, 503, 504})
_PAUSE_S_MIN = 1.0
_PAUSE_S_MAX = 60.0
_SAID_S_MAX = 3_600.0
"""How long somebody's word is taken for that there is no room; then it is seen."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A batch that has an item to run.

    Attributes:
        batch_id: Which.
        created_unix_ms: Its age.
        tenant: Whose.
        lane: The route of its next item.
        room: How many items may run on that route at once.
    """

    batch_id: str
    created_unix_ms: int
    tenant: str
    lane: str
    room: int


class Turns:
    """One item of each tenant in turn; of a tenant's batches the oldest that finds room."""

    def __init__(self) -> None:
        self._turn = 0
        self._had_turn: dict[str, int] = {}

    def pick(self, standing: Iterable[Standing], running: Mapping[str, int]) -> Standing | None:
        """Who runs next; ``None`` where nobody finds room. It has had its turn then.

        Args:
            standing: Who could.
            running: Items that run now, by lane.
        """
        able = [each for each in standing if running.get(each.lane, 0) < each.room]
        if not able:
            return None
        chosen = min(able, key=lambda each: (self._had_turn.get(each.tenant, 0), each.created_unix_ms, each.batch_id))
        self._turn += 1
        self._had_turn[chosen.tenant] = self._turn
        return chosen

    def keep(self, tenants: Iterable[str]) -> None:
        """Forget all others."""
        kept = set(tenants)
        self._had_turn = {tenant: turn for tenant, turn in self._had_turn.items() if tenant in kept}


def to_open(active: Sequence[Batch], most: int) -> list[Batch]:
    """Which batches are worked on at once: the oldest of each tenant, then the second ones, and so on.

    Args:
        active: All that are not over, oldest first.
        most: How many.
    """
    rank: dict[str, int] = {}
    ranked: list[tuple[int, int, Batch]] = []
    for place, batch in enumerate(active):
        rank[batch.tenant] = rank.get(batch.tenant, 0) + 1
        ranked.append((rank[batch.tenant], place, batch))
    return [batch for _, _, batch in sorted(ranked, key=lambda each: each[:2])[:most]]


class Next(Enum):
    """What becomes of an item that met an error."""

    RESULT = "the error is its result"
    LATER = "there was no room: it runs again, as if it had not run, and those behind it wait too"
    ALONE = "it is too large for what is left of a limit: it runs again, as if it had not run; others may fit"
    AGAIN = "it may go well another time: it runs again, a counted number of times"


def after_error(error: FreeholdError, *, failures: int, retries: int) -> Next:
    """What becomes of an item.

    Args:
        error: What it met.
        failures: How often it failed before.
        retries: How often it may be tried again.
    """
    if isinstance(error, LimitTooSmall):
        return Next.ALONE
    if (
        error.retryable
        and error.wire_code != _SPENT
        and (isinstance(error, AdmissionError) or error.http_status == _TOO_MANY)
    ):
        return Next.LATER
    if error.retryable and error.http_status in _OURS and failures < retries:
        return Next.AGAIN
    return Next.RESULT


def pause_s(error: FreeholdError, *, in_a_row: int) -> float:
    """How long to wait after an error that may pass: as it says, and longer the more of them there are in a row."""
    growing = min(_PAUSE_S_MAX, _PAUSE_S_MIN * 2.0 ** min(in_a_row, 10))
    return max(min(error.retry_after_s or 0.0, _SAID_S_MAX), growing)
