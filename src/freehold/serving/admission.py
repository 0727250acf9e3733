"""Slots of deployments, waited for in turn. ``queue.py`` decides; here are the futures and timers around it."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple, Protocol

from freehold.domain.decisions import Room
from freehold.domain.deployment import Deployment
from freehold.domain.errors.admission import AdmissionError, DeadlineUnreachable, QueueFull, ShuttingDown, WaitTooLong
from freehold.domain.place import Place
from freehold.domain.ports import Clock
from freehold.domain.turn import Turn, Waiting
from freehold.hostinfo.clock import any_share
from freehold.serving.queue import Arrival, Entry, QueueState, SlotQueue

_RETRY_S_MIN: Final = 1
_RETRY_SPREAD_S: Final = 2.0
_RETRY_SPREAD_SHARE: Final = 0.25
"""Retry-After is what is expected and up to this much more, so that those who were refused do not come back in step."""

_RETRY_S_AT_STOP: Final = 5


def spread_s(expected_s: float, *, jitter: Callable[[], float]) -> float:
    """A time that those who are told to come back share out among them; never earlier than expected."""
    return expected_s + jitter() * max(_RETRY_SPREAD_S, _RETRY_SPREAD_SHARE * expected_s)


class TurnQueue(Protocol):
    """Whose turn it is at one deployment; see ``queue.SlotQueue``, and ``shared_slots.SharedQueue`` for processes."""

    @property
    def state(self) -> QueueState:
        """What runs and waits in this process."""
        ...

    @property
    def total(self) -> QueueState:
        """The same over all processes that share the slots."""
        ...

    def expected_wait_s(self, turn: Turn, *, now_s: float) -> float:
        """When a newcomer may expect a slot."""
        ...

    def start_at_once(self, ticket: int, turn: Turn, *, now_s: float) -> bool:
        """Let a newcomer start if a slot is free and nobody waits; else nothing happens."""
        ...

    def arrive(self, ticket: int, turn: Turn, *, now_s: float, deadline_s: float) -> Entry:
        """Let a newcomer in, make them wait, or send them away at once."""
        ...

    def outlook(self, turn: Turn, *, now_s: float, deadline_s: float) -> Entry:
        """What would become of a newcomer. Changes nothing."""
        ...

    def leave(self, ticket: int, *, now_s: float, served: bool = True, tokens: int = 0) -> list[int]:
        """Give back a slot, or leave the queue; who starts now."""
        ...

    def resize(self, slots: int, *, waiting_max: int, now_s: float) -> list[int]:
        """Change the bounds; who starts now."""
        ...

    def fill(self, *, now_s: float) -> list[int]:
        """Let those start whose turn it is; who starts now."""
        ...

    def yields(self, ticket: int) -> bool:
        """What runs could give its slot up from now on; whether it may be asked to."""
        ...

    def late(self, *, now_s: float) -> int | None:
        """Who is to give its slot up for a more urgent caller that came before it could."""
        ...

    def makes_way(self, turn: Turn) -> bool:
        """Whether a batch attempt of this process would give its slot up for a newcomer."""
        ...

    def keeps(self, ticket: int) -> None:
        """It could not any more."""
        ...

    def asked(self) -> list[int]:
        """Who is to give its slot up for callers of other processes."""
        ...

    def waiting(self, *, now_s: float) -> list[Waiting]:
        """Those who wait in this process, next one first."""
        ...

    def running_by_tenant(self) -> dict[str, int]:
        """How many run in this process, by tenant."""
        ...


class LineSeen(NamedTuple):
    """What is to be seen of the queue of one deployment.

    Attributes:
        total: Over all processes.
        running: How many run in this one, by tenant.
        waiting: Who waits in this one, next one first.
    """

    total: QueueState
    running: dict[str, int]
    waiting: list[Waiting]


def own_queue(deployment: Deployment) -> TurnQueue:
    """The queue of a process that has the deployment's slots to itself."""
    return SlotQueue(slots=deployment.slots, waiting_max=deployment.queue_max)


def _untold(_place: Place) -> None:
    """Nobody wants to know."""


