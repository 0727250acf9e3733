"""Who is next among those who wait: the more urgent first, and within a class each tenant by its weight.

Pure. Between tenants of a class it is start-time fair queueing over tokens: a tenant has a tag, the one with the lowest
tag is next, and what a request costs divided by the tenant's weight moves its tag on. Who has not waited for a while
comes in at the tag of who started last, so that idleness earns nothing. Within a tenant it is first come, first served.

A less urgent class is passed over by so many starts of more urgent ones and no more: then one of its own is owed a
start. Batch is owed its next one the later, the more requests of normal urgency had to wait for the last: so those are
fewer than one in ``PUT_OFF``, however long its items take. Everybody who waits starts after a bounded number of others.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from freehold.domain.priority import Priority
from freehold.domain.turn import Turn

URGENT_FIRST: Final = tuple(sorted(Priority, reverse=True))

PASSED_MAX: Final = {Priority.LOW: 8, Priority.BATCH: 32}
"""More urgent starts that a class lets pass before one of its own."""

PUT_OFF: Final = PASSED_MAX[Priority.BATCH]
"""How many more batch lets pass for each request of normal urgency that had to wait for the last item it was owed."""

PUT_OFF_MAX: Final = 1_024
"""How many more in all: so that batch starts some time, however many had to wait."""

TOKENS_LEAST: Final = 16
"""A request costs at least that, so that many small ones come to an end too."""

TOKENS_UNKNOWN: Final = 256
"""What a request is taken to cost before anything was measured."""

_LANES_MAX: Final = 256
_RETURNING_MAX: Final = 64
_LEARN: Final = 1 / 32
_FITTED_MIN: Final = 16
_RATE_S: Final = 60.0
"""Over which time it is measured how often a tenant comes."""


def next_class(
    waiting: Sequence[int], passed: Callable[[Priority], int], *, may_owe: bool
) -> tuple[Priority, bool] | None:
    """Which class is next, and whether it is owed that; ``None`` where nobody waits.

    Args:
        waiting: How many wait, by class.
        passed: How many more urgent starts a class has let pass.
        may_owe: Whether a batch request may be owed a start now.
    """
    for priority in reversed(URGENT_FIRST):
        owed = waiting[priority] and passed(priority) >= PASSED_MAX.get(priority, math.inf)
        if owed and (may_owe or priority is not Priority.BATCH):
            return priority, True
    for priority in URGENT_FIRST:
        if waiting[priority]:
            return priority, False
    return None


def put_off(passed: int, count: int) -> int:
    """What batch has let pass, after so many more of normal urgency had to wait for an item that it was owed."""
    return max(-PUT_OFF_MAX, passed - PUT_OFF * count)


class Shares(Protocol):
    """What a tenant has had of each class; over all processes where they share it."""

    def tag(self, priority: Priority, tenant: str) -> float:
        """The tenant's tag, 0 where it has none."""
        ...

    def put(self, priority: Priority, tenant: str, tag: float) -> None:
        """Keep it."""
        ...

    def floor(self, priority: Priority) -> float:
        """The tag of who started last."""
        ...

    def lift(self, priority: Priority, tag: float) -> None:
        """Who starts now has this tag."""
        ...

    def passed(self, priority: Priority) -> int:
        """More urgent starts since the class had its last one of its own, while somebody waited in it."""
        ...

    def pass_by(self, priority: Priority, count: int) -> None:
        """Keep that number; below 0 for a class whose turn was put off."""
        ...


class OwnShares:
    """Those of a process that has a deployment to itself."""

    def __init__(self) -> None:
        self._tags: dict[tuple[Priority, str], float] = {}
        self._floors = [0.0] * len(Priority)
        self._passed = [0] * len(Priority)

    def tag(self, priority: Priority, tenant: str) -> float:
        """The tenant's tag, 0 where it has none."""
        return self._tags.get((priority, tenant), 0.0)

    def put(self, priority: Priority, tenant: str, tag: float) -> None:
        """Keep it, and forget those that say nothing any more once there are many."""
        if len(self._tags) >= 2 * _LANES_MAX:
            self._tags = {key: each for key, each in self._tags.items() if each > self._floors[key[0]]}
        self._tags[priority, tenant] = tag

    def floor(self, priority: Priority) -> float:
        """The tag of who started last."""
        return self._floors[priority]

    def lift(self, priority: Priority, tag: float) -> None:
        """Who starts now has this tag."""
        self._floors[priority] = max(self._floors[priority], tag)

    def passed(self, priority: Priority) -> int:
        """More urgent starts since the class had one of its own."""
        return self._passed[priority]

    def pass_by(self, priority: Priority, count: int) -> None:
        """Keep that number."""
        self._passed[priority] = count


