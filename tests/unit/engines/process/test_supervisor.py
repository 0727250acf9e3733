from __future__ import annotations

import asyncio
import signal

import pytest

from freehold.domain.errors.engine import EngineNotReady, EngineStartFailed
from freehold.engines.process.plan import Plan
from tests.support.virtual_time import run_virtual
from tests.unit.engines.process.fake_child import TIMES, Rig


def now_s() -> float:
    return asyncio.get_running_loop().time()


def test_start_returns_when_a_token_was_generated_and_not_before() -> None:
    async def scenario() -> None:
        rig = Rig({"ready_after_s": 7.0})
        begun_s = now_s()
        starting = asyncio.create_task(rig.supervisor.start())
        await asyncio.sleep(6.9)
        assert (rig.supervisor.state().ready, rig.supervisor.state().detail) == (False, "loading")
        await starting
        assert now_s() - begun_s == pytest.approx(7.0)
        state = rig.supervisor.state()
        assert (state.ready, state.detail, state.restarts, state.pid) == (True, "ready", 0, 100)
        await rig.supervisor.close()

    run_virtual(scenario)


def test_backoff_doubles_up_to_its_limit_and_starts_over_after_a_stable_life() -> None:
    async def scenario() -> None:
        rig = Rig()
        await rig.supervisor.start()
        waits = [await rig.die(1) for _ in range(6)]
        assert waits == pytest.approx([1, 2, 4, 8, 8, 8])
        assert await rig.die(1, after_s=TIMES.stable_s) == pytest.approx(1)
        assert rig.supervisor.state().restarts == 7
        assert all(child.released for child in rig.children[:-1])
        await rig.supervisor.close()

    run_virtual(scenario)


