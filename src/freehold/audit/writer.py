"""Appends entries at once, and brings them to the medium behind.

``append`` writes on the caller's thread, before it returns: the kernel has the entry, so that the end of this process
in whatever way loses nothing. A thread, the syncer, flushes what was written since its last flush, in one flush however
much that is: at once when somebody waits for it, else every 20 ms.

A disk that fails closes the writer, and opens it again once it can be written: at most once a second the syncer makes a
fresh segment, writes into it again what had not reached the medium, reads it back, cuts the old segment to what had, and
goes on. The descriptor that failed is never used again, and no entry changes its place or its bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from freehold.audit.entry import RESUMED, Entry, encode_entry
from freehold.audit.sealer import Sealer
from freehold.audit.wal import Segment, encode_frame
from freehold.domain.errors.audit import AuditUnwritable
from freehold.domain.ports import Clock
from freehold.domain.receipt import AuditRecord
from freehold.storage import disk

_LOG = logging.getLogger(__name__)

UNSYNCED_MAX = 32_768
"""Entries that may be on their way to the medium; more are refused."""

SYNC_EVERY_S = 0.02
"""How long an entry that nobody waits for may stay unsynced: what a power cut can cost, with the flush itself."""

RETRY_S = 1.0
"""Between two attempts to write again after a failure."""

SEGMENT_BYTES_MAX = 32 * 1024 * 1024
SYSTEM_TENANT = "freehold"
"""The tenant of what the log records on its own account."""

_UNFORESEEN = "the writer ended unexpectedly"
_CLOSED = "the log is closed"


@dataclass(slots=True, eq=False)
class _Waiter:
    """Somebody who waits until entry ``index`` is durable."""

    index: int
    future: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop


class Writer:
    """Owns the newest segment. ``append`` is safe to call from any thread."""

    def __init__(self, segment: Segment, sealer: Sealer, *, size: int, clock: Clock) -> None:
        """Start the thread.

        Args:
            segment: Where to write; it is the writer's from now on.
            sealer: Gets what is durable.
            size: Entries that there are; all durable.
            clock: Time of what the log records itself.
        """
        self._segment: Segment = segment
        self._number = segment.number
        self._sealer = sealer
        self._clock = clock
        self._pen = threading.Lock()  # held while an entry gets its index and its bytes, and while segments change
        self._size = size
        self._synced = size
        self._unsynced: list[Entry] = []
        self._waiters: list[_Waiter] = []
        self._failure = ""
        self._closing = False
        self._asleep = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="freehold-audit-writer", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> str:
        """Why nothing can be written now; empty while it can."""
        return self._failure

    @property
    def size(self) -> int:
        """Entries so far, those on their way to the medium included."""
        return self._size

    @property
    def unsynced(self) -> int:
        """Entries that are not on the medium yet."""
        return self._size - self._synced

    def append(self, *records: AuditRecord) -> int:
        """Write entries in a row, all or none; at return the kernel has them. Returns the first one's index.

        Raises:
            AuditUnwritable: The disk fails, too many entries are on their way, one is too long, or it is closed.
        """
        with self._pen:
            self._check()
            first = self._size
            entries = [encode_entry(record, index) for index, record in enumerate(records, first)]
            try:
                self._segment.append(first, *[entry.data for entry in entries])
            except OSError as error:
                self._failure = f"writing failed ({error.strerror or error})"
                _LOG.error("audit log: %s", self._failure)
                self._wake.set()
                raise AuditUnwritable(reason=self._failure) from error
            except BaseException:
                self._failure = "writing was interrupted"
                self._wake.set()
                raise
            self._size += len(entries)
            self._unsynced += entries
        if self._asleep:
            self._wake.set()
        return first

    async def durable(self, index: int) -> None:
        """Return once entry ``index`` is on the medium.

        Raises:
            AuditUnwritable: It is not, and whether it will be is not known.
        """
        if index < self._synced:
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._pen:
            if index < self._synced:
                return
            if self._failure or self._closing or index >= self._size:
                raise AuditUnwritable(reason=self._failure or (_CLOSED if self._closing else f"no entry {index} yet"))
            self._waiters.append(_Waiter(index, future, loop))
        self._wake.set()
        await future

    def close(self) -> None:
        """Bring what was appended to the medium, then end the thread. Idempotent."""
        with self._pen:
            self._closing = True
        self._wake.set()
        self._thread.join()

    def _check(self) -> None:
        if self._failure or self._closing:
            raise AuditUnwritable(reason=self._failure or _CLOSED)
        if self._size - self._synced >= UNSYNCED_MAX:
            raise AuditUnwritable(reason=f"{UNSYNCED_MAX} entries wait for the disk")

    # --- the syncer's thread ------------------------------------------------------------------------

    def _run(self) -> None:
        ended = _UNFORESEEN
        try:
            while not self._closing:
                self._wait()
                self._round()
            if self._unsynced:
                self._round()
            ended = ""
        finally:
            with self._pen:
                self._closing = True
                self._failure = self._failure or ended
            self._settle(self._failure or _CLOSED)
            self._segment.close()

    def _wait(self) -> None:
        """Return when there is something to do, or in time for the next flush or attempt."""
        self._wake.clear()
        self._asleep = True
        if self._closing:
            timeout_s: float | None = 0.0
        elif self._failure:
            self._settle(self._failure)
            timeout_s = RETRY_S
        elif self._waiters:
            timeout_s = 0.0
        elif self._unsynced:
            self._asleep = False
            timeout_s = SYNC_EVERY_S
        else:
            timeout_s = None
        if timeout_s != 0.0:
            self._wake.wait(timeout_s)
        self._asleep = False
        if timeout_s is None and not (self._waiters or self._closing):
            # Woken by the first entry after a pause: let others gather, unless somebody waits for this one.
            self._wake.clear()
            self._wake.wait(SYNC_EVERY_S)

    def _round(self) -> None:
        if self._failure:
            self._resume()
        elif self._waiters or self._closing or self._unsynced:
            self._sync()

    def _sync(self) -> None:
        """Flush what was written until now, tell who waits, hand it to the sealer."""
        with self._pen:
            if self._failure:
                return
            entries, self._unsynced = self._unsynced, []
            written_bytes = self._segment.size_bytes
        try:
            self._segment.sync(written_bytes)
        except OSError as error:
            self._give_back(entries, f"syncing failed ({error.strerror or error})")
            return
        except BaseException:
            self._give_back(entries, _UNFORESEEN)
            raise
        self._hand_over(entries)
        if self._segment.size_bytes >= SEGMENT_BYTES_MAX:
            self._turn_page()

    def _give_back(self, entries: list[Entry], failure: str) -> None:
        with self._pen:
            self._unsynced[:0] = entries
            self._failure = failure
        _LOG.error("audit log: %s", failure)
        self._settle(failure)

    def _hand_over(self, entries: Sequence[Entry]) -> None:
        """These are on the medium."""
        if entries:
            self._synced = entries[-1].index + 1
            self._sealer.offer(entries)
        self._settle("")

    def _turn_page(self) -> None:
        """Go on in a new segment.

        The old one is flushed once more with the pen in hand, so that no entry can reach the medium before one that
        precedes it: a few entries, one short flush a segment.
        """
        try:
            fresh = Segment(self._segment.path.parent, self._next_number())
        except OSError as error:
            _LOG.warning("audit log: no new segment (%s); the old one goes on", error.strerror or error)
            return
        entries: list[Entry] = []
        with self._pen:
            full = self._segment
            self._failure = failure = self._failure or _sync_error(full)
            if not failure:
                self._segment = fresh
                entries, self._unsynced = self._unsynced, []
        if failure:
            _discard(fresh)
            return
        self._hand_over(entries)
        full.close()
        self._sealer.retire(full.path, end=self._synced)

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _resume(self) -> None:
        """Try to write again. While a failure stands nobody appends, so that nothing moves meanwhile.

        That the log goes on is an entry of it, and the last one that is written again: without a byte to write, a fresh
        segment on a full disk would pass for one that can be written.
        """
        failed, failure, again = self._segment, self._failure, len(self._unsynced)
        entries = [*self._unsynced, self._resumed_entry(failure, again)]
        fresh: Segment | None = None
        try:
            fresh = Segment(failed.path.parent, self._next_number())
            _write_again(fresh, entries)
            # What the failed segment holds beyond its last flush is in the fresh one, or was never acknowledged.
            disk.cut(failed.path, failed.synced_bytes)
        except OSError as error:
            _LOG.debug("audit log: still not writable: %s", error)
            if fresh is not None:
                _discard(fresh)
            return
        with self._pen:
            self._unsynced, self._size = [], entries[-1].index + 1
            self._segment, self._failure = fresh, ""
        self._hand_over(entries)
        failed.close()
        self._sealer.retire(failed.path, end=self._synced)
        self._note_resumed(failure)

    def _resumed_entry(self, failure: str, again: int) -> Entry:
        detail: dict[str, object] = {"failure": failure, "written_again": again}
        record = AuditRecord(event=RESUMED, unix_ms=self._clock.unix_ms(), tenant=SYSTEM_TENANT, detail=detail)
        return encode_entry(record, self._size)

    @staticmethod
    def _note_resumed(failure: str) -> None:
        _LOG.warning("audit log: writing goes on after: %s", failure)

    def _settle(self, failure: str) -> None:
        """Tell who waits for what is durable now, or that it is not."""
        with self._pen:
            told = [each for each in self._waiters if failure or each.index < self._synced]
            self._waiters = [each for each in self._waiters if not failure and each.index >= self._synced]
        by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        for waiter in told:
            by_loop.setdefault(waiter.loop, []).append(waiter.future)
        for loop, waiting in by_loop.items():
            # Where the loop is closed, whoever waited is gone; the entries are where they are.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle_here, waiting, failure)


def _write_again(fresh: Segment, entries: Sequence[Entry]) -> None:
    """Write entries to a fresh segment, and see that they are there.

    Raises:
        OSError: They may not be.
    """
    for entry in entries:
        fresh.append(entry.index, entry.data)
    fresh.sync(fresh.size_bytes)
    if fresh.path.read_bytes() != b"".join(encode_frame(entry.index, (entry.data,)) for entry in entries):
        raise OSError(errno.EIO, "what was written is not what is read")


def _discard(fresh: Segment) -> None:
    fresh.close()
    with contextlib.suppress(OSError):
        disk.remove_files([fresh.path])


def _sync_error(segment: Segment) -> str:
    try:
        segment.sync(segment.size_bytes)
    except OSError as error:
        return f"syncing failed ({error.strerror or error})"
    return ""


def _settle_here(waiting: Sequence[asyncio.Future[None]], failure: str) -> None:
    for future in waiting:
        if future.done():
            continue
        if failure:
            # One error each: an exception that several waiters raise would grow one shared traceback.
            future.set_exception(AuditUnwritable(reason=failure))
        else:
            future.set_result(None)
