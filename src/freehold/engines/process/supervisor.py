"""Keeps one child alive: check its files, start, prove, watch, restart with backoff, lower the plan after deaths by memory.

The supervisor knows no processes and no HTTP, only the ``Child`` protocol, and takes time from the running event
loop: its tests run with a scripted child in virtual time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic

from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.engine import EngineNotReady, EngineStartFailed
from freehold.domain.ports import EngineState
from freehold.engines.process.death import Death, read_death
from freehold.engines.process.files import ModelFiles
from freehold.engines.process.life import ChildType, Life
from freehold.engines.process.plan import Plan, Supervision

_MEMORY_DEATHS_BEFORE_LOWERING = 2


class Supervisor(Generic[ChildType]):
    """Keeps one child of a deployment alive.

    Args:
        name: The deployment, for messages.
        plan: What the first child is started with.
        times: When to restart, give up, kill.
        launch: Starts a child with a plan. ``EngineStartFailed`` means that trying again is useless, ``OSError`` that
            it may help.
        jitter: Random number from 0 to 1.
        files: What it is started with: checked before each start, and looked at before each use; ``None`` for none.
    """

    def __init__(
        self,
        *,
        name: str,
        plan: Plan,
        times: Supervision,
        launch: Callable[[Plan], Awaitable[ChildType]],
        jitter: Callable[[], float],
        files: ModelFiles | None = None,
    ) -> None:
        self._name = name
        self._first_plan = plan
        self._plan = plan
        self._times = times
        self._launch = launch
        self._jitter = jitter
        self._files = files
        self._run: asyncio.Task[None] | None = None
        self._life: Life[ChildType] | None = None
        self._settled = asyncio.Event()
        self._failure: EngineStartFailed | None = None
        self._detail = "not started"
        self._starts = 0
        self._was_ready = False
        self._failures_in_row = 0
        self._memory_deaths = 0

    @property
    def plan(self) -> Plan:
        """What the child runs with now."""
        return self._plan

    @property
    def child(self) -> ChildType | None:
        """The child of now, ready or not."""
        return self._life.child if self._life else None

    def state(self) -> EngineState:
        """Current state, in one line of words."""
        detail = self._detail
        if self._plan != self._first_plan:
            first, now = self._first_plan, self._plan
            detail += (
                f"; lowered after deaths by memory to {now.slots} of {first.slots} slots"
                f" with {now.context_tokens} of {first.context_tokens} tokens"
            )
        return EngineState(
            ready=self._life is not None and self._life.ready,
            detail=detail,
            restarts=max(0, self._starts - 1),
            pid=self._life.child.pid if self._life else None,
        )

    async def start(self) -> None:
        """Start supervising; returns when the first child is ready. A call after a failure, or after ``close``, begins anew.

        Raises:
            EngineStartFailed: It never became ready.
        """
        if self._run is None or self._run.done():
            # What an earlier run learnt of memory stays; whether this one works is not known yet.
            self._failure, self._was_ready = None, False
            self._starts = self._failures_in_row = 0
            self._settled.clear()
            self._run = asyncio.create_task(self._supervise(), name=f"supervise {self._name}")
        await self._settled.wait()
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """End the child, asking first. Idempotent."""
        run, self._run = self._run, None
        if run is not None:
            run.cancel()
            await asyncio.wait({run})
        self._detail = "closed"
        self._settled.set()

    async def ready(self, *, wait_s: float) -> Life[ChildType]:
        """The life of a ready child, waited for while one is starting.

        Raises:
            EngineNotReady: There is none within ``wait_s``, or it is ended now since its files were written over.
        """
        if not self._settled.is_set() and self._run is not None and wait_s > 0:
            waiter = asyncio.create_task(self._settled.wait())
            try:
                await asyncio.wait({waiter}, timeout=wait_s)
            finally:
                waiter.cancel()
        if self._life is not None and self._life.ready and not self.is_spoilt():
            return self._life
        retry_s = max(1, round(self._times.backoff_first_s))
        raise EngineNotReady(
            source=self._name, retry_after_s=retry_s, deployment=self._name, detail=self.state().detail, retry_s=retry_s
        )

    def is_spoilt(self) -> bool:
        """Whether a file that the ready child has mapped was written over in its place; then the child is ended.

        What it answers now is of neither file, so that whoever has just been answered asks as well.
        """
        life = self._life
        if life is None or self._files is None or not self._files.rewritten():
            return False
        if life.ready:
            life.ready = False
            life.condemned = "its model file was written over"
            self._detail = f"ending ({life.condemned})"
            life.child.kill()
        return True

    async def _supervise(self) -> None:
        while True:
            try:
                death, lived_s = await self._one_life()
            except EngineStartFailed as error:
                if not (self._was_ready and error.retryable):
                    self._fail(error)
                    return
                # A file may be put back. Nobody waits for that: requests are told at once.
                self._failures_in_row += 1
                self._failure, why = error, error.message
                self._settled.set()
            else:
                self._learn(death, lived_s)
                why = f"it ended {death.how}"
                if not self._was_ready and not (death.by_memory and self._plan.smaller()):
                    self._fail(EngineStartFailed(source=self._name, deployment=self._name, reason=why))
                    return
            delay_s = self._backoff_s()
            self._detail = f"restarting in {delay_s:.2g} s ({why})"
            await asyncio.sleep(delay_s)
            self._detail = f"restarting ({why})"

    def _fail(self, error: EngineStartFailed) -> None:
        self._failure = error
        self._detail = f"failed: {error.message}"
        self._settled.set()

    def _learn(self, death: Death, lived_s: float) -> None:
        """Count towards backoff and towards a smaller plan; a child that was ready for long starts both counts over."""
        self._failures_in_row = 1 if lived_s >= self._times.stable_s else self._failures_in_row + 1
        if not death.by_memory:
            return
        self._memory_deaths = 1 if lived_s >= self._times.memory_window_s else self._memory_deaths + 1
        if self._memory_deaths >= _MEMORY_DEATHS_BEFORE_LOWERING and (smaller := self._plan.smaller()):
            self._plan = smaller
            self._memory_deaths = 0

    def _backoff_s(self) -> float:
        """Exponential, with the upper half left to chance, so that several children do not start in step."""
        doublings = min(self._failures_in_row - 1, 32)
        longest_s = min(self._times.backoff_max_s, self._times.backoff_first_s * 2**doublings)
        return longest_s * (0.5 + 0.5 * self._jitter())

    async def _one_life(self) -> tuple[Death, float]:
        """Start a child and serve with it: how it ended, and for how many seconds it was ready."""
        if not self._starts:
            self._detail = "loading"
        if self._files is not None:
            await asyncio.to_thread(self._files.check)
        self._failure = None
        self._settled.clear()
        self._starts += 1
        try:
            child = await self._launch(self._plan)
        except OSError as error:
            return Death(how=f"before it began: {error}"), 0.0
        life = self._life = Life(child)
        ended = asyncio.create_task(child.wait())
        asked_to_end = False
        reason = ""
        try:
            reason = await self._until_ready(life, ended) or await self._serve(life, ended)
        except asyncio.CancelledError:
            asked_to_end = True
            raise
        finally:
            life.ready = False
            self._settled.clear()
            await self._end(child, ended, kindly=asked_to_end)
            self._life = None
            why = reason or life.condemned
            life.died(Death(how=f"by signal 9: {why}") if why else read_death(ended.result(), child.last_output()))
            await child.release()
        return await life.death(), life.ready_s()

    async def _until_ready(self, life: Life[ChildType], ended: asyncio.Task[int]) -> str:
        """Empty once the child is ready or has ended by itself; else why it has to be ended."""
        limit_s = self._times.start_timeout_s
        failure = await _unless_ended(
            life.child.prove_ready(), ended, timeout_s=limit_s, late=f"not ready within {limit_s:g} s of its start"
        )
        if not failure and self._files is not None and not self._files.same():
            failure = "a file of its model changed while it was loaded"
        if not failure and not ended.done():
            life.became_ready()
            self._was_ready = True
            self._detail = "ready"
            self._settled.set()
        return failure

    async def _serve(self, life: Life[ChildType], ended: asyncio.Task[int]) -> str:
        """Empty once the child has ended by itself; else why it has to be ended."""
        while not ended.done():
            limit_s = self._times.stall_s if life.waiting else self._times.heartbeat_s
            left_s = limit_s - life.quiet_s()
            if left_s > 0:
                # A request that begins meanwhile has a limit of its own.
                await asyncio.wait({ended}, timeout=min(left_s, self._times.stall_s))
            elif life.waiting:
                return f"no progress for {limit_s:g} s"
            elif failure := await self._heartbeat(life, ended):
                return failure
        return ""

    async def _heartbeat(self, life: Life[ChildType], ended: asyncio.Task[int]) -> str:
        limit_s = self._times.heartbeat_timeout_s
        failure = await _unless_ended(
            life.child.heartbeat(), ended, timeout_s=limit_s, late=f"no sign of life within {limit_s:g} s"
        )
        if life.waiting:
            return ""  # a request came meanwhile; its own progress is watched
        life.beat()
        return failure

    async def _end(self, child: ChildType, ended: asyncio.Task[int], *, kindly: bool) -> None:
        if kindly and not ended.done():
            child.terminate()
            await asyncio.wait({ended}, timeout=self._times.stop_grace_s)
        if not ended.done():
            child.kill()
            await asyncio.wait({ended})


async def _unless_ended(
    work: Coroutine[Any, Any, None], ended: asyncio.Task[int], *, timeout_s: float, late: str
) -> str:
    """Do ``work`` while the child lives: empty if that went well or the child ended, else what went wrong."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task, ended}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            return ""
        if not task.done():
            return late
        task.result()
    except FreeholdError as error:
        return error.message
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return ""
