"""A scripted child and a rig around the supervisor, in virtual time."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, field
from pathlib import Path

from freehold.domain.errors.engine import ModelFileChanged
from freehold.domain.errors.upstream import UpstreamUnreachable
from freehold.engines.process.life import Life
from freehold.engines.process.plan import Plan, Supervision
from freehold.engines.process.supervisor import Supervisor

TIMES = Supervision(
    start_timeout_s=20, backoff_first_s=1, backoff_max_s=8, stable_s=60, memory_window_s=300, stall_s=30,
    heartbeat_s=10, heartbeat_timeout_s=5, stop_grace_s=3,
)  # fmt: skip


@dataclass
class FakeChild:
    """Becomes ready after ``ready_after_s``; ends when told."""

    pid: int
    plan: Plan
    ready_after_s: float = 1.0
    refuses: bool = False
    heartbeats_fail: bool = False
    heartbeat_takes_s: float = 0.0
    ignores_term: bool = False
    output: str = ""
    signals: list[str] = field(default_factory=list)
    heartbeats: int = 0
    released: bool = False

    def __post_init__(self) -> None:
        self._ended = asyncio.Event()
        self._returncode = 0

    def end(self, returncode: int, output: str = "") -> None:
        self._returncode, self.output = returncode, output
        self._ended.set()

    async def wait(self) -> int:
        await self._ended.wait()
        return self._returncode

    async def prove_ready(self) -> None:
        await asyncio.sleep(self.ready_after_s)
        if self.refuses:
            raise UpstreamUnreachable(deployment="tiny", reason="it has no tokens")

    async def heartbeat(self) -> None:
        self.heartbeats += 1
        await asyncio.sleep(self.heartbeat_takes_s)
        if self.heartbeats_fail:
            raise UpstreamUnreachable(deployment="tiny", reason="nobody there")

    def terminate(self) -> None:
        self.signals.append("TERM")
        if not self.ignores_term:
            self.end(-signal.SIGTERM)

    def kill(self) -> None:
        self.signals.append("KILL")
        self.end(-signal.SIGKILL)

    def last_output(self) -> str:
        return self.output

    async def release(self) -> None:
        self.released = True


@dataclass
class FakeFiles:
    """What becomes of a child's files is said by the test."""

    wrong: str = ""
    moved: bool = False
    over: bool = False
    checks: int = 0

    def check(self) -> None:
        self.checks += 1
        self.over = False
        if self.wrong:
            raise ModelFileChanged(deployment="tiny", path="/m.gguf", reason=self.wrong)

    def unvouched(self) -> str:
        raise AssertionError("a supervisor asks by a check")

    def same(self) -> bool:
        return not self.moved

    def rewritten(self) -> bool:
        return self.over

    def exchanged(self, *, outside: Path) -> tuple[Path, ...]:
        raise AssertionError("a supervisor takes nothing over")


class Rig:
    """A supervisor whose children follow ``scripts``: keyword arguments of each, the last one for all that follow."""

    def __init__(
        self,
        *scripts: dict[str, object],
        plan: Plan | None = None,
        jitter: float = 1.0,
        files: FakeFiles | None = None,
    ) -> None:
        self.children: list[FakeChild] = []
        self.launched_s: list[float] = []
        self._scripts = scripts or ({},)
        self.supervisor = Supervisor(
            name="tiny",
            plan=plan or Plan(slots=4, context_tokens=4096),
            times=TIMES,
            launch=self._launch,
            jitter=lambda: jitter,
            files=files,
        )

    async def _launch(self, plan: Plan) -> FakeChild:
        script = self._scripts[min(len(self.children), len(self._scripts) - 1)]
        child = FakeChild(pid=100 + len(self.children), plan=plan, **script)  # pyright: ignore[reportArgumentType]
        self.children.append(child)
        self.launched_s.append(asyncio.get_running_loop().time())
        return child

    @property
    def child(self) -> FakeChild:
        return self.children[-1]

    async def life(self) -> Life[FakeChild]:
        return await self.supervisor.ready(wait_s=60)

    async def die(self, returncode: int, output: str = "", *, after_s: float = 0.0) -> float:
        """Let the child end once it is ready; seconds until the next one was launched."""
        life = await self.life()
        await asyncio.sleep(after_s)
        ended_s = asyncio.get_running_loop().time()
        life.child.end(returncode, output)
        await life.death()
        await self.life()
        return self.launched_s[-1] - ended_s
