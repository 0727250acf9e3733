"""One batch that is worked on: its items as they are read, and its results on their way to the medium."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from freehold.domain.batch import Batch, BatchFault
from freehold.storage.batch_results import ItemResult, ResultJournal
from freehold.wire.batch_lines import BatchItem, InputLines, decode_line

log = logging.getLogger("freehold.batches")

_AHEAD_ITEMS = 64
_AHEAD_BYTES = 1024 * 1024
_DELAYED_MAX = 64
_KEPT_MAX = 512
_DISK_S = 5.0
"""Between two tries to write results to a disk that fails or is full."""


@dataclass(frozen=True, slots=True)
class Tried:
    """An item, and how often it has failed."""

    item: BatchItem
    failures: int = 0


class BatchWork:
    """A batch in progress. ``finished`` once nothing of it is left to do, or it was told to ``stop``.

    Attributes:
        batch: As it was last seen.
        journal: Its results.
        tasks: Of items that run.
        finished: Set at the end.
        faults: Why it was stopped, where that makes it a failed one.
        paused_until_s: Until when there is no room for it.
        busy_in_a_row: How often there was none.
    """

    def __init__(self, batch: Batch, *, journal: ResultJournal, lines: InputLines | None, line_bytes_max: int) -> None:
        self.batch = batch
        self.journal = journal
        self.tasks: set[asyncio.Task[None]] = set()
        self.finished = asyncio.Event()
        self.faults: tuple[BatchFault, ...] = ()
        self.paused_until_s = 0.0
        self.busy_in_a_row = 0
        self._lines = lines
        self._line_bytes_max = line_bytes_max
        self._ready: deque[Tried] = deque()
        self._delayed: list[tuple[float, int, Tried]] = []
        self._serial = itertools.count()
        self._is_read = lines is None
        self._reading: asyncio.Task[None] | None = None
        self._kept: list[ItemResult] = []
        self._keeping: asyncio.Task[None] | None = None
        self._leaving = asyncio.Event()

    @classmethod
    def open(cls, batch: Batch, *, folder: Path, input_path: Path, line_bytes_max: int) -> BatchWork:
        """Take a batch up where it was left; an input that is gone is one without lines. Blocks.

        Raises:
            OSError: The disk fails.
        """
        try:
            lines = InputLines(input_path, line_bytes_max=line_bytes_max)
        except FileNotFoundError:
            lines = None
        journal = ResultJournal(journal_path(folder, batch.id), batch.total)
        return cls(batch, journal=journal, lines=lines, line_bytes_max=line_bytes_max)

    @property
    def has_input(self) -> bool:
        """Whether its items can be read."""
        return self._lines is not None

    def head(self, now_s: float) -> BatchItem | None:
        """The item that would run next; ``None`` where none may now."""
        if self.finished.is_set() or now_s < self.paused_until_s or len(self._kept) >= _KEPT_MAX:
            return None
        if self._delayed and self._delayed[0][0] <= now_s:
            return self._delayed[0][2].item
        return self._ready[0].item if self._ready and len(self._delayed) < _DELAYED_MAX else None

    def take(self, now_s: float) -> Tried:
        """That item, which is run now."""
        if self._delayed and self._delayed[0][0] <= now_s:
            return heapq.heappop(self._delayed)[2]
        return self._ready.popleft()

    def give_back(self, tried: Tried) -> None:
        """There was no room for an item: it is the next one again."""
        self._ready.appendleft(tried)

    def delay(self, tried: Tried, until_s: float) -> None:
        """An item failed, and may be tried again from ``until_s`` on."""
        heapq.heappush(self._delayed, (until_s, next(self._serial), tried))

    def read_on(self, told: Callable[[], None]) -> None:
        """See that there are items to run; ``told`` is called when there are more."""
        if (
            self._reading is None
            and not self._is_read
            and not self.finished.is_set()
            and len(self._ready) < _AHEAD_ITEMS
        ):
            self._reading = asyncio.ensure_future(self._read(told))

    async def _read(self, told: Callable[[], None]) -> None:
        lines = self._lines
        if lines is None:
            return
        try:
            found = await asyncio.to_thread(lines.read, lines=_AHEAD_ITEMS, about_bytes=_AHEAD_BYTES)
        except OSError as error:
            log.error("batch %s: its input cannot be read: %s", self.batch.id, error)  # noqa: TRY400 - known what it is
            await asyncio.sleep(_DISK_S)
            found = None
        self._reading = None
        if found is not None:
            self._is_read = not found
            for line in found:
                if line.place < self.batch.total and not self.journal.has(line.place):
                    self._add(decode_line(line, endpoint=self.batch.endpoint, line_bytes_max=self._line_bytes_max))
        self.look_finished()
        told()

    def _add(self, item: BatchItem | BatchFault) -> None:
        if isinstance(item, BatchItem):
            self._ready.append(Tried(item))
        else:  # it was found sound when the batch was validated
            self.stop((item,))

    def keep(self, result: ItemResult, told: Callable[[], None]) -> None:
        """Bring a result to the medium, together with those that come meanwhile; ``told`` is called when it is there."""
        self._kept.append(result)
        if self._keeping is None:
            self._keeping = asyncio.ensure_future(self._keep(told))

    async def _keep(self, told: Callable[[], None]) -> None:
        try:
            while self._kept:
                taken, self._kept = self._kept, []
                try:
                    await asyncio.to_thread(self.journal.add, taken)
                except OSError as error:
                    log.error("batch %s: results cannot be written: %s", self.batch.id, error)  # noqa: TRY400
                    self._kept = taken + self._kept
                    if await self._leaves_within(_DISK_S):
                        return
                told()
        finally:
            self._keeping = None
        self.look_finished()

    def look_finished(self) -> None:
        """Note it where nothing is left to do."""
        is_busy = self.tasks or self._kept or self._keeping or self._reading
        if self._is_read and not (is_busy or self._ready or self._delayed):
            self.finished.set()

    def stop(self, faults: tuple[BatchFault, ...] = ()) -> None:
        """Run no more items."""
        if not self.finished.is_set():
            self.faults = faults
            self.finished.set()

    async def settle(self) -> None:
        """End what runs; at return all results that there are lie on the medium."""
        tasks = [*self.tasks, *((self._reading,) if self._reading is not None else ())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while self._keeping is not None:
            await asyncio.wait([self._keeping])

    async def leave(self) -> None:
        """The server stops: end what runs, and keep what can be kept. What a failing disk does not take runs again."""
        self._leaving.set()
        await self.settle()
        self.close()

    async def _leaves_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._leaving.wait(), seconds)
        return self._leaving.is_set()

    def close(self) -> None:
        """Close its files. Idempotent."""
        self.journal.close()
        if self._lines is not None:
            self._lines.close()


def journal_path(folder: Path, batch_id: str) -> Path:
    """Where the results of a batch lie while it is not over."""
    return folder / f"{batch_id}.results"


def drop_stale(folder: Path, active: Iterable[str]) -> None:
    """Remove journals of batches that are over: a crash came before that was done. Blocks."""
    known = {journal_path(folder, each) for each in active}
    for path in folder.glob("*.results"):
        if path not in known:
            path.unlink(missing_ok=True)
