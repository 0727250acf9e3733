"""Models come and go for those who ask: the actor with a loader that loads nothing, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from freehold.domain.errors.admission import ShuttingDown
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.engine import EngineStartFailed
from freehold.domain.errors.placement import (
    LoadTooLate,
    MemoryTaken,
    ModelBusy,
    ModelTooLarge,
    NoMemoryBeside,
    NotPlaced,
)
from freehold.domain.place import Place
from freehold.domain.placement import PROCESSOR
from freehold.serving.memory_map import memory_map
from freehold.serving.placed import Entry
from freehold.serving.placing import Placer
from tests.support.placing import GB, FakeLoader, LoopClock, placer_of
from tests.support.virtual_time import run_virtual

TWO = {"a": 6.0, "b": 6.0}


def now_s() -> float:
    return asyncio.get_running_loop().time()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    run_virtual(scenario)


async def ask(placer: Placer, name: str, *, within_s: float = 600.0, for_s: float = 1.0) -> float:
    """One request; when it began."""
    await placer.use(name, deadline_s=now_s() + within_s)
    began_s = now_s()
    try:
        await asyncio.sleep(for_s)
    finally:
        placer.leave(name)
    return began_s


async def soon(done: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if done():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it never came")


def test_models_are_loaded_when_they_are_asked_for_and_never_more_than_there_is() -> None:
    async def scenario() -> None:
        loader = FakeLoader(TWO)
        placer = placer_of(loader)
        for _ in range(3):
            await ask(placer, "a")
            await ask(placer, "b")
        assert loader.said[:5] == ["load a", "loaded a", "unload a", "load b", "loaded b"]
        assert loader.said.count("load a") == loader.said.count("load b") == 3
        await placer.close()

    run(scenario)


def test_many_who_ask_in_turn_are_answered_with_few_loads_and_nobody_starves() -> None:
    async def scenario() -> None:
        loader = FakeLoader(TWO)
        placer = placer_of(loader)
        waited: list[float] = []

        async def one(number: int) -> None:
            await asyncio.sleep(number)
            asked_s = now_s()
            waited.append(await ask(placer, "ab"[number % 2]) - asked_s)

        await asyncio.gather(*(one(number) for number in range(200)))
        assert len(waited) == 200
        loads = sum(said.startswith("load ") for said in loader.said)
        assert loads <= 40, "asked for in turn 200 times"
        assert max(waited) <= placer.rules.patience_s + 2 * (loader.load_s + 1)
        await placer.close()

    run(scenario)


def test_who_is_alone_and_asks_two_in_turn_waits_little_more_than_they_take_to_load() -> None:
    async def scenario() -> None:
        loader = FakeLoader(TWO)
        placer = placer_of(loader)
        took: list[float] = []
        for number in range(10):
            asked_s = now_s()
            took.append(await ask(placer, "ab"[number % 2]) - asked_s)
        assert max(took[2:]) <= 2 * (loader.load_s + 1)
        assert sum(took[-4:]) / 4 <= 1.6 * loader.load_s, "the longer he is alone the less he waits"
        await placer.close()

    run(scenario)


def test_one_is_loaded_at_a_time_and_all_that_fit_stay() -> None:
    async def scenario() -> None:
        loader = FakeLoader(dict.fromkeys("abcd", 2.0))
        placer = placer_of(loader)
        await asyncio.gather(*(ask(placer, name) for name in "abcd"))
        assert (loader.most_loading, set(loader.there)) == (1, set("abcd"))
        await placer.close()

    run(scenario)


def test_at_the_start_all_are_loaded_that_fit_and_the_others_when_they_are_asked_for() -> None:
    async def scenario() -> None:
        loader = FakeLoader({"a": 4.0, "b": 8.0, "c": 5.0})
        placer = placer_of(loader, pinned=frozenset("c"), wanted=True)
        await soon(lambda: set(loader.there) == {"a", "c"} and all(each.begun for each in placer.entries()))
        assert loader.said[0] == "load c", "pinned ones first"
        with pytest.raises(NoMemoryBeside) as refused:
            await ask(placer, "b")
        assert "'b' needs 8.0 GB of the memory, 1.0 GB is free" in refused.value.message
        assert "c holds 5.0 GB, pinned" in refused.value.message
        assert 'Run "freehold unload c"' in refused.value.message
        assert set(loader.there) == {"a", "c"}, "nobody left for what cannot fit"
        await placer.unload("c")
        await ask(placer, "b")
        assert set(loader.there) == {"b"}
        await placer.close()

    run(scenario)


def test_what_can_never_fit_is_said_at_once() -> None:
    async def scenario() -> None:
        loader = FakeLoader({"a": 4.0, "b": 12.0})
        placer = placer_of(loader)
        await ask(placer, "a")
        with pytest.raises(ModelTooLarge, match=r"'b' needs 12.0 GB of the memory, and models may have 10.0 GB there"):
            await ask(placer, "b")
        assert set(loader.there) == {"a"}
        await placer.close()

    run(scenario)


def test_who_answers_is_not_stopped() -> None:
    async def scenario() -> None:
        loader = FakeLoader(TWO)
        placer = placer_of(loader)
        long = asyncio.create_task(ask(placer, "a", for_s=100))
        await soon(lambda: "loaded a" in loader.said)
        other = asyncio.create_task(ask(placer, "b"))
        await asyncio.sleep(50)
        with pytest.raises(ModelBusy, match="answers 1 requests"):
            await placer.unload("a")
        assert (set(loader.there), other.done()) == ({"a"}, False)
        late = asyncio.create_task(ask(placer, "a"))  # comes after b had its turn, and must not keep it from it
        began_s = await long
        assert await other >= began_s + 100
        await late
        assert loader.said.count("load a") == 2
        await placer.close()

    run(scenario)


def test_what_nobody_waits_for_any_more_is_not_loaded_and_nobody_leaves_for_it() -> None:
    async def scenario() -> None:
        loader = FakeLoader(TWO)
        placer = placer_of(loader)
        long = asyncio.create_task(ask(placer, "a", for_s=60))
        await soon(lambda: "loaded a" in loader.said)
        gone = asyncio.create_task(ask(placer, "b"))
        await asyncio.sleep(40)
        assert placer.entry("a").closed
        gone.cancel()
        await asyncio.wait({gone})
        assert not placer.entry("a").closed
        assert placer.try_use("a")
        placer.leave("a")
        await long
        await asyncio.sleep(100)
        assert loader.said == ["load a", "loaded a"]
        await placer.close()

    run(scenario)


def test_a_caller_who_leaves_while_its_model_makes_room_has_nothing_loaded() -> None:
    async def scenario() -> None:
        loader = FakeLoader(TWO, unload_s=2.0)
        placer = placer_of(loader)
        await ask(placer, "a")
        placer.rules = replace(placer.rules, patience_s=0)
        gone = asyncio.create_task(ask(placer, "b"))
        await soon(lambda: "unload a" in loader.said)
        gone.cancel()
        await asyncio.wait({gone})
        await asyncio.sleep(100)
        assert "load b" not in loader.said
        await placer.close()

    run(scenario)


def test_a_caller_who_leaves_in_the_tick_in_which_its_model_came_leaves_no_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        loader = FakeLoader(TWO)
        placer = placer_of(loader)
        gone = asyncio.create_task(ask(placer, "a"))
        tell = placer._tell

        def told(entry: Entry, error: FreeholdError | None) -> None:
            tell(entry, error)
            assert entry.slots == 1
            gone.cancel()

        monkeypatch.setattr(placer, "_tell", told)
        await asyncio.wait({gone})
        monkeypatch.undo()
        assert gone.cancelled()
        assert placer.entry("a").slots == 0
        await placer.unload("a")
        await placer.close()

    run(scenario)


def test_one_that_does_not_load_is_told_its_memory_is_free_and_it_is_left_alone_for_a_while() -> None:
    async def scenario() -> None:
        loader = FakeLoader(TWO)
        placer = placer_of(loader)
        loader.fails["a"] = EngineStartFailed(source="a", deployment="a", reason="it ended by signal 9")
        callers = [asyncio.create_task(ask(placer, "a")) for _ in range(3)]
        await asyncio.wait(callers)
        assert {type(each.exception()) for each in callers} == {EngineStartFailed}
        assert (loader.there, placer.entry("a").held) == ({}, {})
        with pytest.raises(EngineStartFailed):
            await ask(placer, "a")
        assert loader.said.count("load a") == 1, "not again at once"
        await ask(placer, "b")
        del loader.fails["a"]
        await asyncio.sleep(10)
        await ask(placer, "a")
        await placer.close()

    run(scenario)


def test_a_model_is_loaded_only_once_the_memory_of_who_left_is_really_free() -> None:
    async def scenario() -> None:
        loader = FakeLoader(TWO, lag_s=4.0)  # the loader fails where it is not
        placer = placer_of(loader)
        await ask(placer, "a")
        await ask(placer, "b")
        assert set(loader.there) == {"b"}
        await placer.close()

    run(scenario)


def test_memory_that_other_programs_hold_is_told() -> None:
    async def scenario() -> None:
        loader = FakeLoader(TWO)
        placer = placer_of(loader)
        loader.taken_bytes = 5 * GB
        with pytest.raises(MemoryTaken, match=r"needs 6.0 GB of the memory, 5.0 GB is free \(no model holds any\)"):
            await ask(placer, "a")
        loader.taken_bytes = 0
        await asyncio.sleep(5)
        await ask(placer, "a")
        await placer.close()

    run(scenario)


def test_who_waits_is_told_its_place_and_what_it_may_expect_and_nobody_waits_in_vain() -> None:
    async def scenario() -> None:
        loader = FakeLoader(TWO, load_s=8.0)
        placer = placer_of(loader)
        for name in "ab":
            await ask(placer, name)
        placer.rules = replace(placer.rules, patience_s=0)
        told: list[Place] = []
        with pytest.raises(LoadTooLate) as late:
            await placer.use("a", deadline_s=now_s() + 5, told=told.append)
        assert (told, late.value.place) == ([], Place(position=1, expected_s=8.0))
        assert late.value.retry_after_s == 8
        asked_s = now_s()
        await placer.use("a", deadline_s=now_s() + 60, told=told.append)
        placer.leave("a")
        assert told == [Place(position=1, expected_s=8.0)]
        assert now_s() - asked_s == pytest.approx(8.0, abs=0.5)
        await placer.close()

    run(scenario)


def test_a_deadline_ends_a_wait() -> None:
    async def scenario() -> None:
        loader = FakeLoader(TWO)
        placer = placer_of(loader)
        long = asyncio.create_task(ask(placer, "a", for_s=100))
        await soon(lambda: "loaded a" in loader.said)
        with pytest.raises(LoadTooLate, match="'b' is not loaded"):
            await ask(placer, "b", within_s=20)
        assert placer.entry("b").waiters == []
        await long
        await placer.close()

    run(scenario)


def test_idle_ones_leave_after_a_time_and_pinned_ones_stay() -> None:
    async def scenario() -> None:
        loader = FakeLoader({"a": 2.0, "b": 2.0})
        placer = placer_of(loader, pinned=frozenset("b"), keep_s=60)
        await ask(placer, "a")
        await ask(placer, "b")
        await asyncio.sleep(50)
        assert set(loader.there) == {"a", "b"}
        await asyncio.sleep(20)
        assert set(loader.there) == {"b"}
        await placer.close()

    run(scenario)


def test_what_was_measured_is_set_aside_from_then_on() -> None:
    async def scenario() -> None:
        loader = FakeLoader(TWO)
        placer = placer_of(loader)
        loader.sizes["a"] = 7 * GB
        await ask(placer, "a")
        assert placer.entry("a").held == {PROCESSOR: 7 * GB}
        loader.sizes["a"] = 8 * GB
        keeps = asyncio.create_task(placer.keep_measured())
        await asyncio.sleep(11)
        assert placer.entry("a").held == {PROCESSOR: 8 * GB}
        placer.limit(PROCESSOR, 7 * GB)
        await asyncio.sleep(1)
        assert loader.there == {}, "more than there may be: who is idle leaves"
        keeps.cancel()
        await asyncio.wait({keeps})
        await placer.close()

    run(scenario)


def test_calls_of_those_who_have_a_slot_never_wait_and_others_wait_for_no_cold_model() -> None:
    async def scenario() -> None:
        loader = FakeLoader(TWO)
        placer = placer_of(loader)
        with pytest.raises(LoadTooLate):
            await placer.join("a", deadline_s=now_s() + 1)
        await placer.join("a", deadline_s=now_s() + 60)
        placer.part("a")
        await placer.use("a", deadline_s=now_s() + 60)
        other = asyncio.create_task(ask(placer, "b"))
        await soon(lambda: placer.entry("a").closed)
        await placer.join("a", deadline_s=now_s())
        placer.leave("a")
        with pytest.raises(LoadTooLate):
            await placer.join("a", deadline_s=now_s() + 1)  # no request keeps it any more
        placer.part("a")
        await other
        await placer.close()

    run(scenario)


def test_stopping_sends_away_who_waits_and_loads_nothing() -> None:
    async def scenario() -> None:
        loader = FakeLoader(TWO)
        placer = placer_of(loader)
        waiting = [asyncio.create_task(ask(placer, name)) for name in "ab"]
        await soon(lambda: "load a" in loader.said)
        await placer.close()
        await asyncio.wait(waiting)
        assert {type(each.exception()) for each in waiting} == {ShuttingDown}
        with pytest.raises(ShuttingDown):
            await ask(placer, "a")
        assert "load b" not in loader.said

    run(scenario)


def test_by_hand_and_what_it_shows() -> None:
    async def scenario() -> None:
        loader = FakeLoader({"a": 4.0, "b": 4.0})
        placer = placer_of(loader, pinned=frozenset("b"))
        with pytest.raises(NotPlaced):
            await placer.load("c", deadline_s=now_s() + 60)
        for name in "ab":
            await placer.load(name, deadline_s=now_s() + 60)
        shown = memory_map(placer, now_s=now_s())
        assert shown["devices"] == [{"device": "cpu", "bytes_max": 10 * GB, "reserved_bytes": 8 * GB}]
        models = shown["models"]
        assert isinstance(models, list)
        first, second = models
        assert (first["state"], first["leaves"], first["pinned"]) == ("loaded", 1, False)
        assert "2.0 s to load again" in first["why"]
        assert (second["leaves"], second["why"]) == (None, "pinned: it makes way for nobody")
        for name in "ab":
            await placer.unload(name)
            await placer.unload(name)
        assert loader.there == {}
        await placer.forget("a")
        assert [each.id for each in placer.entries()] == ["b"]
        await placer.close()

    run(scenario)


def test_nothing_is_loaded_before_it_begins() -> None:
    async def scenario() -> None:
        loader = FakeLoader(TWO)
        placer = Placer(loader, devices={PROCESSOR: 10 * GB}, clock=LoopClock())
        with pytest.raises(NotPlaced):
            placer.entry("a")
        await asyncio.sleep(5)
        assert loader.said == []

    run(scenario)


def test_a_call_of_nobody_takes_no_place_of_a_call_that_has_one() -> None:
    """Else the request would wait for the model that it keeps from leaving."""

    async def scenario() -> None:
        loader = FakeLoader(TWO)
        placer = placer_of(loader)
        await placer.use("a", deadline_s=now_s() + 10)
        entry = placer.entry("a")
        await asyncio.sleep(30)
        other = asyncio.create_task(ask(placer, "b"))
        await soon(lambda: entry.closed)
        await placer.join("a", deadline_s=now_s() + 1)
        await asyncio.wait_for(placer.join("a", deadline_s=now_s() + 1), 0.1)
        for _ in range(2):
            placer.part("a")
        placer.leave("a")
        with pytest.raises(LoadTooLate):
            await placer.join("a", deadline_s=now_s() + 1)
        await other
        await placer.close()

    run(scenario)


def test_one_that_cannot_be_ended_keeps_no_other_from_moving() -> None:
    async def scenario() -> None:
        loader = FakeLoader(TWO)
        placer = placer_of(loader)
        await ask(placer, "a")

        async def fails(model: str) -> None:
            del loader.there[model]
            raise OSError("no such process")

        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        loader.unload = fails  # type: ignore[method-assign]
        first = asyncio.create_task(ask(placer, "b"))
        await soon(lambda: "a" not in loader.there)
        await asyncio.sleep(1)
        await ask(placer, "b", within_s=60)
        await first
        await placer.close()

    run(scenario)


def test_who_is_refused_is_not_told_how_many_others_ask() -> None:
    async def scenario() -> None:
        loader = FakeLoader(TWO)
        placer = placer_of(loader, pinned=frozenset({"a"}))
        for _ in range(3):
            await placer.use("a", deadline_s=now_s() + 60)
        with pytest.raises(NoMemoryBeside, match=r"a holds 6.0 GB, pinned, used within the last minute\)"):
            await ask(placer, "b")
        await placer.close()

    run(scenario)
