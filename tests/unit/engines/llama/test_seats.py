from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from freehold.domain.errors.engine import EngineNotReady
from freehold.domain.request import InferenceRequest
from freehold.engines.llama.seats import UNSURE_S, Seat, Seats, marks_of
from freehold.wire.openai_request import decode_chat
from tests.support.gateway import ManualClock

LONG = "the same beginning of a prompt that is long enough to be worth it " * 4


def asked(text: str = LONG, **members: Any) -> InferenceRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **members}
    return decode_chat(json.dumps(body).encode(), request_id="r")


class Rig:
    def __init__(self, slots: int = 2, *, remembers: bool = False) -> None:
        self.clock = ManualClock()
        self.seats = Seats(slots, clock=self.clock, name="home", remembers=remembers)

    async def call(self, scope: str, text: str = LONG, *, status: int | None = 200, **members: Any) -> Seat:
        """One call from its beginning to its end; ``None`` is one that is given up before it is heard of."""
        deadline_s = self.clock.monotonic_s() + 1
        async with self.seats.seat(asked(text, **members), scope=scope, deadline_s=deadline_s) as seat:
            if status is not None:
                self.seats.heard(seat, status)
        return seat


def play(scenario: Callable[[Rig], Awaitable[None]], *, slots: int = 2, remembers: bool = False) -> None:
    async def main() -> None:
        await scenario(Rig(slots, remembers=remembers))

    asyncio.run(main())


def test_two_scopes_in_turns_keep_a_slot_each() -> None:
    async def scenario(rig: Rig) -> None:
        first = [await rig.call(scope) for scope in "ab"]
        again = [await rig.call(scope) for scope in "abba"]
        assert [seat.reuses for seat in first] == [False, False]
        assert all(seat.reuses for seat in again)
        a, b = (seat.slot.place for seat in first)
        assert a != b
        assert [seat.slot.place for seat in again] == [a, b, b, a]

    play(scenario)


def test_a_third_scope_takes_the_slot_that_was_left_longest_and_uses_nothing_of_it() -> None:
    async def scenario(rig: Rig) -> None:
        a, _ = [await rig.call(scope) for scope in "ab"]
        c = await rig.call("c")
        assert (c.slot.place, c.reuses) == (a.slot.place, False)
        assert (await rig.call("b")).reuses
        assert not (await rig.call("a")).reuses

    play(scenario)


def test_of_one_scope_the_conversation_that_is_alike_goes_on() -> None:
    async def scenario(rig: Rig) -> None:
        tea, rain = LONG + "tea", "quite another beginning, about the rain " * 8
        first = await rig.call("a", tea)
        other = await rig.call("a", rain)
        for text, seat in ((tea, first), (tea, first), (rain, other), (tea, first)):
            found = await rig.call("a", text + " and more")
            assert (found.slot.place, found.reuses) == (seat.slot.place, True)

    play(scenario)


def test_a_client_that_wants_its_prompt_read_anew_gets_that() -> None:
    async def scenario(rig: Rig) -> None:
        await rig.call("a")
        assert not (await rig.call("a", cache_prompt=False)).reuses
        assert (await rig.call("a")).reuses

    play(scenario)


@pytest.mark.parametrize("status", [400, 500])
def test_after_a_refusal_nobody_uses_what_the_slot_holds(status: int) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.call("a")
        await rig.call("b", status=status)
        assert not (await rig.call("b")).reuses  # the slot may still hold what was read for a

    play(scenario, slots=1)


def test_after_a_call_that_was_never_heard_of_nothing_is_concluded_for_a_while() -> None:
    async def scenario(rig: Rig) -> None:
        await rig.call("a", status=None)
        for _ in range(2):
            assert not (await rig.call("b")).reuses
        rig.clock.now_s += UNSURE_S
        assert [(await rig.call("b")).reuses for _ in range(2)] == [False, True]

    play(scenario, slots=1)


