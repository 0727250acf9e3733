"""Queues in virtual time: tenants that send more than there is room for, before the queue that the gateway runs.

Seeded and exact: nothing here waits. ``bench.fairness`` prints what comes of it, ``tests/property`` holds it to the bars.
"""

from __future__ import annotations

import heapq
import itertools
import random
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from freehold.domain.priority import Priority
from freehold.domain.turn import Turn
from freehold.serving.queue import Arrival, SlotQueue

FAR_S = 1e12
AGAIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who sends, and what.

    Attributes:
        tenant: Name.
        per_s: Requests a second, at random moments; 0 for one that keeps ``at_once`` of them going.
        at_once: Requests that it keeps going: as one is over, it sends the next.
        tokens: Mean of what a request costs.
        spread: Coefficient of variation of that.
        weight: Its tenant's.
        priority: How urgent they are.
        allows: Its requests say what they may cost: what they do and up to so many times that; 0 where they do not.
    """

    tenant: str
    per_s: float = 0.0
    at_once: int = 0
    tokens: float = 200.0
    spread: float = 0.5
    weight: int = 1
    priority: Priority = Priority.NORMAL
    allows: float = 0.0


@dataclass(slots=True)
class Job:
    """One request."""

    sender: Sender
    tokens: int
    came_s: float
    allowed: int = 0
    position: int = 0
    expected_s: float = 0.0
    started_s: float | None = None
    starts_before: int = 0
    preempted: int = 0


@dataclass(slots=True)
class Outcome:
    """What came of it.

    Attributes:
        tokens: That were served while all tenants waited.
        done: Requests that ended, by tenant.
        jobs: Those of them that came after the warm-up.
        refused: Requests that found the queue full.
        displaced: That lost their place to another.
        preempted: Batch attempts that gave their slots up.
        hold_s: How long a request holds a slot, on average.
    """

    tokens: Counter[str] = field(default_factory=Counter[str])
    done: Counter[str] = field(default_factory=Counter[str])
    jobs: list[Job] = field(default_factory=list[Job])
    refused: int = 0
    displaced: int = 0
    preempted: int = 0
    hold_s: float = 0.0

    def waits(self, tenant: str) -> dict[float, float]:
        """How long each request of a tenant waited, by the moment it came."""
        return {
            job.came_s: job.started_s - job.came_s
            for job in self.jobs
            if job.sender.tenant == tenant and job.started_s is not None
        }

    def share(self, tenant: str) -> float:
        """Of all tokens that were served while all tenants waited."""
        return self.tokens[tenant] / max(1, self.tokens.total())

    def errors(self, *, priority: Priority = Priority.NORMAL) -> list[float]:
        """|estimate − actual| / actual of all that waited at least as long as a request takes."""
        return [
            abs(job.expected_s - waited_s) / waited_s
            for job in self.jobs
            if job.started_s is not None
            and job.sender.priority is priority
            and (waited_s := job.started_s - job.came_s) >= self.hold_s
        ]

    def place_errors(self) -> list[float]:
        """|place − starts until one's own| / starts, of the same requests; off by one is off by nothing."""
        return [
            max(0, abs(job.position - job.starts_before) - 1) / job.starts_before
            for job in self.jobs
            if job.started_s is not None and job.position and job.started_s - job.came_s >= self.hold_s
        ]


class AllKnowing(SlotQueue):
    """One that knows how long each request will hold its slot, though not who will come: the floor of any estimate."""

    def __init__(self, *, slots: int, waiting_max: int) -> None:
        super().__init__(slots=slots, waiting_max=waiting_max)
        self.holds_s: dict[int, float] = {}

    def _hold_of(self, turn: Turn, ticket: int | None = None) -> float:
        return super()._hold_of(turn) if ticket is None else self.holds_s[ticket]


