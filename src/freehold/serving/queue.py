"""Whose turn it is: a bounded queue in front of a fixed number of slots; ``order.py`` says who of it is next.

A state machine without clock, lock or I/O. Every method takes the moment, returns who may start now, and leaves the
queue in a state where no slot is free while somebody waits.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from freehold.domain.priority import Priority
from freehold.domain.turn import Turn, Waiting
from freehold.serving.order import Order, OwnShares, Shares, Waiter, next_class

_KEPT_HOLDS: Final = 32
"""Service times remembered: enough for a steady mean, few enough to follow a machine that slows down."""

HOLD_UNKNOWN_S: Final = 5.0
"""Assumed before anything was measured, for ``Retry-After`` only; nobody is refused because of it."""

_LONGER_MAX: Final = 20.0
_ROUNDS: Final = 8

_BATCH: Final = Priority.BATCH

ANYBODY: Final = Turn(tenant="")
"""A newcomer of whom nothing is known."""


class Arrival(Enum):
    """What becomes of a newcomer."""

    STARTS = "starts"
    WAITS = "waits"
    FULL = "full"
    TOO_LATE = "too late"


class Entry(NamedTuple):
    """What becomes of a newcomer, and of others on its account.

    Attributes:
        arrival: What becomes of it.
        position: Its place among those who wait; 0 for one who starts.
        expected_s: How long it may expect to wait.
        displaced: Who of those who wait has to leave for it.
        preempted: Whose running attempt is to give its slot up for it.
    """

    arrival: Arrival
    position: int = 0
    expected_s: float = 0.0
    displaced: int | None = None
    preempted: int | None = None


STARTS: Final = Entry(Arrival.STARTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """For metrics and messages.

    Attributes:
        slots: Requests that may run at once.
        running: That do run.
        waiting: That wait.
        hold_s: Mean time that the last requests held a slot; 0 before the first ended.
        waiting_by: That wait, by class; empty where nobody looked.
    """

    slots: int
    running: int
    waiting: int
    hold_s: float
    waiting_by: tuple[int, ...] = ()


Run = tuple[float, Turn, float]
"""One who runs: since when, whose turn it is, and what the tenant was charged for it; 0 where nobody waited."""


def firm_max(slots: int) -> int:
    """How many slots batch attempts may keep to their end, since they were owed them."""
    return max(1, slots // 2)


class LocalTurns:
    """What runs and waits in one process. Here is what ``SlotQueue`` and ``SharedQueue`` have in common.

    Args:
        slots: Requests that may run at once, at least 1.
        waiting_max: Requests that may wait.
        shares: What each tenant has had.
    """

    def __init__(self, *, slots: int, waiting_max: int, shares: Shares) -> None:
        self._slots = max(1, slots)
        self._waiting_max = waiting_max
        self._running: dict[int, Run] = {}
        self._order = Order(shares)
        self._holds_s: deque[float] = deque(maxlen=_KEPT_HOLDS)
        self._soft: dict[int, None] = {}
        self._firm: set[int] = set()
        self._asked: set[int] = set()

    @property
    def state(self) -> QueueState:
        """What runs and waits in this process."""
        return self._state(len(self._running), self._order.waiting, self._order.counts())

    def yields(self, ticket: int) -> bool:
        """A batch attempt that runs could give its slot up from now on; whether it may be asked to."""
        if ticket in self._firm or ticket not in self._running:
            return False
        self._soft[ticket] = None
        return True

    def late(self, *, now_s: float) -> int | None:  # noqa: ARG002 - other processes may have hung since
        """Who is to give its slot up for a more urgent caller that came before it could; ``None`` where there is none."""
        return self._victim() if self._order.waiting_in(Priority.NORMAL) > len(self._asked) else None

    def makes_way(self, turn: Turn) -> bool:
        """Whether a batch attempt of this process would give its slot up for a newcomer."""
        return turn.priority is Priority.NORMAL and len(self._soft) > len(self._asked)

    def keeps(self, ticket: int) -> None:
        """It could not any more: some of its answer is with its client."""
        self._soft.pop(ticket, None)
        self._asked.discard(ticket)

    def asked(self) -> list[int]:
        """Who is to give its slot up for callers of other processes; here there are none."""
        return []

    def running_by_tenant(self) -> dict[str, int]:
        """How many run, by tenant."""
        found: dict[str, int] = {}
        for _, turn, _ in self._running.values():
            found[turn.tenant] = found.get(turn.tenant, 0) + 1
        return found

    def waiting(self, *, now_s: float) -> list[Waiting]:
        """Those who wait in this process, next one first, with what each may still expect."""
        free_at = self._free_at(now_s, Priority.BATCH)
        longer: dict[tuple[Priority, str], float] = {}
        found: list[Waiting] = []
        for place, waiter in enumerate(self._order.sequence(), 1):
            key = waiter.turn.priority, waiter.turn.tenant
            if key not in longer:
                _, expected_s, alone_s = self._prospect(waiter.turn, now_s=now_s)
                longer[key] = expected_s / alone_s if alone_s else 1.0
            found.append(
                Waiting(
                    turn=waiter.turn,
                    position=place,
                    waited_s=max(0.0, now_s - waiter.since_s),
                    expected_s=free_at[0] * longer[key],
                )
            )
            heapq.heapreplace(free_at, free_at[0] + self._hold_of(waiter.turn, waiter.ticket))
        return found

    # --- running -------------------------------------------------------------------------------------

    def _run(self, waiter: Waiter, *, owed: bool, waiting: tuple[int, ...], now_s: float) -> None:
        """Who waits starts."""
        turn = waiter.turn
        charged = self._order.start(waiter, waiting=waiting)
        self._running[waiter.ticket] = (now_s, turn, charged)
        if turn.priority is Priority.LOW or owed:
            self._order.shares.pass_by(turn.priority, 0)
        if owed and turn.priority is Priority.BATCH:
            self._firm.add(waiter.ticket)
            self._order.put_off(waiting[Priority.NORMAL])

    def _end(self, ticket: int, *, now_s: float, served: bool, tokens: int) -> bool:
        """Who ran has ended; whether they ran."""
        run = self._running.pop(ticket, None)
        if run is None:
            return False
        since_s, turn, charged = run
        hold_s = now_s - since_s if now_s > since_s else 0.0
        if turn.priority is _BATCH:
            served = self._batch_ended(ticket, turn, served=served)
        if served:
            self._holds_s.append(hold_s)
        order = self._order
        if order.lanes:
            order.settle(turn, charged=charged, tokens=tokens)
            if served:
                order.learn(turn, hold_s=hold_s, tokens=tokens)
        return True

    def _batch_ended(self, ticket: int, turn: Turn, *, served: bool) -> bool:
        shares = self._order.shares
        gave_up = ticket in self._asked
        self._soft.pop(ticket, None)
        self._firm.discard(ticket)
        self._asked.discard(ticket)
        if not gave_up:
            shares.pass_by(Priority.BATCH, min(0, shares.passed(Priority.BATCH)))
            return served
        self._order.gave_up(turn)
        if not self._order.waiting_in(Priority.BATCH):
            shares.pass_by(Priority.BATCH, shares.passed(Priority.BATCH) + 1)
        return False

    def _victim(self) -> int | None:
        """Which batch attempt is to give up its slot: the one that has least to lose. ``None`` where none can."""
        for ticket in reversed(self._soft):
            if ticket not in self._asked:
                self._asked.add(ticket)
                return ticket
        return None

    # --- expecting -----------------------------------------------------------------------------------

    def _hold_of(self, turn: Turn, ticket: int | None = None) -> float:  # noqa: ARG002 - for who knows more of one
        lane = self._order.lanes.get((turn.priority, turn.tenant))
        if lane is not None and lane.hold_s:
            return lane.hold_of(turn.tokens)
        return sum(self._holds_s) / len(self._holds_s) if self._holds_s else HOLD_UNKNOWN_S

    def _free_at(self, now_s: float, priority: Priority) -> list[float]:
        """When each slot may be expected to come free, as a heap.

        Who runs longer than expected already is expected to end any moment: the estimate is kind rather than strict,
        since people are refused by it. Batch attempts make way for what is more urgent.
        """
        free_at = [
            0.0
            if priority is Priority.NORMAL and ticket in self._soft
            else max(0.0, self._hold_of(turn, ticket) - (now_s - since_s))
            for ticket, (since_s, turn, _) in self._running.items()
        ]
        free_at += [0.0] * (self._slots - len(free_at))
        # After a resize more may run than there are slots; the surplus frees nothing. What is sorted is a heap.
        return sorted(free_at)[max(0, len(free_at) - self._slots) :]

    def _prospect(self, turn: Turn, *, now_s: float) -> tuple[int, float, float]:
        """A newcomer's place and wait: behind those ahead of it, and behind those who will come and go before it.

        Returns:
            Its place, how long it waits, and how long it would if nobody else came.
        """
        ahead = self._order.ahead_of(turn)
        free_at = self._free_at(now_s, turn.priority)
        for each in ahead:
            heapq.heapreplace(free_at, free_at[0] + self._hold_of(each.turn, each.ticket))
        alone_s = expected_s = free_at[0]
        position = len(ahead) + 1
        if not ahead or not alone_s:
            return position, alone_s, alone_s
        others = self._overtaking(turn, ahead, now_s=now_s)
        further = 0.0
        for _ in range(_ROUNDS if others else 0):
            come = [(min(per_s * expected_s, most), hold_s) for per_s, most, hold_s in others]
            further = sum(count for count, _ in come)
            further_s = sum(count * hold_s for count, hold_s in come)
            expected_s = min(alone_s + further_s / self._slots, _LONGER_MAX * alone_s)
        return position + round(further), expected_s, alone_s

    def _overtaking(self, turn: Turn, ahead: Sequence[Waiter], *, now_s: float) -> list[tuple[float, float, float]]:
        """Who will come later than a newcomer of now and start before it all the same.

        They come as often as they lately did. The more urgent all start first; a tenant of the same class only as far
        as its share goes until the newcomer's turn.

        Returns:
            For each tenant how often it comes, how many of those can start first, and how long each holds a slot.
        """
        order = self._order
        mine = order.tag_of(turn)
        counted: dict[str, int] = {}
        for waiter in ahead:
            if waiter.turn.priority is turn.priority:
                counted[waiter.turn.tenant] = counted.get(waiter.turn.tenant, 0) + 1
        found: list[tuple[float, float, float]] = []
        for (priority, tenant), lane in order.lanes.items():
            if priority < turn.priority or (priority is turn.priority and tenant == turn.tenant):
                continue
            per_s, most = lane.per_s(now_s), math.inf
            if per_s and priority is turn.priority:
                tag = max(order.shares.tag(priority, tenant), order.shares.floor(priority))
                cost = lane.tokens or order.tokens_of(turn)
                most = max(0.0, (mine - tag) * lane.weight / max(1.0, cost) - counted.get(tenant, 0))
            if per_s and most:
                found.append((per_s, most, lane.hold_s or self._hold_of(turn)))
        return found

    def _state(self, running: int, waiting: int, waiting_by: tuple[int, ...]) -> QueueState:
        holds_s = self._holds_s
        hold_s = sum(holds_s) / len(holds_s) if holds_s else 0.0
        return QueueState(slots=self._slots, running=running, waiting=waiting, hold_s=hold_s, waiting_by=waiting_by)


class SlotQueue(LocalTurns):
    """The queue of one deployment. Tickets are numbers of the caller's, each used once.

    Args:
        slots: Requests that may run at once, at least 1.
        waiting_max: Requests that may wait.
    """

    def __init__(self, *, slots: int, waiting_max: int) -> None:
        super().__init__(slots=slots, waiting_max=waiting_max, shares=OwnShares())
        self._prospects: dict[tuple[Priority, str], tuple[int, float]] = {}

    @property
    def total(self) -> QueueState:
        """The state over all processes that share the slots, which here is this one."""
        return self.state

    @property
    def slots(self) -> int:
        """Requests that may run at once."""
        return self._slots

    def expected_wait_s(self, turn: Turn = ANYBODY, *, now_s: float) -> float:
        """When a newcomer may expect a slot, if each request holds its slot as long as its like did on average."""
        if len(self._running) < self._slots and not self._order.waiting:
            return 0.0
        return self._seen(turn, now_s=now_s)[1]

    def start_at_once(self, ticket: int, turn: Turn, *, now_s: float) -> bool:
        """Let a newcomer start if a slot is free and nobody waits; else nothing happens."""
        if self._order.waiting or len(self._running) >= self._slots:
            return False
        self._running[ticket] = (now_s, turn, 0.0)
        return True

    def arrive(self, ticket: int, turn: Turn, *, now_s: float, deadline_s: float) -> Entry:
        """Let a newcomer in, make them wait, or send them away at once.

        A newcomer who finds the queue full takes the place of the youngest of a less urgent class, if there is one.
        One of normal urgency who finds all slots taken has a batch attempt give up its own.
        """
        entry = self.outlook(turn, now_s=now_s, deadline_s=deadline_s)
        if entry.arrival is Arrival.STARTS:
            self._running[ticket] = (now_s, turn, 0.0)
        elif entry.arrival is Arrival.WAITS:
            if entry.displaced is not None:
                self._order.remove(entry.displaced)
            self._order.add(ticket, turn, now_s=now_s)
            self._prospects.clear()
            if turn.priority is Priority.NORMAL and self._order.waiting_in(Priority.NORMAL) > len(self._asked):
                victim = self._victim()
                if victim is None and self._firm:
                    self._order.put_off(1)
                return entry._replace(preempted=victim)
        return entry

    def outlook(self, turn: Turn = ANYBODY, *, now_s: float, deadline_s: float) -> Entry:
        """What would become of a newcomer. Changes nothing."""
        if len(self._running) < self._slots and not self._order.waiting:
            return STARTS
        position, expected_s = self._seen(turn, now_s=now_s)
        displaced: int | None = None
        if self._order.waiting >= self._waiting_max and not self.makes_way(turn):
            displaced = self._order.displaced_by(turn)
            if displaced is None:
                return Entry(Arrival.FULL, position, expected_s)
        if deadline_s <= now_s or (self._holds_s and now_s + expected_s > deadline_s):
            return Entry(Arrival.TOO_LATE, position, expected_s)
        return Entry(Arrival.WAITS, position, expected_s, displaced)

    def _seen(self, turn: Turn, *, now_s: float) -> tuple[int, float]:
        """``_prospect``, looked at again only once somebody came, started or left: many may be refused in between."""
        key = turn.priority, turn.tenant
        position, until_s = self._prospects.get(key) or (0, 0.0)
        if not position:
            position, expected_s, _ = self._prospect(turn, now_s=now_s)
            until_s = now_s + expected_s
            self._prospects[key] = position, until_s
        return position, max(0.0, until_s - now_s)

    def leave(self, ticket: int, *, now_s: float, served: bool = True, tokens: int = 0) -> list[int]:
        """Give back a slot, or leave the queue; who starts now. A ticket that is in neither changes nothing.

        Args:
            ticket: Who leaves.
            now_s: The moment.
            served: Whether the time that the slot was held says how long requests take.
            tokens: What the request cost; 0 where that is not known, and then it stays at what was expected.
        """
        if not self._end(ticket, now_s=now_s, served=served, tokens=tokens):
            self._order.remove(ticket)
        if self._prospects:
            self._prospects.clear()
        return self.fill(now_s=now_s) if self._order.waiting else []

    def resize(self, slots: int, *, waiting_max: int, now_s: float) -> list[int]:
        """Change the bounds; who starts now. Nobody who runs is stopped, and nobody who waits is sent away."""
        self._slots = max(1, slots)
        self._waiting_max = waiting_max
        self._prospects.clear()
        return self.fill(now_s=now_s)

    def fill(self, *, now_s: float) -> list[int]:
        """Let those start whose turn it is; who starts now."""
        started: list[int] = []
        order = self._order
        while order.waiting and len(self._running) < self._slots:
            waiting = order.counts()
            following = next_class(waiting, order.shares.passed, may_owe=len(self._firm) < firm_max(self._slots))
            waiter = None if following is None else order.first(following[0])
            if following is None or waiter is None:
                break
            self._run(waiter, owed=following[1], waiting=waiting, now_s=now_s)
            started.append(waiter.ticket)
        return started