def test_a_slot_that_is_taken_is_given_to_nobody_else() -> None:
    async def scenario(rig: Rig) -> None:
        async with AsyncExitStack() as held:
            seat = await held.enter_async_context(rig.seats.seat(asked(), scope="a", deadline_s=2000.0))
            late = asyncio.ensure_future(rig.call("b"))
            with pytest.raises(EngineNotReady, match="every slot is busy"):
                await held.enter_async_context(rig.seats.seat(asked(), scope="b", deadline_s=rig.clock.now_s))
            assert not late.done()
            rig.seats.heard(seat, 200)
        assert not (await late).reuses
        assert (await rig.call("b")).reuses

    play(scenario, slots=1)


def test_who_gives_up_waiting_leaves_its_place_to_the_next() -> None:
    async def scenario(rig: Rig) -> None:
        async with rig.seats.seat(asked(), scope="a", deadline_s=2000.0):
            waiting = [asyncio.ensure_future(rig.call("b")) for _ in range(2)]
            await asyncio.sleep(0)
            waiting[0].cancel()
        await asyncio.wait({waiting[0]})
        assert waiting[0].cancelled()
        assert (await waiting[1]).slot.place == 0
        assert (await rig.call("b")).reuses is False  # the first call was never heard of
        assert rig.seats._free._value == 1

    play(scenario, slots=1)


def test_the_body_names_the_slot_and_nothing_of_the_clients() -> None:
    async def scenario(rig: Rig) -> None:
        body = b'{"model": "m", "cache_prompt": false, "messages": [1.0]}'
        for reuses in (False, True):
            seat = await rig.call("a")
            sent = {"model": "m", "messages": [1.0], "cache_prompt": reuses, "id_slot": seat.slot.place}
            assert json.loads(seat.body(body)) == sent

    play(scenario, slots=1)


def test_only_one_scope_has_prompts_in_memory_and_only_while_no_slot_is_anothers() -> None:
    async def scenario(rig: Rig) -> None:
        texts = [f"{name} is what this is about from its very beginning " * 5 for name in ("tea", "rain", "snow")]
        alone = [await rig.call("a", text) for text in texts]
        assert [seat.roams for seat in alone] == [False, False, True]
        assert "id_slot" not in json.loads(alone[2].body(b'{"model": "m"}'))
        other = await rig.call("b", texts[0])
        assert (other.roams, other.reuses) == (False, False)
        kept = await rig.call("a", texts[1])
        assert not kept.roams  # a slot is b's: what made way would be put into memory beside a's
        while any(slot.scope == "b" for slot in rig.seats._slots):
            assert not (await rig.call("a", texts[0])).roams
            assert not (await rig.call("a", texts[1])).roams
        assert (await rig.call("a", texts[2])).roams

    play(scenario, remembers=True)


def test_another_scope_waits_until_what_roams_has_its_slot() -> None:
    async def scenario(rig: Rig) -> None:
        for text in ("tea " * 60, "rain " * 60):
            await rig.call("a", text)
        async with rig.seats.seat(asked("snow " * 60), scope="a", deadline_s=2000.0) as roaming:
            assert roaming.roams
            other = asyncio.ensure_future(rig.call("b"))
            await asyncio.sleep(0)
            assert not other.done()
            rig.seats.heard(roaming, 200)
            await other

    play(scenario, remembers=True)


def test_marks_are_common_as_far_as_prompts_begin_alike() -> None:
    text = "word " * 4000
    one, other = marks_of(asked(text)), marks_of(asked(text[:9000] + "!" + text[9000:]))
    common = sum(mine == its for mine, its in zip(one, other, strict=False))
    assert 60 < common < len(one) < 100
    assert marks_of(asked("hi")) == marks_of(asked("hi"))
    assert marks_of(asked("hi")) != marks_of(asked("hi", tools=[_TOOL]))


_TOOL = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}}
