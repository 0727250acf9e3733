"""No prompt is used again for another scope, whatever llama.cpp is given late, out of order or in vain."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from random import Random

import pytest

from freehold.engines.llama import seats as seats_module
from freehold.engines.llama.seats import Seat, Seats
from freehold.wire.openai_request import decode_chat
from tests.support.gateway import ManualClock

SCOPES = ("ours", "theirs", "others")
LATE_S = 20.0
"""An abandoned message that did not arrive within this time never will."""


@dataclass(eq=False)
class Message:
    """A call on its way to llama.cpp, waiting there, or running."""

    scope: str
    seat: Seat
    slot: int | None
    uses: bool
    left_s: float | None = None


@dataclass
class Llama:
    """llama.cpp, as far as it keeps prompts: of whom each slot's is, and whose are in memory."""

    held: list[str | None]
    busy: list[Message | None]
    used: list[int]
    memory: set[str] = field(default_factory=set[str])
    waiting: list[Message] = field(default_factory=list[Message])
    count: int = 0
    leaks: list[str] = field(default_factory=list[str])
    found: int = 0

    def place_for(self, message: Message) -> int | None:
        if message.slot is not None:
            return message.slot if self.busy[message.slot] is None else None
        idle = [place for place, running in enumerate(self.busy) if running is None]
        return min(idle, key=lambda place: self.used[place], default=None)

    def begin(self, message: Message, place: int, *, refuses: bool) -> None:
        known: set[str | None] = {self.held[place]}
        if message.slot is None:
            self.memory |= {scope for scope in known if scope is not None}
            known |= self.memory
        if message.uses and message.left_s is None:
            self.found += known == {message.scope}
            if not known <= {None, message.scope}:
                self.leaks.append(f"{message.scope} found what was read for {known}")
        if not refuses:
            self.held[place], self.busy[place] = message.scope, message

    def end(self, place: int) -> None:
        self.busy[place] = None
        self.count += 1
        self.used[place] = self.count


@dataclass
class World:
    """A gateway's calls, a network that reorders them, and llama.cpp."""

    chance: Random
    seats: Seats
    clock: ManualClock
    llama: Llama
    network: list[Message] = field(default_factory=list[Message])
    refusals: float = 0.1
    tasks: dict[asyncio.Task[None], asyncio.Event] = field(default_factory=dict["asyncio.Task[None]", "asyncio.Event"])

    async def call(self, scope: str, text: str, ends: asyncio.Event) -> None:
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
        request = decode_chat(body, request_id="r")
        async with self.seats.seat(request, scope=scope, deadline_s=self.clock.monotonic_s() + 1e6) as seat:
            sent = json.loads(seat.body(body))
            message = Message(scope, seat, sent.get("id_slot"), sent["cache_prompt"])
            self.network.append(message)
            await ends.wait()
            message.left_s = self.clock.monotonic_s()

    def start(self) -> None:
        scope = self.chance.choices(SCOPES, weights=(6, 2, 1))[0]
        text = f"conversation {self.chance.randrange(3)} " * 20
        ends = asyncio.Event()
        self.tasks[asyncio.ensure_future(self.call(scope, text, ends))] = ends

    def arrive(self) -> None:
        if self.network:
            self.llama.waiting.append(self.network.pop(self.chance.randrange(len(self.network))))
        self._begin()

    def _begin(self) -> None:
        for message in list(self.llama.waiting):
            place = self.llama.place_for(message)
            if place is None:
                continue
            self.llama.waiting.remove(message)
            refuses = self.chance.random() < self.refusals
            self.llama.begin(message, place, refuses=refuses)
            if message.left_s is None:
                self.seats.heard(message.seat, 400 if refuses else 200)
            else:
                self.llama.end(place)

    def leave(self) -> None:
        """A client leaves, whatever became of its call; what runs for it ends."""
        waiting = [ends for task, ends in self.tasks.items() if not task.done() and not ends.is_set()]
        if waiting:
            self.chance.choice(waiting).set()

    def settle(self) -> None:
        for place, message in enumerate(self.llama.busy):
            if message is not None and message.left_s is not None:
                self.llama.end(place)
        now_s = self.clock.monotonic_s()
        for where in (self.network, self.llama.waiting):
            where[:] = [each for each in where if each.left_s is None or now_s - each.left_s < LATE_S]
        self._begin()

    def later(self) -> None:
        self.clock.now_s += self.chance.choice((0.1, 1.0, 5.0))


async def run(seed: int, *, slots: int, steps: int = 300, refusals: float = 0.1) -> Llama:
    clock = ManualClock()
    world = World(
        chance=Random(seed),
        seats=Seats(slots, clock=clock, name="home", remembers=True),
        clock=clock,
        llama=Llama(held=[None] * slots, busy=[None] * slots, used=[0] * slots),
        refusals=refusals,
    )
    for _ in range(steps):
        act = world.chance.choices(
            (world.start, world.arrive, world.leave, world.settle, world.later), weights=(3, 4, 3, 3, 1)
        )[0]
        act()
        for _ in range(6):
            await asyncio.sleep(0)
    for task in world.tasks:
        task.cancel()
    await asyncio.gather(*world.tasks, return_exceptions=True)
    return world.llama


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_nothing_is_used_again_for_another_scope(slots: int) -> None:
    found = 0
    for seed in range(60):
        llama = asyncio.run(run(seed, slots=slots))
        assert llama.leaks == [], f"seed {seed}"
        found += llama.found
    assert found > 20  # what was read is used again, for those for whom it was


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_may_roam", lambda self, free, scope: self._remembers),
        ("heard", lambda self, seat, status: _believes(self, seat)),
    ],
    ids=["memory of everybody", "a refusal taken for an answer"],
)
def test_the_model_finds_a_hole(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    monkeypatch.setattr(Seats, name, value)
    assert any(asyncio.run(run(seed, slots=2, refusals=0.4)).leaks for seed in range(200))


def test_the_model_finds_a_call_that_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats_module, "UNSURE_S", 0.0)
    assert any(asyncio.run(run(seed, slots=2)).leaks for seed in range(60))


def _believes(seats: Seats, seat: Seat) -> None:
    seat.is_heard = True
    seats._stay(seat)
    seat.slot.scope, seat.slot.marks = seat.scope, seat.marks