@dataclass(slots=True)
class Waiter:
    """One who waits."""

    ticket: int
    turn: Turn
    since_s: float


@dataclass(slots=True)
class Lane:
    """A tenant in a class: who waits of it, and what is known of its requests.

    Attributes:
        waiting: First come, first served.
        hold_s: How long its requests hold a slot, on average; 0 before the first ended.
        allowed: What they may cost, on average, going by what their clients allow.
        tokens: What they cost, on average.
        weight: The tenant's, as of its last request.
        returning: How many gave their slots up and have not come again yet.
    """

    weight: int = 1
    returning: int = 0
    waiting: deque[Waiter] = field(default_factory=deque[Waiter])
    hold_s: float = 0.0
    allowed: float = 0.0
    tokens: float = 0.0
    _seen: int = 0
    _spread: float = 0.0
    _longer: float = 0.0
    _came: float = 0.0
    _first_s: float = 0.0
    _last_s: float = 0.0

    def ended(self, *, hold_s: float, tokens: float, allowed: int) -> None:
        """Learn from a request that has ended; the first ones count as much as each other. Nothing from 0 tokens."""
        self._seen += 1
        share = max(_LEARN, 1 / self._seen)
        more_s, more = hold_s - self.hold_s, (allowed or self.allowed) - self.allowed
        self.hold_s += share * more_s
        self.allowed += share * more
        self._spread += share * ((1 - share) * more * more - self._spread)
        self._longer += share * ((1 - share) * more * more_s - self._longer)
        if tokens:
            self.tokens += (share if self.tokens else 1) * (tokens - self.tokens)

    def hold_of(self, allowed: int) -> float:
        """How long a request holds a slot, by what its client allows, as far as that has told before.

        A line through those that ended, fitted to least squares; where what is allowed says nothing, it is level.
        """
        if not allowed or self._seen < _FITTED_MIN or self._longer <= 0:
            return self.hold_s
        return max(0.0, self.hold_s + self._longer / self._spread * (allowed - self.allowed))

    def came(self, now_s: float) -> None:
        """Somebody of it came."""
        if not self._came:
            self._first_s = self._last_s = now_s
        self._came = 1 + self._came * math.exp((self._last_s - now_s) / _RATE_S)
        self._last_s = now_s

    def per_s(self, now_s: float) -> float:
        """How often somebody of it comes, going by the last minute."""
        age_s = now_s - self._first_s
        if age_s <= 0:  # one who came is no rate
            return 0.0
        # The first arrival opens the time that is looked at, so it is not counted in it.
        counted = self._came * math.exp((self._last_s - now_s) / _RATE_S) - math.exp(-age_s / _RATE_S)
        return max(0.0, counted) / (_RATE_S * -math.expm1(-age_s / _RATE_S))


