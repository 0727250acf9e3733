"""Batch requests on the request path: they make way while nothing of their answer was sent, and come again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pytest

from freehold.domain.decisions import Outcome
from freehold.domain.deployment import TokenPrice
from freehold.domain.egress import EgressPermit
from freehold.domain.errors.admission import Preempted, QueueFull
from freehold.domain.ports import Relaying, UpstreamCall, WholeReply
from freehold.domain.priority import Priority
from freehold.domain.request import Dialect, InferenceRequest
from freehold.domain.response import ResponseChunk
from freehold.domain.turn import Turn
from freehold.domain.zones import DEVICE, LAN, WORLD, Zone
from freehold.gateway.yielding import Yielding
from freehold.serving.admission import SlotAdmission
from tests.support.fake_engine import FakeAnswer, FakeEngine
from tests.support.gateway import House, MemorySink
from tests.unit.gateway.test_limits import Book
from tests.unit.gateway.test_pipeline import chat, engine, house

T = TypeVar("T")
PRICE = TokenPrice(input_micros_per_mtok=1_000_000, output_micros_per_mtok=1_000_000, currency="USD")


@dataclass
class Gate:
    """Holds answers before their second piece until it is opened."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, piece: int) -> None:
        if piece == 1:
            self.reached.set()
            await self.opened.wait()


def batch(text: str = "item", *, stream: bool = False) -> InferenceRequest:
    return replace(chat(text, stream=stream), priority=Priority.BATCH)


def full_house(gate: Gate, **route: object) -> House:
    """One slot, and a batch item stops at the gate."""
    small = engine("small")
    small.deployment = replace(small.deployment, slots=1)
    small.answers = {"item": FakeAnswer(text="a b c", before_piece=gate)}
    at = house(small, **route)
    at.admission = SlotAdmission(clock=at.clock, jitter=lambda: 0.0)  # type: ignore[assignment]
    return at


def in_loop(scenario: Callable[[Gate], Awaitable[T]]) -> T:
    async def main() -> T:
        return await asyncio.wait_for(scenario(Gate()), 20)

    return asyncio.run(main())


def test_a_batch_request_gives_its_slot_to_a_more_urgent_one_and_may_come_again() -> None:
    async def scenario(gate: Gate) -> None:
        at = full_house(gate)
        item = asyncio.ensure_future(at.ask(batch()))
        await gate.reached.wait()
        urgent = MemorySink()
        await at.ask(chat("now"), urgent)
        assert urgent.text == "answer of small"
        assert urgent.place is not None
        assert urgent.place.position == 1
        with pytest.raises(Preempted) as caught:
            await item
        assert caught.value.retryable
        assert (caught.value.http_status, caught.value.code) == (503, "FH-ADMIT-008")
        assert caught.value.retry_after_s
        given_up = next(each for each in at.receipts.kept if each.error_code == Preempted.code)
        assert (given_up.outcome, given_up.counts) == (Outcome.REFUSED, False), "limits on requests do not count it"
        assert [(each.outcome, each.error_code) for each in given_up.attempts] == [(Outcome.CANCELLED, "FH-ADMIT-008")]
        gate.opened.set()
        assert (await at.ask(batch())).text == "a b c"
        state = at.admission.states()["small"]  # type: ignore[attr-defined]
        assert (state.running, state.waiting) == (0, 0)

    in_loop(scenario)


def test_one_who_comes_in_the_tick_in_which_batch_gets_its_slot_waits_no_longer() -> None:
    async def scenario(gate: Gate) -> None:
        at = full_house(gate)
        first = await at.admission.admit(
            at.engines["small"].deployment, Turn(tenant="other"), deadline_s=1e9, told=lambda _: None
        )
        item = asyncio.ensure_future(at.ask(batch()))
        await asyncio.sleep(0)
        urgent = asyncio.ensure_future(at.ask(chat("now")))
        first.release()  # it is the item's turn, and its task is told of that after the urgent one has come
        with pytest.raises(Preempted):
            await item
        assert (await urgent).text == "answer of small"

    in_loop(scenario)


def test_what_limits_set_aside_is_settled_whatever_becomes_of_who_waits() -> None:
    """One makes way, one is displaced from a full queue, and one is cancelled in it: each is counted once, by its receipt."""

    async def scenario(gate: Gate) -> None:
        at, book = full_house(gate), Book()
        at.quotas = book
        small = at.engines["small"]
        small.deployment = replace(small.deployment, queue_max=2)  # type: ignore[attr-defined]
        item = asyncio.ensure_future(at.ask(batch()))
        await gate.reached.wait()
        displaced = asyncio.ensure_future(at.ask(batch("waits")))
        await asyncio.sleep(0)
        cancelled = asyncio.ensure_future(at.ask(batch("leaves")))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        others = [asyncio.ensure_future(at.ask(chat("now"))) for _ in range(2)]
        gate.opened.set()
        ended = await asyncio.gather(item, displaced, *others, return_exceptions=True)
        assert [type(each) for each in ended] == [Preempted, QueueFull, MemorySink, MemorySink]
        assert len(book.held) == len(at.receipts.kept) == 5
        first = [held.settled[0] for held in book.held]
        assert all(receipt in first for receipt in at.receipts.kept)
        assert all(later is None for held in book.held for later in held.settled[1:])

    in_loop(scenario)