class Run:
    """One simulation.

    Args:
        senders: Who sends.
        slots: Requests that run at once.
        per_token_s: How long a slot works on one token.
        step_s: How soon an attempt that is asked to give its slot up has done so.
        seed: Of chance.
        waiting_max: Requests that may wait.
        queue: Makes the queue.
    """

    def __init__(
        self,
        senders: Sequence[Sender],
        *,
        slots: int = 4,
        per_token_s: float = 0.01,
        step_s: float = 0.05,
        seed: int = 0,
        waiting_max: int = 64,
        queue: Callable[..., SlotQueue] = SlotQueue,
    ) -> None:
        self._senders = senders
        self._per_token_s = per_token_s
        self._step_s = step_s
        # Each sender has a chance of its own, so that it sends the same whoever else does.
        self._chances = {each.tenant: random.Random(f"fairness {seed} {each.tenant}") for each in senders}
        self._chance = random.Random(f"fairness {seed}")
        self._queue = queue(slots=slots, waiting_max=waiting_max)
        self._tickets = itertools.count()
        self._events: list[tuple[float, int, str, int]] = []
        self._jobs: dict[int, Job] = {}
        self._away: dict[int, Job] = {}
        self._starts = 0
        self._came_at_start: dict[int, int] = {}
        self.now_s = 0.0
        self.outcome = Outcome(hold_s=statistics.fmean(each.tokens for each in senders) * per_token_s)

    def run(self, seconds: float, *, warm_up_s: float = 60.0) -> Outcome:
        """Let time pass; what is counted begins after ``warm_up_s``."""
        for place, sender in enumerate(self._senders):
            for _ in range(sender.at_once or 1):
                self._later(0.0 if sender.at_once else self._gap(sender), "comes", place)
        while self._events and self._events[0][0] < seconds:
            self.now_s, _, what, which = heapq.heappop(self._events)
            if what == "comes":
                sender = self._senders[which]
                self._come(sender)
                if sender.per_s:
                    self._later(self._gap(sender), "comes", which)
            elif what == "ends" and which in self._jobs:
                self._end(which, measured=self.now_s >= warm_up_s)
            elif what == "comes again":
                job = self._away.pop(which)
                self._come(job.sender, job)
            elif what == "gives up" and which in self._jobs:
                self._give_up(which)
        self.outcome.jobs = [job for job in self.outcome.jobs if job.came_s >= warm_up_s]
        return self.outcome

    @property
    def waiting(self) -> list[Job]:
        """Those who wait still, with those who run."""
        return list(self._jobs.values())

    def _gap(self, sender: Sender) -> float:
        return self._chances[sender.tenant].expovariate(sender.per_s)

    def _job(self, sender: Sender) -> Job:
        chance = self._chances[sender.tenant]
        tokens = sender.tokens
        if sender.spread:
            shape = 1 / sender.spread**2
            tokens = chance.gammavariate(shape, tokens / shape)
        job = Job(sender, max(1, round(tokens)), self.now_s)
        if sender.allows:
            job.allowed = round(job.tokens * chance.uniform(1.0, sender.allows))
        return job

    def _later(self, in_s: float, what: str, which: int) -> None:
        heapq.heappush(self._events, (self.now_s + in_s, next(self._tickets), what, which))

    def _come(self, sender: Sender, job: Job | None = None) -> None:
        ticket = next(self._tickets)
        job = job or self._job(sender)
        turn = Turn(tenant=sender.tenant, weight=sender.weight, priority=sender.priority, tokens=job.allowed)
        if isinstance(self._queue, AllKnowing):
            self._queue.holds_s[ticket] = job.tokens * self._per_token_s
        entry = self._queue.arrive(ticket, turn, now_s=self.now_s, deadline_s=FAR_S)
        if entry.arrival is Arrival.FULL:
            self.outcome.refused += 1
            self._send_away(job)
            return
        self._jobs[ticket] = job
        if not job.position:
            job.position, job.expected_s = entry.position, entry.expected_s
        self._came_at_start[ticket] = self._starts
        if entry.displaced is not None:
            self.outcome.displaced += 1
            self._send_away(self._jobs.pop(entry.displaced))
        if entry.preempted is not None:
            self._later(self._chance.uniform(0.0, self._step_s), "gives up", entry.preempted)
        if entry.arrival is Arrival.STARTS:
            self._start(ticket)

    def _send_away(self, job: Job) -> None:
        """There was no room: one of those that are kept going comes again."""
        if job.sender.at_once:
            self._away[ticket := next(self._tickets)] = job
            self._later(AGAIN_S, "comes again", ticket)

    def _start(self, ticket: int) -> None:
        job = self._jobs[ticket]
        job.started_s = self.now_s
        self._starts += 1
        job.starts_before = self._starts - self._came_at_start[ticket]
        if job.sender.priority is Priority.BATCH:
            self._queue.yields(ticket)
        self._later(job.tokens * self._per_token_s, "ends", ticket)

    def _end(self, ticket: int, *, measured: bool) -> None:
        job = self._jobs.pop(ticket)
        self.outcome.done[job.sender.tenant] += measured
        waiting = {each.sender.tenant for each in self._jobs.values() if each.started_s is None}
        if measured and waiting >= {each.tenant for each in self._senders}:
            self.outcome.tokens[job.sender.tenant] += job.tokens
        self.outcome.jobs.append(job)
        for each in self._queue.leave(ticket, now_s=self.now_s, tokens=job.tokens):
            self._start(each)
        if job.sender.at_once:
            self._later(0.0, "comes", self._senders.index(job.sender))

    def _give_up(self, ticket: int) -> None:
        """What the batch runner does: the item comes again, with nothing done."""
        job = self._jobs.pop(ticket)
        self.outcome.preempted += 1
        job.preempted += 1
        job.started_s = None
        for each in self._queue.leave(ticket, now_s=self.now_s):
            self._start(each)
        self._come(job.sender, job)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of them do not exceed; 0 of nothing."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0
