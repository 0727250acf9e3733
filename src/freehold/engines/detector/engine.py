"""Looking through pieces of text away from the event loop: a child behind ``domain.detect_ports.PieceReader``."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import tempfile
from collections.abc import Awaitable, Callable

from freehold.domain.detect_ports import Looked
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.detect import DetectorFailed
from freehold.domain.errors.upstream import UpstreamBroken
from freehold.domain.ports import Clock, EngineState
from freehold.engines.detector.child import DetectorChild, DetectorSpec, NameModel
from freehold.engines.process.jail import Measure
from freehold.engines.process.plan import Plan, Supervision
from freehold.engines.process.supervisor import Supervisor
from freehold.hostinfo.clock import any_share
from freehold.net.deadlines import Expiry

_DEATH_NOTICED_S = 0.5
_HALF = re.compile("[\ud800-\udfff]")
_RETRY_S = 30.0
"""A child that could not be started is not tried again by every text."""


class DetectorEngine:
    """One child that looks through pieces, started with the first of them.

    Args:
        module: What the child runs.
        model: The model that marks names; ``None`` where there is none.
        no_model: Why there is none; what a piece that is to be looked through for names then misses.
        clock: Time.
        times: When to restart, give up, kill.
        jitter: Random number from 0 to 1, for the waits between restarts.
        launch: Starts a child.
    """

    def __init__(
        self,
        *,
        module: str,
        model: NameModel | None,
        no_model: str = "",
        clock: Clock,
        times: Supervision | None = None,
        jitter: Callable[[], float] = any_share,
        launch: Callable[[DetectorSpec], Awaitable[DetectorChild]] = DetectorChild.launch,
    ) -> None:
        self._no_model = no_model or "there is no model that marks names"
        self._has_model = model is not None
        self._clock = clock
        self._times = times or Supervision()
        folder = f"{tempfile.gettempdir()}/freehold-{secrets.token_hex(8)}"
        spec = DetectorSpec(module=module, model=model, folder=folder)
        self._failed_s: float | None = None
        self._starting: asyncio.Task[None] | None = None
        self._is_closed = False

        async def launched(plan: Plan) -> DetectorChild:
            del plan  # one piece at a time
            return await launch(spec)

        self._supervisor = Supervisor(
            name="detector", plan=Plan(slots=1, context_tokens=0), times=self._times, launch=launched, jitter=jitter
        )

    def state(self) -> EngineState:
        """Current state."""
        return self._supervisor.state()

    def jail_report(self) -> tuple[Measure, ...]:
        """What the child gave up and what the system refused; empty before its start."""
        child = self._supervisor.child
        return child.jail if child is not None else ()

    async def start(self) -> None:
        """Make it ready ahead of the first piece.

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

    async def look(self, piece: str, *, names: bool, deadline_s: float) -> Looked:
        """Look through one piece; see ``PieceReader``.

        Raises:
            DetectorFailed: The child does not start, ended, or did not answer in time.
        """
        wanted = names and self._has_model
        piece = _HALF.sub("\ufffd", piece)  # half a character cannot be said to the child; places stay what they are
        try:
            with Expiry(asyncio.get_running_loop(), deadline_s):
                looked = await self._ask(piece, names=wanted, deadline_s=deadline_s)
        except TimeoutError:
            raise DetectorFailed(reason="the time was over") from None
        except DetectorFailed:
            raise
        except FreeholdError as error:
            raise DetectorFailed(reason=error.message.rstrip(".")) from error
        if any(each.end > len(piece) for each in looked.findings):
            raise DetectorFailed(reason="it found something that is nowhere")
        if names and not wanted:
            missed = "; ".join(filter(None, (looked.missed, f"names were not looked for: {self._no_model}")))
            return Looked(findings=looked.findings, missed=missed, versions=looked.versions)
        return looked

    async def _ask(self, piece: str, *, names: bool, deadline_s: float) -> Looked:
        await self._begun()
        left_s = deadline_s - self._clock.monotonic_s()
        life = await self._supervisor.ready(wait_s=left_s)
        progress = False
        life.begin_wait()
        try:
            looked = await life.child.ask({"piece": piece, "names": names})
        except UpstreamBroken as error:
            # Once its death is known, whoever comes next waits for another one.
            with contextlib.suppress(TimeoutError):
                death = await life.death(within_s=_DEATH_NOTICED_S)
                raise DetectorFailed(reason=f"its process ended {death.how}") from error
            raise
        else:
            progress = True
            return looked
        finally:
            life.end_wait(progress=progress)

    async def _begun(self) -> None:
        """Have it started once by whoever comes first; one that is cancelled starts it for the others all the same."""
        if self._is_closed:  # a text that is still looked through at the end must not leave a child behind
            raise DetectorFailed(reason="it was closed")
        now_s = self._clock.monotonic_s()
        if self._starting is None or (self._failed_s is not None and now_s - self._failed_s > _RETRY_S):
            self._failed_s = None
            self._starting = asyncio.create_task(self._supervisor.start(), name="start detector")
        try:
            await asyncio.shield(self._starting)
        except FreeholdError:
            self._failed_s = self._failed_s if self._failed_s is not None else now_s
            raise
