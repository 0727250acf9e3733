"""Blocking work done once for all who wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from freehold.net.threads import Threads

T = TypeVar("T")


class SharedWork(Generic[T]):
    """A value computed in a thread, by one thread however many ask, and kept for a while. A failure is not kept.

    Args:
        compute: Blocks; may raise ``OSError``.
        threads: Where it runs.
        keep_s: How long a value is used.
    """

    __slots__ = ("_compute", "_future", "_keep_s", "_since_s", "_threads")

    def __init__(self, compute: Callable[[], T], *, threads: Threads, keep_s: float) -> None:
        self._compute = compute
        self._threads = threads
        self._keep_s = keep_s
        self._future: asyncio.Future[T | OSError] | None = None
        self._since_s = 0.0

    async def get(self) -> T:
        """The value. Cancelling one caller leaves the work to the others.

        Raises:
            OSError: As ``compute`` raised it.
        """
        loop = asyncio.get_running_loop()
        future = self._future
        if future is None or (future.done() and loop.time() - self._since_s >= self._keep_s):
            future = self._future = loop.run_in_executor(self._threads.executor(), self._run)
            self._since_s = loop.time()
        value = await asyncio.shield(future)
        if isinstance(value, OSError):
            if self._future is future:
                self._future = None
            raise value
        return value

    def _run(self) -> T | OSError:
        # Returned, not raised: where every caller has left, nobody would retrieve the exception.
        try:
            return self._compute()
        except OSError as error:
            return error
