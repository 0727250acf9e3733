"""Slots of deployments, waited for in order. ``queue.py`` decides; here are the futures and timers around it."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

from freehold.domain.decisions import Room
from freehold.domain.deployment import Deployment
from freehold.domain.errors.admission import DeadlineUnreachable, QueueFull, ShuttingDown, WaitTooLong
from freehold.domain.ports import Clock
from freehold.hostinfo.clock import any_share
from freehold.serving.queue import Arrival, QueueState, SlotQueue

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

    def expected_wait_s(self, *, now_s: float) -> float:
        """When a newcomer may expect a slot."""
        ...

    def start_at_once(self, ticket: int, *, now_s: float) -> bool:
        """Let a newcomer start if a slot is free and nobody waits; else nothing happens."""
        ...

    def arrive(self, ticket: int, *, now_s: float, deadline_s: float) -> Arrival:
        """Let a newcomer in, make them wait, or send them away at once."""
        ...

    def outlook(self, *, now_s: float, deadline_s: float) -> Arrival:
        """What would become of a newcomer. Changes nothing."""
        ...

    def leave(self, ticket: int, *, now_s: float, served: bool = True) -> list[int]:
        """Give back a slot, or leave the queue; who starts now."""
        ...

    def resize(self, slots: int, *, waiting_max: int, now_s: float) -> list[int]:
        """Change the bounds; who starts now."""
        ...

    def fill(self, *, now_s: float) -> list[int]:
        """Let those start whose turn it is; who starts now."""
        ...


def own_queue(deployment: Deployment) -> TurnQueue:
    """The queue of a process that has the deployment's slots to itself."""
    return SlotQueue(slots=deployment.slots, waiting_max=deployment.queue_max)


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

    def release(self) -> None:
        """Give it back; the next in line starts. Idempotent."""
        self._line.leave(self._ticket)


