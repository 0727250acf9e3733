"""Looking through pieces of text away from the event loop: a child behind ``domain.detect_ports.PieceReader``."""

from __future__ import annotations

import asyncio
import re
import secrets
import tempfile
from collections.abc import Awaitable, Callable

from freehold.domain.detect_ports import Looked
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.detect import DetectorFailed
from freehold.domain.ports import Clock, EngineState
from freehold.engines.detector.child import DetectorChild, DetectorSpec, NameModel
from freehold.engines.process.asked import AskedChild, ChildDiedError, ChildDownError
from freehold.engines.process.files import ModelFiles
from freehold.engines.process.jail import Measure
from freehold.engines.process.plan import Supervision
from freehold.hostinfo.clock import any_share
from freehold.net.deadlines import Expiry

_HALF = re.compile("[\ud800-\udfff]")


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
        files: Those of the model.
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
        files: ModelFiles | None = None,
    ) -> None:
        self._no_model = no_model or "there is no model that marks names"
        self._has_model = model is not None
        self._clock = clock
        folder = f"{tempfile.gettempdir()}/freehold-{secrets.token_hex(8)}"
        spec = DetectorSpec(module=module, model=model, folder=folder)
        self._child = AskedChild(
            name="detector",
            launch=lambda: launch(spec),
            clock=clock,
            times=times or Supervision(),
            jitter=jitter,
            files=files,
        )

    def state(self) -> EngineState:
        """Current state."""
        return self._child.state()

    def jail_report(self) -> tuple[Measure, ...]:
        """What the child gave up and what the system refused; empty before its start."""
        return self._child.jail_report()

    async def start(self) -> None:
        """Make it ready ahead of the first piece.

        Raises:
            EngineStartFailed: The child never became ready.
        """
        await self._child.start()

    async def close(self) -> None:
        """End the child, for good. Idempotent."""
        await self._child.close()

    async def look(self, piece: str, *, names: bool, deadline_s: float) -> Looked:
        """Look through one piece; see ``PieceReader``.

        Raises:
            DetectorFailed: The child does not start, ended, or did not answer in time.
        """
        wanted = names and self._has_model
        piece = _HALF.sub("\ufffd", piece)  # half a character cannot be said to the child; places stay what they are
        try:
            with Expiry(asyncio.get_running_loop(), deadline_s):
                left_s = deadline_s - self._clock.monotonic_s()
                asked = {"piece": piece, "names": wanted}
                looked = await self._child.ask(lambda child: child.ask(asked), wait_s=left_s)
        except TimeoutError:
            raise DetectorFailed(reason="the time was over") from None
        except (ChildDownError, ChildDiedError) as error:
            raise DetectorFailed(reason=str(error)) from error
        except FreeholdError as error:
            raise DetectorFailed(reason=error.message.rstrip(".")) from error
        if any(each.end > len(piece) for each in looked.findings):
            raise DetectorFailed(reason="it found something that is nowhere")
        if names and not wanted:
            missed = "; ".join(filter(None, (looked.missed, f"names were not looked for: {self._no_model}")))
            return Looked(findings=looked.findings, missed=missed, versions=looked.versions)
        return looked
