"""The one thread that appends, with natural group commit."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from freehold.audit.entry import Entry
from freehold.audit.sealer import Sealer
from freehold.audit.wal import Segment
from freehold.domain.errors.audit import AuditUnwritable

_LOG = logging.getLogger(__name__)

QUEUE_MAX = 10_000
"""Entries that may wait for the disk; more are refused."""

GROUP_ENTRIES_MAX = 1_000
_UNFORESEEN = "the writer ended unexpectedly"
SEGMENT_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry on its way to disk, and who waits for it."""

    entry: Entry
    durable: asyncio.Future[None]


class Writer:
    """Writes queued entries in order: as many at once as were queued while the last write ran."""

    def __init__(self, segment: Segment, sealer: Sealer, loop: asyncio.AbstractEventLoop) -> None:
        """Start the thread.

        Args:
            segment: Where to write; it is the writer's from now on.
            sealer: Gets what is on disk.
            loop: The event loop on which futures are settled.
        """
        self._segment = segment
        self._sealer = sealer
        self._loop = loop
        self._queue: deque[Waiting] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._failure = ""
        self._thread = threading.Thread(target=self._run, name="freehold-audit-writer", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> str:
        """Why writing failed; empty if it did not."""
        return self._failure

    def check(self) -> None:
        """See whether an entry could be taken.

        Raises:
            AuditUnwritable: None can.
        """
        if self._failure or self._closing:
            raise AuditUnwritable(reason=self._failure or "the log is closed")
        if len(self._queue) >= QUEUE_MAX:
            raise AuditUnwritable(reason=f"{QUEUE_MAX} entries wait for the disk")

    def put(self, waiting: Waiting) -> None:
        """Queue an entry. An entry that comes too late for the disk fails its future."""
        with self._wake:
            if not self._failure and not self._closing:
                self._queue.append(waiting)
                self._wake.notify()
                return
        _settle([waiting], self._failure or "the log is closed")

    def close(self) -> None:
        """Write what is queued, then end the thread. Idempotent."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        ended = _UNFORESEEN
        try:
            while (group := self._take()) and self._write(group):
                pass
            ended = ""
        finally:
            # After a failure nothing more is written: the next entry would follow a gap.
            with self._wake:
                self._closing = True
                self._failure = self._failure or ended
                left = [*self._queue]
                self._queue.clear()
            self._settle(left, self._failure or "the log is closed")
            self._segment.close()

    def _take(self) -> list[Waiting]:
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            return [self._queue.popleft() for _ in range(min(len(self._queue), GROUP_ENTRIES_MAX))]

    def _write(self, group: Sequence[Waiting]) -> bool:
        entries = [waiting.entry for waiting in group]
        try:
            if self._segment.size_bytes >= SEGMENT_BYTES_MAX:
                self._next_segment(entries[0].index)
            self._segment.append(entries[0].index, [entry.data for entry in entries])
        except OSError as error:
            self._failure = f"writing failed ({error.strerror or error})"
            _LOG.error("audit log: %s", self._failure)
            self._settle(group, self._failure)
            return False
        except BaseException:
            self._failure = _UNFORESEEN
            self._settle(group, self._failure)
            raise
        self._sealer.offer(entries)
        self._settle(group, "")
        return True

    def _next_segment(self, first: int) -> None:
        full = self._segment
        self._segment = Segment(full.path.parent, full.number + 1)
        full.close()
        self._sealer.retire(full.path, end=first)

    def _settle(self, group: Sequence[Waiting], failure: str) -> None:
        if not group:
            return
        try:
            self._loop.call_soon_threadsafe(_settle, group, failure)
        except RuntimeError:
            # The loop is closed: whoever waited is gone, the entries are where they are.
            _LOG.debug("%d entries were settled after their event loop", len(group))


def _settle(group: Sequence[Waiting], failure: str) -> None:
    for waiting in group:
        future = waiting.durable
        if future.done():
            continue
        if failure:
            # One error each: an exception that several waiters raise would grow one shared traceback.
            future.set_exception(AuditUnwritable(reason=failure))
            future.exception()  # not everybody waits; an unread failure is no news, ``healthy`` tells it
        else:
            future.set_result(None)