class HeldSlot:
    """Leave to run; implements ``ports.Slot``."""

    __slots__ = ("_line", "_queue_ms", "_ticket")

    def __init__(self, line: _Line, ticket: int, *, queue_ms: float) -> None:
        self._line = line
        self._ticket = ticket
        self._queue_ms = queue_ms

    @property
    def queue_ms(self) -> float:
        """How long it was waited for."""
        return self._queue_ms

    def release(self, *, tokens: int = 0) -> None:
        """Give it back; the next in line starts. Idempotent."""
        self._line.leave(self._ticket, tokens=tokens)

    def yields(self, ask: Callable[[], None]) -> None:
        """What runs gives the slot up when it is asked to; see ``ports.Slot``."""
        self._line.yields(self._ticket, ask)

    def keeps(self) -> None:
        """What runs cannot give it up any more."""
        self._line.keeps(self._ticket)


class SlotAdmission:
    """Implements ``ports.Admission`` for one event loop: a bounded queue for each deployment; ``order.py`` says whose turn it is.

    A caller that is cancelled, even in the very tick in which its slot came, leaves no trace.

    Args:
        clock: On the event loop's scale.
        jitter: Random number from 0 to 1.
        queue: Makes the queue of a deployment.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        jitter: Callable[[], float] = any_share,
        queue: Callable[[Deployment], TurnQueue] = own_queue,
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._queue = queue
        self._lines: dict[str, _Line] = {}
        self._open = True

    def try_admit(self, deployment: Deployment, turn: Turn) -> HeldSlot | None:
        """A slot, if one is free and nobody waits for it; ``None`` otherwise; see ``ports.Admission``."""
        line = self._lines.get(deployment.name)
        return line.try_admit(deployment, turn) if line is not None and self._open else None

    async def admit(
        self, deployment: Deployment, turn: Turn, *, deadline_s: float, told: Callable[[Place], None] = _untold
    ) -> HeldSlot:
        """Wait for a slot; see ``ports.Admission``.

        Raises:
            QueueFull: As many wait already as may, or somebody more urgent took the place.
            WaitTooLong: Going by the last requests, no slot comes before the deadline; said at once.
            DeadlineUnreachable: The deadline came before a slot did.
            ShuttingDown: ``close`` was called.
        """
        if not self._open:
            raise ShuttingDown(retry_s=_RETRY_S_AT_STOP, retry_after_s=_RETRY_S_AT_STOP)
        return await self._line(deployment).admit(turn, deadline_s=deadline_s, told=told)

    def room(self, deployment: Deployment, turn: Turn, *, ready: bool, deadline_s: float) -> Room:
        """How a deployment is now; see ``ports.Admission``."""
        free, waits = self._line(deployment).room(turn, deadline_s=deadline_s)
        return Room(ready=ready, free=free, waits=waits)

    def retry_s(self, deployment: Deployment, turn: Turn) -> int:
        """When it makes sense to ask for a slot again, in whole seconds; for ``Retry-After``."""
        return self._line(deployment).retry_s(turn)

    def states(self) -> Mapping[str, QueueState]:
        """Running and waiting by deployment, for metrics."""
        return {name: line.state for name, line in self._lines.items()}

    def waiting_at(self, deployment: str) -> int:
        """How many wait for a slot of a deployment."""
        line = self._lines.get(deployment)
        return 0 if line is None else line.state.waiting

    def waiting(self) -> Mapping[str, LineSeen]:
        """What runs and waits by deployment, for people."""
        return {name: line.seen() for name, line in self._lines.items()}

    def keep(self, deployments: Collection[str]) -> None:
        """Forget the queues of all others, unless somebody is still in them."""
        for name in [name for name, line in self._lines.items() if name not in deployments and line.is_empty]:
            del self._lines[name]

    def refill(self) -> None:
        """Let those start whose turn it is, since another process gave a slot back."""
        for line in self._lines.values():
            line.refill()

    def close(self) -> None:
        """Take no newcomers and send all who wait away; who runs goes on. Idempotent."""
        self._open = False
        for line in self._lines.values():
            line.close()

    def _line(self, deployment: Deployment) -> _Line:
        line = self._lines.get(deployment.name)
        if line is None:
            line = self._lines[deployment.name] = _Line(
                deployment, queue=self._queue(deployment), clock=self._clock, jitter=self._jitter
            )
        line.resize(deployment)
        return line


class _Seat:
    """One who waits."""

    __slots__ = ("position", "since_s", "starts", "turn")

    def __init__(self, starts: asyncio.Future[None], turn: Turn, *, position: int, since_s: float) -> None:
        self.starts = starts
        self.turn = turn
        self.position = position
        self.since_s = since_s


class _Line:
    """The queue of one deployment, with a future for each who waits."""

    def __init__(self, deployment: Deployment, *, queue: TurnQueue, clock: Clock, jitter: Callable[[], float]) -> None:
        self._deployment = deployment
        self._clock = clock
        self._jitter = jitter
        self._queue = queue
        self._seats: dict[int, _Seat] = {}
        self._yielding: dict[int, Callable[[], None]] = {}
        self._tickets = itertools.count()

    @property
    def state(self) -> QueueState:
        return self._queue.state

    @property
    def is_empty(self) -> bool:
        state = self._queue.state
        return not (state.running or state.waiting)

    def seen(self) -> LineSeen:
        queue = self._queue
        return LineSeen(queue.total, queue.running_by_tenant(), queue.waiting(now_s=self._clock.monotonic_s()))

    def room(self, turn: Turn, *, deadline_s: float) -> tuple[bool, bool]:
        """Whether a newcomer could start at once, or as soon as batch has made way, and whether it could wait."""
        arrival = self._queue.outlook(turn, now_s=self._clock.monotonic_s(), deadline_s=deadline_s).arrival
        waits = arrival is Arrival.WAITS
        return arrival is Arrival.STARTS or (waits and self._queue.makes_way(turn)), waits

    def try_admit(self, deployment: Deployment, turn: Turn) -> HeldSlot | None:
        if deployment is not self._deployment:
            self.resize(deployment)
        ticket = next(self._tickets)
        if self._queue.start_at_once(ticket, turn, now_s=self._clock.monotonic_s()):
            return HeldSlot(self, ticket, queue_ms=0.0)
        return None

    async def admit(self, turn: Turn, *, deadline_s: float, told: Callable[[Place], None]) -> HeldSlot:
        now_s = self._clock.monotonic_s()
        ticket = next(self._tickets)
        entry = self._queue.arrive(ticket, turn, now_s=now_s, deadline_s=deadline_s)
        if entry.arrival is Arrival.STARTS:
            return HeldSlot(self, ticket, queue_ms=0.0)
        if entry.arrival is not Arrival.WAITS:
            raise self._refusal(entry, allowed_s=deadline_s - now_s)
        told(Place(position=entry.position, expected_s=entry.expected_s))
        await self._turn(ticket, turn, entry, now_s=now_s, deadline_s=deadline_s)
        return HeldSlot(self, ticket, queue_ms=(self._clock.monotonic_s() - now_s) * 1_000)

    async def _turn(self, ticket: int, turn: Turn, entry: Entry, *, now_s: float, deadline_s: float) -> None:
        """Wait until the ticket starts, or its deadline comes."""
        loop = asyncio.get_running_loop()
        seat = self._seats[ticket] = _Seat(loop.create_future(), turn, position=entry.position, since_s=now_s)
        timer = loop.call_later(max(0.0, deadline_s - now_s), self._expire, seat)
        has_slot = False
        try:
            self._make_way(entry)
            await seat.starts
            has_slot = True
        finally:
            timer.cancel()
            if not has_slot:
                # Gives up place or slot, also if the slot came in the same tick as the cancel.
                self.leave(ticket, served=False)
            del self._seats[ticket]

    def _make_way(self, entry: Entry) -> None:
        """Send who was displaced away, and have who was chosen give its slot up."""
        if entry.displaced is not None:
            seat = self._seats[entry.displaced]
            if not seat.starts.done():
                expected_s = self._queue.expected_wait_s(seat.turn, now_s=self._clock.monotonic_s())
                seat.starts.set_exception(self._full(seat.position, expected_s))
        if entry.preempted is not None:
            self._yielding[entry.preempted]()

    def yields(self, ticket: int, ask: Callable[[], None]) -> None:
        if self._queue.yields(ticket):
            self._yielding[ticket] = ask
            if (late := self._queue.late(now_s=self._clock.monotonic_s())) is not None:
                # In a tick of its own: whoever says that it can give way has not begun.
                asyncio.get_running_loop().call_soon(self._ask, late)

    def _ask(self, ticket: int) -> None:
        if (ask := self._yielding.get(ticket)) is not None:
            ask()

    def keeps(self, ticket: int) -> None:
        if self._yielding.pop(ticket, None) is not None:
            self._queue.keeps(ticket)

    def leave(self, ticket: int, *, served: bool = True, tokens: int = 0) -> None:
        if self._yielding:
            self._yielding.pop(ticket, None)
        started = self._queue.leave(ticket, now_s=self._clock.monotonic_s(), served=served, tokens=tokens)
        if started:
            self._wake(started)

    def resize(self, deployment: Deployment) -> None:
        """Take over other bounds, after a reload or where an engine was lowered."""
        before, self._deployment = self._deployment, deployment
        if (before.slots, before.queue_max) != (deployment.slots, deployment.queue_max):
            now_s = self._clock.monotonic_s()
            self._wake(self._queue.resize(deployment.slots, waiting_max=deployment.queue_max, now_s=now_s))

    def refill(self) -> None:
        if self._seats:
            self._wake(self._queue.fill(now_s=self._clock.monotonic_s()))
        if self._yielding:
            for ticket in self._queue.asked():
                self._yielding[ticket]()

    def close(self) -> None:
        for seat in self._seats.values():
            if not seat.starts.done():
                seat.starts.set_exception(ShuttingDown(retry_s=_RETRY_S_AT_STOP, retry_after_s=_RETRY_S_AT_STOP))

    def _wake(self, tickets: list[int]) -> None:
        for ticket in tickets:
            starts = self._seats[ticket].starts
            if not starts.done():
                starts.set_result(None)

    def _expire(self, seat: _Seat) -> None:
        if not seat.starts.done():
            waited_s = self._clock.monotonic_s() - seat.since_s
            name, retry_s = self._deployment.name, self.retry_s(seat.turn)
            late = DeadlineUnreachable(deployment=name, waited_s=round(waited_s, 1), retry_after_s=retry_s)
            seat.starts.set_exception(_placed(late, seat.position, waited_s))

    def retry_s(self, turn: Turn) -> int:
        return self._back_in_s(self._queue.expected_wait_s(turn, now_s=self._clock.monotonic_s()))

    def _back_in_s(self, expected_s: float) -> int:
        return max(_RETRY_S_MIN, math.ceil(spread_s(expected_s, jitter=self._jitter)))

    def _refusal(self, entry: Entry, *, allowed_s: float) -> AdmissionError:
        if entry.arrival is Arrival.FULL:
            return self._full(entry.position, entry.expected_s)
        retry_s = self._back_in_s(entry.expected_s)
        late = WaitTooLong(
            deployment=self._deployment.name,
            expected_s=max(_RETRY_S_MIN, math.ceil(entry.expected_s)),
            allowed_s=max(0.0, round(allowed_s, 1)),
            retry_s=retry_s,
            retry_after_s=retry_s,
        )
        return _placed(late, entry.position, entry.expected_s)

    def _full(self, position: int, expected_s: float) -> AdmissionError:
        state, retry_s = self._queue.total, self._back_in_s(expected_s)
        full = QueueFull(
            deployment=self._deployment.name,
            running=state.running,
            waiting=state.waiting,
            retry_s=retry_s,
            retry_after_s=retry_s,
        )
        return _placed(full, position, expected_s)


def _placed(error: AdmissionError, position: int, wait_s: float) -> AdmissionError:
    """With the place that it was refused at, for headers."""
    error.place = Place(position=position, expected_s=wait_s)
    return error
