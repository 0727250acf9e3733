"""One life of a child: the protocol that the supervisor needs of it, and its signs of life."""

from __future__ import annotations

import asyncio
from typing import Generic, Protocol, TypeVar

from freehold.engines.process.death import Death


class Child(Protocol):
    """One running engine process."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    async def wait(self) -> int:
        """Its return code once it has ended, negative for a signal."""
        ...

    async def prove_ready(self) -> None:
        """Return once it has shown that it works: a first token, a first vector.

        Raises:
            FreeholdError: It answers, but cannot.
        """
        ...

    async def heartbeat(self) -> None:
        """Return once its inference loop gave a sign of life.

        Raises:
            FreeholdError: It did not.
        """
        ...

    def terminate(self) -> None:
        """Ask it to end."""
        ...

    def kill(self) -> None:
        """End it."""
        ...

    def last_output(self) -> str:
        """The end of what it wrote to its error output."""
        ...

    async def release(self) -> None:
        """Give back what belongs to it, after its end."""
        ...


ChildType = TypeVar("ChildType", bound=Child)


class Life(Generic[ChildType]):
    """A child from its start to its end, as the requests that run on it see it.

    Attributes:
        child: Which.
        ready: Whether it has shown that it works, and is to be used.
        waiting: Requests that wait for it.
        condemned: Why it is ended though it lives; empty where it is not.
    """

    def __init__(self, child: ChildType) -> None:
        self.child = child
        self.ready = False
        self.waiting = 0
        self.condemned = ""
        self._loop = asyncio.get_running_loop()
        self._sign_s = self._waiting_since_s = self._loop.time()
        self._ready_since_s: float | None = None
        self._ready_s = 0.0
        self._death: asyncio.Future[Death] = self._loop.create_future()

    def became_ready(self) -> None:
        """It has shown that it works."""
        self.ready = True
        self._ready_since_s = self._loop.time()
        self.beat()

    def died(self, death: Death) -> None:
        """It has ended."""
        if self._ready_since_s is not None:
            self._ready_s = self._loop.time() - self._ready_since_s
        self._death.set_result(death)

    def ready_s(self) -> float:
        """For how long it was ready, known after its end."""
        return self._ready_s

    def beat(self) -> None:
        """Note a sign of life."""
        self._sign_s = self._loop.time()

    def quiet_s(self) -> float:
        """Seconds since the last sign of life; while requests wait, not more than they have been waiting."""
        since_s = max(self._sign_s, self._waiting_since_s) if self.waiting else self._sign_s
        return self._loop.time() - since_s

    def begin_wait(self) -> None:
        """A request begins to wait for output of the child. Every call is followed by one of ``end_wait``.

        While any request waits, some request must show progress. That of each one is not asked for: it may be queued
        behind the others. A request whose client does not read is not waiting.
        """
        if not self.waiting:
            self._waiting_since_s = self._loop.time()
        self.waiting += 1

    def end_wait(self, *, progress: bool) -> None:
        """The request waits no more: output came, or it was given up."""
        self.waiting -= 1
        if progress:
            self.beat()

    async def death(self, *, within_s: float | None = None) -> Death:
        """How it ended, waited for at most ``within_s`` seconds.

        Raises:
            TimeoutError: It is alive.
        """
        await asyncio.wait({self._death}, timeout=within_s)
        if not self._death.done():
            raise TimeoutError
        return self._death.result()
