"""The thread that turns durable entries into tiles and signed checkpoints, beside the one that appends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent import futures
from pathlib import Path

from freehold.audit.entry import Entry
from freehold.audit.intents import OpenIntents
from freehold.audit.note import Signer
from freehold.audit.tile_store import CHECKPOINT, TileStore, bundle_file
from freehold.audit.tiles import TILE_WIDTH, TreeEdge, leaf_hash
from freehold.domain.errors.audit import AuditUnwritable
from freehold.domain.receipt import Checkpoint
from freehold.storage import disk

_LOG = logging.getLogger(__name__)

CHECKPOINT_ENTRIES = 8_192
"""A checkpoint is signed at the latest after so many entries."""

RETRY_S = 1.0
"""Between two attempts to write a checkpoint after a failure."""

OPEN_INTENTS = "open-intents"
"""File with the index from which a restart must look for intents without an end. Only a short cut, never proof."""


class Sealer:
    """Owns the tree.

    The tree grows at every ``offer``, in small steps: hashing 1,024 entries at once would hold the interpreter for
    milliseconds. ``seal`` writes what has grown; until ``start`` it may be called directly, then only the thread does.
    """

    def __init__(
        self,
        store: TileStore,
        signer: Signer,
        *,
        edge: TreeEdge,
        bundle: Sequence[bytes],
        intents: OpenIntents,
        checkpoint: Checkpoint | None,
        successor: Signer | None = None,
    ) -> None:
        """Take the tree over as a checkpoint left it.

        Args:
            store: Where tiles lie.
            signer: Signs checkpoints.
            edge: The tree's right edge.
            bundle: Entries of the partial bundle.
            intents: Intents that are open at this size.
            checkpoint: The newest one; ``None`` for a log without one.
            successor: Signs beside ``signer`` until ``succeed`` is called.
        """
        self._store = store
        self._signer = signer
        self._successor = successor
        self._edge = edge
        self._bundle = list(bundle)
        self._intents = intents
        self._checkpoint = checkpoint
        self._partial = {name for name, _ in self._partial_files()}
        self._stale: set[str] = set()
        self._full: dict[str, bytes] = {}
        self._wake = threading.Condition()
        self._waiters: list[futures.Future[Checkpoint]] = []
        self._retired: list[tuple[int, Path]] = []
        self._closing = False
        self._failure = ""
        self._thread = threading.Thread(target=self._run, name="freehold-audit-sealer", daemon=True)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint."""
        return self._checkpoint

    @property
    def failure(self) -> str:
        """Why the last checkpoint could not be written; empty if it could."""
        return self._failure

    def succeed(self) -> None:
        """From now on only the successor signs, if there is one. Before ``start``."""
        self._signer, self._successor = self._successor or self._signer, None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def offer(self, entries: Sequence[Entry]) -> None:
        """Hand over entries that are durable, in order."""
        with self._wake:
            for entry in entries:
                self._grow(entry)
            if self._is_due:
                self._wake.notify()

    def retire(self, segment: Path, *, end: int) -> None:
        """Have a write-ahead segment deleted once all entries below ``end`` are sealed."""
        with self._wake:
            self._retired.append((end, segment))

    def request(self) -> futures.Future[Checkpoint]:
        """A checkpoint of everything offered so far; the future fails with ``AuditUnwritable``."""
        waiter: futures.Future[Checkpoint] = futures.Future()
        with self._wake:
            if self._failure or self._closing:
                waiter.set_exception(AuditUnwritable(reason=self._failure or "the log is closed"))
            else:
                self._waiters.append(waiter)
                self._wake.notify()
        return waiter

    def close(self) -> None:
        """Seal what was offered, then end the thread. Idempotent."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def seal(self) -> Checkpoint:
        """Write the tiles of what was offered and sign the tree; all on disk at return.

        Without news this is the newest checkpoint.

        Raises:
            OSError: The disk failed. Nothing is lost by it: the next call writes all of it again.
        """
        with self._wake:
            size = self._edge.size
            if self._checkpoint is not None and size == self._checkpoint.size:
                return self._checkpoint
            full = dict(self._full)
            partial = dict(self._partial_files())
            root = self._edge.root()
            mark = f"{self._intents.low_water(size)}\n".encode()
        self._store.write({**full, **{name: data for name, data in partial.items() if name not in self._partial}})
        signed = self._signer.sign(size=size, root=root, successor=self._successor)
        self._store.write({OPEN_INTENTS: mark, CHECKPOINT: signed.note.encode()})
        self._checkpoint = signed
        self._drop_stale(set(partial), size)
        with self._wake:
            for name in full:
                del self._full[name]
        return signed

    @property
    def _is_due(self) -> bool:
        return self._edge.size - (self._checkpoint.size if self._checkpoint else 0) >= CHECKPOINT_ENTRIES

    def _grow(self, entry: Entry) -> None:
        for tile in self._edge.append(leaf_hash(entry.data)):
            self._full[tile.path] = tile.data
        self._bundle.append(entry.data)
        self._intents.note(entry)
        if len(self._bundle) == TILE_WIDTH:
            name, data = bundle_file(entry.index // TILE_WIDTH, self._bundle)
            self._full[name] = data
            self._bundle = []

    def _partial_files(self) -> list[tuple[str, bytes]]:
        files = [(tile.path, tile.data) for tile in self._edge.partial()]
        if self._bundle:
            files.append(bundle_file(self._edge.size // TILE_WIDTH, self._bundle))
        return files

    def _drop_stale(self, partial: set[str], size: int) -> None:
        """Delete what no recent checkpoint needs.

        Partial tiles outlive their checkpoint by one, for a reader that is in the middle of it; longer partial tiles
        begin with the same bytes.
        """
        disk.remove_files(self._store.folder / name for name in self._stale - partial)
        self._stale, self._partial = self._partial - partial, partial
        with self._wake:
            done = [path for end, path in self._retired if end <= size]
            self._retired = [(end, path) for end, path in self._retired if end > size]
        disk.remove_files(done)

    def _run(self) -> None:
        ended = "the sealer ended unexpectedly"
        try:
            while self._round():
                pass
            ended = ""
        finally:
            with self._wake:
                self._closing = True
                self._failure = self._failure or ended
                waiters, self._waiters = self._waiters, []
            _fail(waiters, self._failure or "the log is closed")

    def _hand_back(self, waiters: Sequence[futures.Future[Checkpoint]]) -> None:
        with self._wake:
            self._waiters += waiters

    def _round(self) -> bool:
        """Seal once; whether there may be more to do."""
        with self._wake:
            if self._failure:
                self._wake.wait_for(lambda: self._closing, RETRY_S)
            else:
                self._wake.wait_for(lambda: self._is_due or self._waiters or self._closing)
            waiters, self._waiters = self._waiters, []
            last = self._closing
        try:
            signed = self.seal()
            if last:
                disk.remove_files(self._store.folder / name for name in self._stale)
        except OSError as error:
            failure = f"a checkpoint could not be written ({error.strerror or error})"
            if failure != self._failure:
                _LOG.error("audit log: %s", failure)
            self._failure = failure
            _fail(waiters, failure)
            return not last
        except BaseException:
            self._hand_back(waiters)
            raise
        self._failure = ""
        for waiter in waiters:
            if waiter.set_running_or_notify_cancel():
                waiter.set_result(signed)
        return not last


def _fail(waiters: Sequence[futures.Future[Checkpoint]], failure: str) -> None:
    for waiter in waiters:
        if waiter.set_running_or_notify_cancel():
            waiter.set_exception(AuditUnwritable(reason=failure))
