"""An event loop without a kernel: no sockets, no threads, no waiting. Time is a number that jumps to the next timer."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable
from typing import Any

from tests.simulation.pipe import Network

STEPS_MAX = 400_000
"""Turns of the loop after which a run is taken for one that never ends."""


class DeadlockError(Exception):
    """Somebody waits, and nothing is left that could happen."""


class LivelockError(Exception):
    """It goes on for ever."""


class NoSelector(selectors.BaseSelector):
    """Waits for nothing: where a real one would sleep, the loop's clock moves on."""

    def __init__(self) -> None:
        self.loop: SimLoop | None = None

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        raise AssertionError("the simulation has no file descriptors")

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        raise AssertionError("the simulation has no file descriptors")

    def get_map(self) -> dict[Any, Any]:
        return {}

    def select(self, timeout: float | None = None) -> list[Any]:
        assert self.loop is not None
        self.loop.pass_time(timeout)
        return []

    def close(self) -> None:
        self.loop = None


class SimLoop(asyncio.SelectorEventLoop):
    """Runs the unchanged program in virtual time.

    What would open a connection goes to ``network``; what would run in a thread runs in the loop, a little later.
    Everything that reaches the exception handler is kept in ``faults``.
    """

    def __init__(self, seed: int) -> None:
        selector = NoSelector()
        super().__init__(selector)
        selector.loop = self
        self.now_s = 1_000.0
        self.steps = 0
        self.faults: list[str] = []
        self.network = Network(self, seed)
        self._threads = random.Random(f"{seed} threads")
        self.set_exception_handler(self._note_fault)

    def time(self) -> float:
        return self.now_s

    def pass_time(self, timeout: float | None) -> None:
        self.steps += 1
        if self.steps > STEPS_MAX:
            raise LivelockError(f"{STEPS_MAX} turns of the loop")
        if timeout is None:
            raise DeadlockError("everybody waits and no timer is set")
        if timeout > 0:
            self.now_s += timeout

    def timers(self) -> list[asyncio.TimerHandle]:
        """Timers that will still fire."""
        return [handle for handle in self._scheduled if not handle.cancelled()]

    # --- what would need a kernel ----------------------------------------------------------------

    def _make_self_pipe(self) -> None:
        pass

    def _close_self_pipe(self) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """Do the work of a thread at some moment soon; threads of a pool that is never asked are never started."""
        done = self.create_future()

        def work() -> None:
            if done.cancelled():
                return
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - as a pool of threads hands it on
                done.set_exception(error)
            else:
                done.set_result(result)

        self.call_later(self._threads.uniform(0.0, 0.005), work)
        return done

    async def sock_connect(self, sock: Any, address: Any) -> None:
        await self.network.connect(sock, address)

    async def create_connection(self, protocol_factory: Callable[[], Any], *args: Any, sock: Any, **more: Any) -> Any:
        protocol = protocol_factory()
        transport = self.network.attach(sock, protocol)
        made = self.create_future()

        def begin() -> None:
            protocol.connection_made(transport)
            transport.begin()
            if not made.done():
                made.set_result(None)

        self.call_soon(begin)
        try:
            await made
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    def _note_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.faults.append(f"{context['message']}: {error!r}" if error else context["message"])
