"""Slots on a real event loop: order, deadlines, cancels in every order, and stopping."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine

import pytest

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Terms
from freehold.domain.errors.admission import DeadlineUnreachable, QueueFull, ShuttingDown, WaitTooLong
from freehold.domain.place import Place
from freehold.domain.priority import Priority
from freehold.domain.turn import Turn
from freehold.domain.zones import DEVICE
from freehold.serving.admission import HeldSlot, SlotAdmission

TURN = Turn(tenant="t")


class LoopClock:
    def unix_ms(self) -> int:
        return 0

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()


class ManualClock(LoopClock):
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def monotonic_s(self) -> float:
        return self.now_s


def deployment(*, slots: int = 1, queue_max: int = 64, name: str = "small") -> Deployment:
    card = ModelCard(name="m")
    return Deployment(
        name=name,
        engine=EngineKind.EMBEDDED,
        model=card,
        zone=DEVICE,
        terms=Terms(),
        slots=slots,
        queue_max=queue_max,
    )


def admission(clock: LoopClock | None = None, *, share: float = 0.0) -> SlotAdmission:
    return SlotAdmission(clock=clock or LoopClock(), jitter=lambda: share)


def admit(
    queue: SlotAdmission, *, slots: int = 1, queue_max: int = 64, within_s: float = 60.0
) -> Coroutine[None, None, HeldSlot]:
    async def ask() -> HeldSlot:
        deadline_s = asyncio.get_running_loop().time() + within_s
        there = deployment(slots=slots, queue_max=queue_max)
        return await queue.admit(there, TURN, deadline_s=deadline_s)

    return ask()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_first_come_first_served() -> None:
    async def scenario() -> list[int]:
        queue, order = admission(), []
        held = await admit(queue)

        async def client(number: int) -> None:
            slot = await admit(queue)
            order.append(number)
            slot.release()

        tasks = [asyncio.ensure_future(client(number)) for number in range(5)]
        await settle()
        assert order == []
        assert queue.states()["small"].waiting == 5
        held.release()
        await asyncio.gather(*tasks)
        assert queue.states()["small"].running == 0
        return order

    assert asyncio.run(scenario()) == [0, 1, 2, 3, 4]


def test_never_more_than_the_slots_run_and_release_counts_once() -> None:
    async def scenario() -> None:
        queue = admission()
        first, second = await admit(queue, slots=2), await admit(queue, slots=2)
        waiting = asyncio.ensure_future(admit(queue, slots=2))
        further = asyncio.ensure_future(admit(queue, slots=2))
        await settle()
        first.release()
        first.release()
        await settle()
        assert waiting.done()
        assert not further.done()
        second.release()
        (await further).release()
        (await waiting).release()
        assert queue.states()["small"].running == 0

    asyncio.run(scenario())


def test_deployments_do_not_wait_for_each_other() -> None:
    async def scenario() -> None:
        queue = admission()
        deadline_s = asyncio.get_running_loop().time() + 60
        await queue.admit(deployment(name="a"), TURN, deadline_s=deadline_s)
        slot = await queue.admit(deployment(name="b"), TURN, deadline_s=deadline_s)
        assert slot.queue_ms == 0.0
        assert set(queue.states()) == {"a", "b"}

    asyncio.run(scenario())


def test_full_queue_is_refused_with_a_time() -> None:
    async def scenario() -> None:
        queue = admission()
        held = await admit(queue, queue_max=1)
        waiting = asyncio.ensure_future(admit(queue, queue_max=1))
        await settle()
        with pytest.raises(QueueFull) as caught:
            await admit(queue, queue_max=1)
        assert caught.value.values["running"] == 1
        assert caught.value.values["waiting"] == 1
        assert caught.value.retry_after_s
        assert caught.value.retry_after_s >= 1
        held.release()
        (await waiting).release()

    asyncio.run(scenario())


def test_waiting_ends_with_the_deadline() -> None:
    async def scenario() -> None:
        queue = admission()
        held = await admit(queue)
        with pytest.raises(DeadlineUnreachable) as caught:
            await admit(queue, within_s=0.02)
        assert float(str(caught.value.values["waited_s"])) < 5
        assert queue.states()["small"].waiting == 0
        held.release()
        (await admit(queue)).release()

    asyncio.run(scenario())


def test_who_cannot_start_in_time_is_refused_at_once() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        queue = admission(clock)

        async def ask(deadline_s: float) -> HeldSlot:
            return await queue.admit(deployment(), TURN, deadline_s=deadline_s)

        first = await ask(2_000)
        clock.now_s += 10
        first.release()
        second = await ask(2_000)
        clock.now_s += 2
        with pytest.raises(WaitTooLong) as caught:
            await ask(clock.now_s + 5)
        assert caught.value.values["expected_s"] == 8
        assert caught.value.values["allowed_s"] == 5.0
        assert caught.value.retry_after_s == 8
        assert queue.states()["small"].waiting == 0
        second.release()

    asyncio.run(scenario())


def test_queue_time_is_told() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        queue = admission(clock)
        held = await queue.admit(deployment(), TURN, deadline_s=9_999)
        waiting = asyncio.ensure_future(queue.admit(deployment(), TURN, deadline_s=9_999))
        await settle()
        clock.now_s += 0.25
        held.release()
        assert (await waiting).queue_ms == pytest.approx(250.0)

    asyncio.run(scenario())


@pytest.mark.parametrize("granted_first", [True, False])
def test_a_cancel_in_the_tick_of_the_grant_loses_no_slot(granted_first: bool) -> None:
    async def scenario() -> None:
        queue = admission()
        held = await admit(queue)
        victim, heir = asyncio.ensure_future(admit(queue)), asyncio.ensure_future(admit(queue))
        await settle()
        if granted_first:
            held.release()
            victim.cancel()
        else:
            victim.cancel()
            held.release()
        with pytest.raises(asyncio.CancelledError):
            await victim
        slot = await asyncio.wait_for(heir, 5)
        assert queue.states()["small"].running == 1
        slot.release()
        assert queue.states()["small"].running == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_cancels_and_releases_ends_empty(seed: int) -> None:
    chance = random.Random(seed)

    async def scenario() -> None:
        queue = admission()
        running, most = 0, 0

        async def client() -> None:
            nonlocal running, most
            slot = await admit(queue, slots=3, queue_max=1_000)
            running += 1
            most = max(most, running)
            try:
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
            finally:
                running -= 1
                slot.release()

        tasks = [asyncio.ensure_future(client()) for _ in range(60)]
        while not all(task.done() for task in tasks):
            if chance.random() < 0.4:
                chance.choice(tasks).cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert most <= 3
        state = queue.states()["small"]
        assert (state.running, state.waiting) == (0, 0)

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_more_slots_after_a_reload_wake_who_waits() -> None:
    async def scenario() -> None:
        queue = admission()
        held = await admit(queue, slots=1)
        waiting = asyncio.ensure_future(admit(queue, slots=1))
        await settle()
        third = await admit(queue, slots=3)
        assert (await asyncio.wait_for(waiting, 5)).queue_ms >= 0
        assert queue.states()["small"].running == 3
        held.release()
        third.release()

    asyncio.run(scenario())


def test_a_queue_may_be_none_and_grow_with_a_reload() -> None:
    async def scenario() -> None:
        queue = admission()
        held = await admit(queue, queue_max=0)
        with pytest.raises(QueueFull):
            await admit(queue, queue_max=0)
        waiting = asyncio.ensure_future(admit(queue, queue_max=1))
        await settle()
        held.release()
        (await waiting).release()
        queue.keep({"another"})
        assert queue.states() == {}

    asyncio.run(scenario())


def test_a_queue_in_use_is_not_forgotten() -> None:
    async def scenario() -> None:
        queue = admission()
        held = await admit(queue)
        queue.keep(())
        assert queue.states()["small"].running == 1
        held.release()
        queue.keep(())
        assert queue.states() == {}

    asyncio.run(scenario())


def test_room_is_told_without_taking_it() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        queue = admission(clock)
        there = deployment(queue_max=1)

        def room(within_s: float = 60.0) -> tuple[bool, bool]:
            found = queue.room(there, TURN, ready=True, deadline_s=clock.now_s + within_s)
            return found.free, found.waits

        assert room() == (True, False)
        held = await queue.admit(there, TURN, deadline_s=clock.now_s + 60)
        clock.now_s += 10
        held.release()
        held = await queue.admit(there, TURN, deadline_s=clock.now_s + 60)
        assert room() == (False, True)
        assert room(within_s=9) == (False, False)
        assert queue.states()["small"].waiting == 0
        assert not queue.room(there, TURN, ready=False, deadline_s=clock.now_s).ready
        held.release()

    asyncio.run(scenario())


@pytest.mark.parametrize(("share", "retry_s"), [(0.0, 40), (0.5, 45), (1.0, 50)])
def test_who_is_sent_away_is_not_told_to_come_back_in_step(share: float, retry_s: int) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        queue = admission(clock, share=share)
        there = deployment(queue_max=0)
        held = await queue.admit(there, TURN, deadline_s=clock.now_s + 60)
        clock.now_s += 40
        held.release()
        held = await queue.admit(there, TURN, deadline_s=clock.now_s + 60)
        with pytest.raises(QueueFull) as caught:
            await queue.admit(there, TURN, deadline_s=clock.now_s + 60)
        assert caught.value.retry_after_s == retry_s
        assert queue.retry_s(there, TURN) == retry_s
        held.release()

    asyncio.run(scenario())


def test_stopping_sends_away_who_waits_and_who_comes() -> None:
    async def scenario() -> None:
        queue = admission()
        held = await admit(queue)
        waiting = asyncio.ensure_future(admit(queue))
        await settle()
        queue.close()
        queue.close()
        for refused in (waiting, admit(queue)):
            with pytest.raises(ShuttingDown):
                await refused
        assert queue.states()["small"].running == 1
        held.release()
        assert queue.states()["small"].running == 0

    asyncio.run(scenario())


def test_a_slot_that_batch_would_give_up_counts_as_free() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        queue, there = admission(clock), deployment()
        batch = await queue.admit(there, Turn(tenant="b", priority=Priority.BATCH), deadline_s=clock.now_s + 60)

        def free(turn: Turn) -> bool:
            return queue.room(there, turn, ready=True, deadline_s=clock.now_s + 60).free

        assert not free(TURN)
        batch.yields(batch.release)
        assert free(TURN)
        assert not free(Turn(tenant="t", priority=Priority.LOW))
        batch.keeps()
        batch.keeps()
        assert not free(TURN)
        batch.release()

    asyncio.run(scenario())


def test_who_is_displaced_is_told_when_to_come_back() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        queue, there = admission(clock), deployment(queue_max=1)
        held = await queue.admit(there, TURN, deadline_s=clock.now_s + 600)
        clock.now_s += 10
        held.release()
        held = await queue.admit(there, TURN, deadline_s=clock.now_s + 600)
        low = Turn(tenant="t", priority=Priority.LOW)
        told: list[Place] = []
        displaced = asyncio.ensure_future(queue.admit(there, low, deadline_s=clock.now_s + 600, told=told.append))
        await settle()
        waiting = asyncio.ensure_future(queue.admit(there, TURN, deadline_s=clock.now_s + 600))
        with pytest.raises(QueueFull) as caught:
            await displaced
        assert told == [Place(position=1, expected_s=10.0)]
        assert caught.value.place is not None
        assert caught.value.place.position == 1
        assert caught.value.retry_after_s == 20
        held.release()
        (await waiting).release()
        assert queue.states()["small"].waiting == 0

    asyncio.run(scenario())