class Order:
    """Those who wait.

    Args:
        shares: What each tenant has had.
    """

    def __init__(self, shares: Shares) -> None:
        self.shares = shares
        self.lanes: dict[tuple[Priority, str], Lane] = {}
        self.waiting = 0
        self._by_class = [0] * len(Priority)
        self._of: dict[int, tuple[Priority, str]] = {}

    def waiting_in(self, priority: Priority) -> int:
        """How many wait in a class."""
        return self._by_class[priority]

    def tokens_of(self, turn: Turn) -> float:
        """What a request will cost, as far as that can be known."""
        lane = self.lanes.get((turn.priority, turn.tenant))
        known = lane.tokens if lane is not None else 0.0
        return max(TOKENS_LEAST, known or turn.tokens or TOKENS_UNKNOWN)

    def add(self, ticket: int, turn: Turn, *, now_s: float) -> None:
        """Somebody waits from now on."""
        key = turn.priority, turn.tenant
        lane = self.lanes.get(key)
        if lane is None:
            self._forget_idle()
            lane = self.lanes[key] = Lane()
        if not lane.waiting:
            self._come_in(turn.priority, turn.tenant)
        lane.weight = turn.weight
        lane.came(now_s)
        if lane.returning:
            lane.returning -= 1
            lane.waiting.appendleft(Waiter(ticket, turn, now_s))
        else:
            lane.waiting.append(Waiter(ticket, turn, now_s))
        self._of[ticket] = key
        self._count(turn.priority, 1)

    def gave_up(self, turn: Turn) -> None:
        """One of its kind gave its slot up: the next that comes is taken for it, and stands in front of its tenant's."""
        lane = self.lanes.setdefault((turn.priority, turn.tenant), Lane())
        lane.returning = min(lane.returning + 1, _RETURNING_MAX)

    def remove(self, ticket: int) -> bool:
        """Somebody waits no longer; whether they did."""
        key = self._of.pop(ticket, None)
        if key is None:
            return False
        lane = self.lanes[key]
        lane.waiting = deque(each for each in lane.waiting if each.ticket != ticket)
        self._count(key[0], -1)
        return True

    def counts(self) -> tuple[int, ...]:
        """How many wait, by class."""
        return tuple(self._by_class)

    def first(self, priority: Priority) -> Waiter | None:
        """Who is next of a class."""
        best: tuple[float, float, int] | None = None
        found: Waiter | None = None
        for (each, tenant), lane in self.lanes.items():
            if each is priority and lane.waiting:
                head = lane.waiting[0]
                rank = self.shares.tag(priority, tenant), head.since_s, head.ticket
                if best is None or rank < best:
                    best, found = rank, head
        return found

    def start(self, waiter: Waiter, *, waiting: tuple[int, ...]) -> float:
        """Who is first of a class starts; what that was charged.

        Args:
            waiter: Of ``first``.
            waiting: How many wait, by class, this one among them.
        """
        priority, tenant = key = self._of.pop(waiter.ticket)
        lane = self.lanes[key]
        lane.waiting.popleft()
        self._count(priority, -1)
        for each in Priority:
            if each < priority and waiting[each]:
                self.shares.pass_by(each, self.shares.passed(each) + 1)
        charged = self.tokens_of(waiter.turn)
        tag = self.shares.tag(priority, tenant)
        self.shares.lift(priority, tag)
        self.shares.put(priority, tenant, tag + charged / waiter.turn.weight)
        return charged

    def put_off(self, count: int) -> None:
        """So many of normal urgency have to wait for a batch item that is left to its end."""
        self.shares.pass_by(Priority.BATCH, put_off(self.shares.passed(Priority.BATCH), count))

    def settle(self, turn: Turn, *, charged: float, tokens: float) -> None:
        """What a request cost is known now, in place of what it was charged at its start."""
        if charged and tokens:
            tag = self.shares.tag(turn.priority, turn.tenant) + (max(TOKENS_LEAST, tokens) - charged) / turn.weight
            self.shares.put(turn.priority, turn.tenant, max(0.0, tag))

    def learn(self, turn: Turn, *, hold_s: float, tokens: float) -> None:
        """How long a request held its slot, and what it cost."""
        lane = self.lanes.get((turn.priority, turn.tenant))
        if lane is not None:
            lane.ended(hold_s=hold_s, tokens=tokens, allowed=turn.tokens)

    def displaced_by(self, turn: Turn) -> int | None:
        """Who has to leave a full queue for a newcomer; ``None`` where that is the newcomer itself.

        The youngest of the least urgent who wait, if those are less urgent; else of the tenant of the same class that
        has most in the queue for its weight, if that has more than the newcomer's would have.
        """
        for each in reversed(URGENT_FIRST):
            if each < turn.priority and self._by_class[each]:
                tails = (lane.waiting[-1] for (kind, _), lane in self.lanes.items() if kind is each and lane.waiting)
                return max(tails, key=lambda waiter: (waiter.since_s, waiter.ticket)).ticket
        own = self.lanes.get((turn.priority, turn.tenant))
        most, found = (1 + len(own.waiting if own is not None else ())) / turn.weight, None
        for (kind, _), lane in self.lanes.items():
            if kind is turn.priority and lane.waiting and lane is not own:
                youngest = lane.waiting[-1]
                if len(lane.waiting) / youngest.turn.weight > most:
                    most, found = len(lane.waiting) / youngest.turn.weight, youngest.ticket
        return found

    def sequence(self) -> Iterator[Waiter]:
        """Those who wait in the order in which they start if nobody else comes. Changes nothing."""
        yield from self._sequence(None)

    def ahead_of(self, turn: Turn) -> list[Waiter]:
        """Who starts before a newcomer if nobody else comes, in that order."""
        newcomer = Waiter(-1, turn, math.inf)
        found: list[Waiter] = []
        for each in self._sequence(newcomer):
            if each is newcomer:
                break
            found.append(each)
        return found

    def tag_of(self, turn: Turn) -> float:
        """The tag at which a newcomer starts, behind those of its tenant who wait."""
        lane = self.lanes.get((turn.priority, turn.tenant))
        waiting = lane.waiting if lane is not None and not lane.returning else ()
        tag = self.shares.tag(turn.priority, turn.tenant)
        if lane is None or not lane.waiting:
            tag = max(tag, self.shares.floor(turn.priority))
        if lane is not None and lane.tokens:
            return tag + len(waiting) * max(TOKENS_LEAST, lane.tokens) / turn.weight
        return tag + sum(self.tokens_of(each.turn) for each in waiting) / turn.weight

    def _sequence(self, newcomer: Waiter | None) -> Iterator[Waiter]:
        lines = {priority: self._line(priority, newcomer) for priority in Priority}
        left = list(self._by_class)
        if newcomer is not None:
            left[newcomer.turn.priority] += 1
        passed = {priority: self.shares.passed(priority) for priority in PASSED_MAX}
        while any(left):
            owed = [each for each, most in PASSED_MAX.items() if left[each] and passed[each] >= most]
            now = min(owed) if owed else max(each for each in Priority if left[each])
            if owed:
                passed[now] = put_off(0, left[Priority.NORMAL]) if now is Priority.BATCH else 0
            for each in passed:
                if each < now and left[each]:
                    passed[each] += 1
            left[now] -= 1
            yield next(lines[now])

    def _line(self, priority: Priority, newcomer: Waiter | None) -> Iterator[Waiter]:
        """Those of a class in order."""
        heap: list[tuple[float, float, int, float, Iterator[Waiter], Waiter]] = []
        tenants = {tenant for (each, tenant), lane in self.lanes.items() if each is priority and lane.waiting}
        if newcomer is not None and newcomer.turn.priority is priority:
            tenants.add(newcomer.turn.tenant)
        for tenant in tenants:
            lane = self.lanes.get((priority, tenant))
            waiting = list(lane.waiting) if lane is not None else []
            tag = self.shares.tag(priority, tenant)
            if not waiting:
                tag = max(tag, self.shares.floor(priority))
            if newcomer is not None and (newcomer.turn.priority, newcomer.turn.tenant) == (priority, tenant):
                waiting.insert(0 if lane is not None and lane.returning else len(waiting), newcomer)
            line = iter(waiting)
            head = next(line)
            heap.append((tag, head.since_s, head.ticket, self.tokens_of(head.turn), line, head))
        heapq.heapify(heap)
        while heap:
            tag, _, _, tokens, line, waiter = heap[0]
            yield waiter
            following = next(line, None)
            if following is None:
                heapq.heappop(heap)
            else:
                tag += tokens / waiter.turn.weight
                more = self.tokens_of(following.turn)
                heapq.heapreplace(heap, (tag, following.since_s, following.ticket, more, line, following))

    def _come_in(self, priority: Priority, tenant: str) -> None:
        tag, floor = self.shares.tag(priority, tenant), self.shares.floor(priority)
        if tag < floor:
            self.shares.put(priority, tenant, floor)

    def _count(self, priority: Priority, change: int) -> None:
        self._by_class[priority] += change
        self.waiting += change

    def _forget_idle(self) -> None:
        if len(self.lanes) >= _LANES_MAX:
            self.lanes = {key: lane for key, lane in self.lanes.items() if lane.waiting}
