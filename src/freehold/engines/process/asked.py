"""A child that is asked, one thing after the other: started by whoever asks first, and watched like all others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.upstream import UpstreamBroken
from freehold.domain.ports import Clock, EngineState
from freehold.engines.process.files import ModelFiles
from freehold.engines.process.jail import Measure
from freehold.engines.process.life import Child, Life
from freehold.engines.process.plan import Plan, Supervision
from freehold.engines.process.supervisor import Supervisor

T = TypeVar("T")

RETRY_S = 30.0
"""A child that could not be started is not tried again by everybody who asks."""

_DEATH_NOTICED_S = 0.5


class JailedChild(Child, Protocol):
    """A child that tells what it gave up."""

    @property
    def jail(self) -> tuple[Measure, ...]:
        """What it gave up and what the system refused."""
        ...


ChildType = TypeVar("ChildType", bound=JailedChild)


class ChildDownError(Exception):
    """It does not run; the text says why, without an end."""


class ChildDiedError(Exception):
    """It ended while it was asked.

    Attributes:
        how: Continues "it ended …"; empty where that is not known.
    """

    def __init__(self, how: str) -> None:
        self.how = how
        super().__init__(f"its process ended {how}".rstrip())


class AskedChild(Generic[ChildType]):
    """One child behind questions.

    Args:
        name: Of what it works for, for messages.
        launch: Starts a child, as ``supervisor.Supervisor`` has it.
        clock: Time.
        times: When to restart, give up, kill.
        jitter: Random number from 0 to 1, for the waits between restarts.
        files: What it is started with, as ``supervisor.Supervisor`` has it.
    """

    def __init__(
        self,
        *,
        name: str,
        launch: Callable[[], Awaitable[ChildType]],
        clock: Clock,
        times: Supervision,
        jitter: Callable[[], float],
        files: ModelFiles | None = None,
    ) -> None:
        self._name = name
        self._clock = clock
        self._failed_s: float | None = None
        self._starting: asyncio.Task[None] | None = None
        self._dying: Life[ChildType] | None = None
        self._is_closed = False

        async def launched(plan: Plan) -> ChildType:
            del plan  # one thing at a time, whatever it is
            return await launch()

        self._supervisor = Supervisor(
            name=name, plan=Plan(slots=1, context_tokens=0), times=times, launch=launched, jitter=jitter, files=files
        )

    def state(self) -> EngineState:
        """Current state."""
        return self._supervisor.state()

    def jail_report(self) -> tuple[Measure, ...]:
        """What the child gave up and what the system refused; empty before its start."""
        child = self._supervisor.child
        return child.jail if child is not None else ()

    async def start(self) -> None:
        """Make it ready ahead of the first question.

        Raises:
            EngineStartFailed: The child never became ready.
        """
        await self._supervisor.start()

    async def close(self) -> None:
        """End the child, for good. Idempotent."""
        self._is_closed = True
        starting, self._starting = self._starting, None
        if starting is not None:
            starting.cancel()
            await asyncio.wait({starting})
        await self._supervisor.close()

    async def ask(
        self,
        work: Callable[[ChildType], Awaitable[T]],
        *,
        wait_s: float,
        is_spoilt: Callable[[], bool] = lambda: False,
    ) -> T:
        """What comes of some work with the child.

        Args:
            work: Asks it.
            wait_s: How long a child that is starting is waited for.
            is_spoilt: Whether a cancellation now leaves the child at work on what nobody waits for, so that it is ended.

        Raises:
            ChildDownError: It does not run.
            ChildDiedError: It ended meanwhile.
            FreeholdError: As the work.
        """
        await self._begun()
        dying, self._dying = self._dying, None
        try:
            if dying is not None:  # once its death is known, there is another one to wait for
                await dying.death(within_s=wait_s)
            life = await self._supervisor.ready(wait_s=wait_s)
        except FreeholdError as error:
            raise ChildDownError(error.message.rstrip(".")) from error
        except TimeoutError:
            self._dying = dying
            raise ChildDownError("the one before has not ended yet") from None
        progress = False
        life.begin_wait()
        try:
            found = await work(life.child)
        except UpstreamBroken as error:
            self._dying = life
            how = ""
            with contextlib.suppress(TimeoutError):
                how = (await life.death(within_s=_DEATH_NOTICED_S)).how
            raise ChildDiedError(how) from error
        except asyncio.CancelledError:
            if is_spoilt():
                life.child.kill()
                self._dying = life
            raise
        else:
            progress = True
            return found
        finally:
            life.end_wait(progress=progress)

    async def _begun(self) -> None:
        """Have it started once by whoever comes first; one that is cancelled starts it for the others all the same.

        Raises:
            ChildDownError: It does not start, or was closed: who still asks at the end must not leave a child behind.
        """
        if self._is_closed:
            raise ChildDownError("it was closed")
        now_s = self._clock.monotonic_s()
        if self._starting is None or (self._failed_s is not None and now_s - self._failed_s > RETRY_S):
            self._failed_s = None
            self._starting = asyncio.create_task(self._supervisor.start(), name=f"start {self._name}")
        try:
            await asyncio.shield(self._starting)
        except FreeholdError as error:
            self._failed_s = self._failed_s if self._failed_s is not None else now_s
            raise ChildDownError(error.message.rstrip(".")) from error