@pytest.mark.parametrize(("jitter", "waited_s"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
def test_jitter_moves_the_upper_half_of_the_wait(jitter: float, waited_s: float) -> None:
    async def scenario() -> None:
        rig = Rig(jitter=jitter)
        await rig.supervisor.start()
        assert await rig.die(-11) == pytest.approx(waited_s)
        await rig.supervisor.close()

    run_virtual(scenario)


def test_state_says_why_it_restarts() -> None:
    async def scenario() -> None:
        rig = Rig()
        await rig.supervisor.start()
        rig.child.end(-signal.SIGSEGV)
        await asyncio.sleep(0.5)
        assert rig.supervisor.state().detail == "restarting in 1 s (it ended by signal 11 (SIGSEGV))"
        assert not rig.supervisor.state().ready
        await rig.supervisor.close()

    run_virtual(scenario)


def test_two_deaths_by_memory_lower_the_plan_one_step() -> None:
    async def scenario() -> None:
        rig = Rig(plan=Plan(slots=2, context_tokens=2048))
        await rig.supervisor.start()
        plans: list[Plan] = []
        for output in ("", "std::bad_alloc", "", "", "", ""):
            await rig.die(-signal.SIGKILL if not output else 1, output)
            plans.append(rig.child.plan)
        assert plans == [
            Plan(slots=2, context_tokens=2048),
            Plan(slots=1, context_tokens=2048),
            Plan(slots=1, context_tokens=2048),
            Plan(slots=1, context_tokens=1024),
            Plan(slots=1, context_tokens=1024),
            Plan(slots=1, context_tokens=1024),
        ]
        assert (
            "lowered after deaths by memory to 1 of 2 slots with 1024 of 2048 tokens" in rig.supervisor.state().detail
        )
        await rig.supervisor.close()

    run_virtual(scenario)


def test_other_deaths_and_rare_ones_do_not_lower_the_plan() -> None:
    async def scenario() -> None:
        rig = Rig()
        await rig.supervisor.start()
        for _ in range(3):
            await rig.die(-signal.SIGSEGV)
        for _ in range(4):
            await rig.die(-signal.SIGKILL, after_s=TIMES.memory_window_s)
        assert rig.supervisor.plan == Plan(slots=4, context_tokens=4096)
        await rig.supervisor.close()

    run_virtual(scenario)


def test_a_first_start_that_fails_is_told_with_the_last_words() -> None:
    async def scenario() -> None:
        rig = Rig({"ready_after_s": 100.0})
        starting = asyncio.create_task(rig.supervisor.start())
        await asyncio.sleep(1)
        rig.child.end(1, "loading\nRuntimeError: failed to load model\n")
        with pytest.raises(EngineStartFailed, match="with exit code 1: RuntimeError: failed to load model"):
            await starting
        assert len(rig.children) == 1
        assert rig.supervisor.state().detail.startswith("failed: ")
        with pytest.raises(EngineNotReady):
            await rig.supervisor.ready(wait_s=10)
        await rig.supervisor.close()

    run_virtual(scenario)


def test_a_first_start_that_takes_too_long_or_is_refused_is_ended() -> None:
    async def scenario() -> None:
        slow = Rig({"ready_after_s": 100.0})
        with pytest.raises(EngineStartFailed, match="not ready within 20 s"):
            await slow.supervisor.start()
        assert slow.child.signals == ["KILL"]
        refusing = Rig({"refuses": True})
        with pytest.raises(EngineStartFailed, match="it has no tokens"):
            await refusing.supervisor.start()
        assert refusing.child.signals == ["KILL"]

    run_virtual(scenario)


def test_a_first_start_that_lacks_memory_is_tried_smaller() -> None:
    async def scenario() -> None:
        rig = Rig({"ready_after_s": 5.0}, plan=Plan(slots=4, context_tokens=1024))
        starting = asyncio.create_task(rig.supervisor.start())
        for started in (1, 2):
            await asyncio.sleep(3)
            assert len(rig.children) == started
            rig.child.end(1, "ggml: failed to allocate buffer")
        await starting
        assert rig.child.plan == Plan(slots=2, context_tokens=1024)
        await rig.supervisor.close()

    run_virtual(scenario)


def test_a_failed_start_can_be_tried_again() -> None:
    async def scenario() -> None:
        rig = Rig({"refuses": True}, {})
        with pytest.raises(EngineStartFailed):
            await rig.supervisor.start()
        await rig.supervisor.start()
        assert rig.supervisor.state().ready
        await rig.supervisor.close()

    run_virtual(scenario)


def test_requests_wait_for_a_restart_but_not_for_ever() -> None:
    async def scenario() -> None:
        rig = Rig({}, {"ready_after_s": 9.0})
        await rig.supervisor.start()
        life = await rig.life()
        life.child.end(1)
        await life.death()
        with pytest.raises(EngineNotReady) as caught:
            await rig.supervisor.ready(wait_s=2.0)
        assert "it ended with exit code 1" in caught.value.message
        life = await rig.supervisor.ready(wait_s=20.0)
        assert life.child is rig.children[1]
        await rig.supervisor.close()

    run_virtual(scenario)


def test_a_stalled_child_is_killed_and_the_cause_named() -> None:
    async def scenario() -> None:
        rig = Rig()
        await rig.supervisor.start()
        life = await rig.life()
        life.begin_wait()
        begun_s = now_s()
        death = await life.death()
        assert now_s() - begun_s == pytest.approx(TIMES.stall_s)
        assert death.how == "by signal 9: no progress for 30 s"
        assert not death.by_memory
        await rig.supervisor.close()

    run_virtual(scenario)


def test_progress_of_any_request_keeps_the_child_alive() -> None:
    async def scenario() -> None:
        rig = Rig()
        await rig.supervisor.start()
        life = await rig.life()
        life.begin_wait()  # queued behind the other one
        for _ in range(20):
            life.begin_wait()
            await asyncio.sleep(TIMES.stall_s - 1)
            life.end_wait(progress=True)
        assert len(rig.children) == 1
        await rig.supervisor.close()

    run_virtual(scenario)


def test_requests_that_give_up_do_not_count_as_progress() -> None:
    async def scenario() -> None:
        rig = Rig()
        await rig.supervisor.start()
        life = await rig.life()
        begun_s = now_s()
        life.begin_wait()
        while life.ready:
            life.begin_wait()
            await asyncio.sleep(5)
            life.end_wait(progress=False)
        assert now_s() - begun_s <= TIMES.stall_s + 5
        await rig.supervisor.close()

    run_virtual(scenario)


def test_an_idle_child_is_asked_for_a_sign_of_life() -> None:
    async def scenario() -> None:
        rig = Rig()
        await rig.supervisor.start()
        await asyncio.sleep(61)
        assert rig.child.heartbeats == 6
        rig.child.heartbeats_fail = True
        await asyncio.sleep(10)
        assert rig.children[0].signals == ["KILL"]
        assert "nobody there" in rig.supervisor.state().detail
        await rig.life()
        rig.child.heartbeat_takes_s = 1000
        death = await (await rig.life()).death()
        assert death.how == "by signal 9: no sign of life within 5 s"
        await rig.supervisor.close()

    run_virtual(scenario)


def test_closing_asks_first_and_then_kills() -> None:
    async def scenario() -> None:
        kind = Rig()
        await kind.supervisor.start()
        await kind.supervisor.close()
        await kind.supervisor.close()
        assert kind.child.signals == ["TERM"]
        assert kind.child.released
        assert kind.supervisor.state().detail == "closed"

        stubborn = Rig({"ignores_term": True})
        await stubborn.supervisor.start()
        begun_s = now_s()
        await stubborn.supervisor.close()
        assert stubborn.child.signals == ["TERM", "KILL"]
        assert now_s() - begun_s == pytest.approx(TIMES.stop_grace_s)
        with pytest.raises(EngineNotReady, match="closed"):
            await stubborn.supervisor.ready(wait_s=5)

    run_virtual(scenario)


def test_closing_while_loading_or_waiting_leaves_nothing() -> None:
    async def scenario() -> None:
        loading = Rig({"ready_after_s": 10.0})
        starting = asyncio.create_task(loading.supervisor.start())
        await asyncio.sleep(1)
        await loading.supervisor.close()
        await starting
        assert loading.child.signals == ["TERM"]

        waiting = Rig()
        await waiting.supervisor.start()
        waiting.child.end(1)
        await asyncio.sleep(0.5)
        await waiting.supervisor.close()
        assert len(waiting.children) == 1

    run_virtual(scenario)


def test_a_system_without_room_for_a_process_is_tried_again() -> None:
    async def scenario() -> None:
        rig = Rig()
        await rig.supervisor.start()
        launch, rig.supervisor._launch = rig.supervisor._launch, _no_room
        rig.child.end(1)
        await asyncio.sleep(3)
        assert "no room" in rig.supervisor.state().detail
        rig.supervisor._launch = launch
        await rig.life()
        await rig.supervisor.close()

    run_virtual(scenario)


async def _no_room(_: Plan) -> None:
    raise OSError("no room")