@pytest.mark.parametrize(
    ("zone", "price", "makes_way"),
    [(DEVICE, None, True), (LAN, None, True), (LAN, PRICE, False), (WORLD, None, False), (WORLD, PRICE, False)],
)
def test_what_is_paid_for_is_not_given_up(zone: Zone, price: TokenPrice | None, makes_way: bool) -> None:
    async def scenario(gate: Gate) -> None:
        small = engine("small", zone=zone)
        small.deployment = replace(small.deployment, slots=1, price=price)
        small.answers = {"item": FakeAnswer(text="a b c", before_piece=gate)}
        at = house(small)
        at.admission = SlotAdmission(clock=at.clock, jitter=lambda: 0.0)  # type: ignore[assignment]
        item = asyncio.ensure_future(at.ask(batch()))
        await gate.reached.wait()
        urgent = asyncio.ensure_future(at.ask(chat("now")))
        for _ in range(20):
            await asyncio.sleep(0)
        assert item.done() is makes_way
        gate.opened.set()
        ended, _ = await asyncio.gather(item, urgent, return_exceptions=True)
        assert isinstance(ended, Preempted) is makes_way
        assert (await urgent).text == "answer of small"

    in_loop(scenario)


def test_a_stream_that_has_begun_keeps_its_slot() -> None:
    async def scenario(gate: Gate) -> None:
        at = full_house(gate)
        item = asyncio.ensure_future(at.ask(batch(stream=True)))
        await gate.reached.wait()
        urgent = asyncio.ensure_future(at.ask(chat("now")))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not item.done()
        gate.opened.set()
        assert (await item).text == "a b c"
        assert (await urgent).text == "answer of small"

    in_loop(scenario)


@dataclass(slots=True)
class RelayingEngine(FakeEngine):
    """Its streams pass through; the test says when an event comes."""

    relayed: list[HeldRelay] = field(default_factory=list["HeldRelay"])

    @property
    def relaying(self) -> Relaying:
        return self

    @property
    def dialect(self) -> Dialect:
        return Dialect.OPENAI

    async def relay(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> HeldRelay:
        self.relayed.append(HeldRelay())
        return self.relayed[-1]

    async def relay_whole(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> WholeReply:
        raise AssertionError("all clients stream")


class HeldRelay:
    """An event of it comes in a tick of its own, as a connection's do: no task is woken for it."""

    usage = timings = finish_reason = None
    begun, end, events = False, b"", 0

    async def pass_on(
        self, write: Callable[[bytes], bool], *, drained: Callable[[], Awaitable[None]], progress: Callable[[], None]
    ) -> None:
        self.write, self.progress = write, progress
        self.whole = asyncio.get_running_loop().create_future()
        await self.whole

    def event(self, data: bytes) -> None:
        self.begun = True
        self.progress()
        self.write(data)

    def abort(self) -> None:
        return


def test_nothing_is_sent_of_a_stream_once_its_slot_is_asked_for() -> None:
    """Its first event comes in the very tick in which the more urgent request does."""

    async def scenario(_: Gate) -> None:
        small = engine("small")
        relaying = RelayingEngine(deployment=replace(small.deployment, slots=1), default=small.default)
        at = house(relaying)
        at.admission = SlotAdmission(clock=at.clock, jitter=lambda: 0.0)  # type: ignore[assignment]
        sink = MemorySink(dialect=Dialect.OPENAI)
        item = asyncio.ensure_future(at.ask(batch(stream=True), sink))
        while not relaying.relayed:
            await asyncio.sleep(0)
        urgent = asyncio.ensure_future(at.ask(chat("now")))
        asyncio.get_running_loop().call_soon(relaying.relayed[0].event, b"data: {}\n\n")
        with pytest.raises(Preempted):
            await item
        assert (sink.deployments, sink.passed) == ([], b"")
        assert (await urgent).text == "answer of small"

    in_loop(scenario)


def test_low_and_batch_requests_wait_for_a_batch_request() -> None:
    async def scenario(gate: Gate) -> None:
        at = full_house(gate)
        item = asyncio.ensure_future(at.ask(batch()))
        await gate.reached.wait()
        others = [
            asyncio.ensure_future(at.ask(replace(chat("later"), priority=priority)))
            for priority in (Priority.BATCH, Priority.LOW)
        ]
        for _ in range(20):
            await asyncio.sleep(0)
        assert not item.done()
        gate.opened.set()
        assert (await item).text == "a b c"
        await asyncio.gather(*others)

    in_loop(scenario)


def test_a_client_that_leaves_as_its_slot_is_asked_for_has_left() -> None:
    async def scenario(gate: Gate) -> None:
        at = full_house(gate)
        item = asyncio.ensure_future(at.ask(batch()))
        await gate.reached.wait()
        urgent = asyncio.ensure_future(at.ask(chat("now")))
        await asyncio.sleep(0)
        item.cancel()
        with pytest.raises(asyncio.CancelledError):
            await item
        assert (await urgent).text == "answer of small"
        outcomes = [receipt.outcome for receipt in at.receipts.kept]
        assert sorted(outcomes) == [Outcome.CANCELLED, Outcome.COMPLETE]

    in_loop(scenario)


def test_who_swallows_the_asking_is_not_left_half_cancelled() -> None:
    async def scenario(_: Gate) -> None:
        yielding = Yielding()

        async def stubborn() -> None:
            yielding.ask()
            yielding.ask()
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                return

        async def breaks() -> None:
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                raise ValueError("broken") from None

        assert not await yielding.let(stubborn())
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        other = Yielding()
        other.ask()
        with pytest.raises(ValueError, match="broken"):
            await other.let(breaks())
        assert task.cancelling() == 0

    in_loop(scenario)


def test_chunks_of_a_batch_stream_are_held_while_another_deployment_may_answer() -> None:
    async def scenario(gate: Gate) -> None:
        seen: list[ResponseChunk] = []
        at = full_house(gate)
        item = asyncio.ensure_future(at.ask(batch(stream=True), sink=MemorySink(on_chunk=seen.append)))
        await gate.reached.wait()
        assert len(seen) == 1
        gate.opened.set()
        await item

    in_loop(scenario)
