"""Few threads for what can only be done blocking: names and certificate bundles."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

_THREADS = 4


class Threads:
    """An executor made at first use. Its own, so that a hanging resolver blocks nobody else's work."""

    __slots__ = ("_executor",)

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None

    def executor(self) -> ThreadPoolExecutor:
        """It, which the first call makes."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="freehold-net")
        return self._executor

    def close(self) -> None:
        """Let the threads end; what waits in line is dropped. Idempotent."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)