class SlotAdmission:
    """Implements ``ports.Admission`` for one event loop: a bounded queue for each deployment, first come first served.

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

    def try_admit(self, deployment: Deployment) -> HeldSlot | None:
        """A slot, if one is free and nobody waits for it; ``None`` otherwise; see ``ports.Admission``."""
        line = self._lines.get(deployment.name)
        return line.try_admit(deployment) if line is not None and self._open else None

    async def admit(
        self,
        deployment: Deployment,
        *,
        tenant: str,  # noqa: ARG002 - the port names it; this queue is the same for all
        deadline_s: float,
    ) -> HeldSlot:
        """Wait for a slot; see ``ports.Admission``.

        Raises:
            QueueFull: As many wait already as may.
            WaitTooLong: Going by the last requests, no slot comes before the deadline; said at once.
            DeadlineUnreachable: The deadline came before a slot did.
            ShuttingDown: ``close`` was called.
        """
        if not self._open:
            raise ShuttingDown(retry_s=_RETRY_S_AT_STOP, retry_after_s=_RETRY_S_AT_STOP)
        return await self._line(deployment).admit(deadline_s=deadline_s)

    def room(self, deployment: Deployment, *, ready: bool, deadline_s: float) -> Room:
        """How a deployment is now; see ``ports.Admission``."""
        arrival = self._line(deployment).outlook(deadline_s=deadline_s)
        return Room(ready=ready, free=arrival is Arrival.STARTS, waits=arrival is Arrival.WAITS)

    def retry_s(self, deployment: Deployment) -> int:
        """When it makes sense to ask for a slot again, in whole seconds; for ``Retry-After``."""
        return self._line(deployment).retry_s()

    def states(self) -> Mapping[str, QueueState]:
        """Running and waiting by deployment, for metrics."""
        return {name: line.state for name, line in self._lines.items()}

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


class _Line:
    """The queue of one deployment, with a future for each who waits."""

    def __init__(self, deployment: Deployment, *, queue: TurnQueue, clock: Clock, jitter: Callable[[], float]) -> None:
        self._deployment = deployment
        self._clock = clock
        self._jitter = jitter
        self._queue = queue
        self._turns: dict[int, asyncio.Future[None]] = {}
        self._tickets = itertools.count()

    @property
    def state(self) -> QueueState:
        return self._queue.state

    @property
    def is_empty(self) -> bool:
        state = self._queue.state
        return not (state.running or state.waiting)

    def outlook(self, *, deadline_s: float) -> Arrival:
        return self._queue.outlook(now_s=self._clock.monotonic_s(), deadline_s=deadline_s)

    def try_admit(self, deployment: Deployment) -> HeldSlot | None:
        if deployment is not self._deployment:
            self.resize(deployment)
        ticket = next(self._tickets)
        if self._queue.start_at_once(ticket, now_s=self._clock.monotonic_s()):
            return HeldSlot(self, ticket, queue_ms=0.0)
        return None

    async def admit(self, *, deadline_s: float) -> HeldSlot:
        now_s = self._clock.monotonic_s()
        ticket = next(self._tickets)
        arrival = self._queue.arrive(ticket, now_s=now_s, deadline_s=deadline_s)
        if arrival is Arrival.STARTS:
            return HeldSlot(self, ticket, queue_ms=0.0)
        if arrival is not Arrival.WAITS:
            raise self._refusal(arrival, allowed_s=deadline_s - now_s)
        await self._turn(ticket, now_s=now_s, deadline_s=deadline_s)
        return HeldSlot(self, ticket, queue_ms=(self._clock.monotonic_s() - now_s) * 1_000)

    async def _turn(self, ticket: int, *, now_s: float, deadline_s: float) -> None:
        """Wait until the ticket starts, or its deadline comes."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._turns[ticket] = turn
        timer = loop.call_later(max(0.0, deadline_s - now_s), self._expire, turn, now_s)
        starts = False
        try:
            await turn
            starts = True
        finally:
            timer.cancel()
            if not starts:
                # Gives up place or slot, also if the slot came in the same tick as the cancel.
                self.leave(ticket, served=False)
            del self._turns[ticket]

    def leave(self, ticket: int, *, served: bool = True) -> None:
        if started := self._queue.leave(ticket, now_s=self._clock.monotonic_s(), served=served):
            self._wake(started)

    def resize(self, deployment: Deployment) -> None:
        """Take over other bounds, after a reload or where an engine was lowered."""
        before, self._deployment = self._deployment, deployment
        if (before.slots, before.queue_max) != (deployment.slots, deployment.queue_max):
            now_s = self._clock.monotonic_s()
            self._wake(self._queue.resize(deployment.slots, waiting_max=deployment.queue_max, now_s=now_s))

    def refill(self) -> None:
        if self._turns:
            self._wake(self._queue.fill(now_s=self._clock.monotonic_s()))

    def close(self) -> None:
        for turn in self._turns.values():
            if not turn.done():
                turn.set_exception(ShuttingDown(retry_s=_RETRY_S_AT_STOP, retry_after_s=_RETRY_S_AT_STOP))

    def _wake(self, tickets: list[int]) -> None:
        for ticket in tickets:
            turn = self._turns[ticket]
            if not turn.done():
                turn.set_result(None)

    def _expire(self, turn: asyncio.Future[None], since_s: float) -> None:
        if not turn.done():
            waited_s = round(self._clock.monotonic_s() - since_s, 1)
            retry_s = self.retry_s()
            turn.set_exception(
                DeadlineUnreachable(deployment=self._deployment.name, waited_s=waited_s, retry_after_s=retry_s)
            )

    def retry_s(self) -> int:
        return max(_RETRY_S_MIN, math.ceil(spread_s(self._expected_s(), jitter=self._jitter)))

    def _expected_s(self) -> float:
        """When a newcomer could expect a slot."""
        return self._queue.expected_wait_s(now_s=self._clock.monotonic_s())

    def _refusal(self, arrival: Arrival, *, allowed_s: float) -> QueueFull | WaitTooLong:
        state, retry_s = self._queue.total, self.retry_s()
        if arrival is Arrival.FULL:
            return QueueFull(
                deployment=self._deployment.name,
                running=state.running,
                waiting=state.waiting,
                retry_s=retry_s,
                retry_after_s=retry_s,
            )
        return WaitTooLong(
            deployment=self._deployment.name,
            expected_s=max(_RETRY_S_MIN, math.ceil(self._expected_s())),
            allowed_s=max(0.0, round(allowed_s, 1)),
            retry_s=retry_s,
            retry_after_s=retry_s,
        )
