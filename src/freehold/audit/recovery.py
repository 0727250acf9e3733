"""What a log's folder holds when it is opened: the sealed tree, and entries that are only in the write-ahead log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from freehold.audit.entry import Entry, decode_entry
from freehold.audit.intents import OpenIntents
from freehold.audit.note import VerifierKey, open_checkpoint
from freehold.audit.sealer import OPEN_INTENTS
from freehold.audit.tile_store import TileStore
from freehold.audit.tiles import TILE_WIDTH, TreeEdge
from freehold.audit.wal import Frame, read_segment, segments
from freehold.domain.errors.audit import AuditBroken
from freehold.domain.receipt import Checkpoint

_DIGITS_MAX = 20


@dataclass(frozen=True, slots=True)
class Recovered:
    """A log as it was left.

    Attributes:
        checkpoint: The newest one; ``None`` for a new log.
        edge: The sealed tree's right edge.
        bundle: Entries of its partial bundle.
        intents: Intents open at the checkpoint.
        pending: Durable entries after the checkpoint.
        torn_bytes: Bytes after the last whole frame: one that a crash cut, or several that a power cut did.
        segments: The write-ahead segments read, by number.
    """

    checkpoint: Checkpoint | None
    edge: TreeEdge
    bundle: list[bytes]
    intents: OpenIntents
    pending: tuple[Entry, ...]
    torn_bytes: int
    segments: tuple[tuple[int, Path], ...]


def recover(store: TileStore, wal: Path, key: VerifierKey) -> Recovered:
    """Read a log's folder.

    Raises:
        AuditBroken: Tiles and checkpoint do not fit, or acknowledged entries are damaged or missing.
        OSError: A file cannot be read.
    """
    note = store.checkpoint()
    checkpoint = None if note is None else open_checkpoint(note, key)
    size = 0 if checkpoint is None else checkpoint.size
    edge, bundle = store.edge(size)
    if checkpoint is not None and edge.root() != checkpoint.root:
        raise AuditBroken(reason=f"the tiles do not lead to the checkpoint of {size} entries")
    intents = _open_intents(store, size)
    found = segments(wal)
    pending, torn_bytes = _replay(found, size)
    return Recovered(checkpoint, edge, bundle, intents, pending, torn_bytes, tuple(found))


def read_pending(wal: Path, size: int) -> tuple[Entry, ...]:
    """Durable entries after the first ``size``.

    Raises:
        AuditBroken: Acknowledged entries are damaged or missing.
        OSError: A file cannot be read.
    """
    return _replay(segments(wal), size)[0]


def _replay(found: list[tuple[int, Path]], size: int) -> tuple[tuple[Entry, ...], int]:
    """The entries from ``size`` on, and the length of a torn tail."""
    pending: list[Entry] = []
    torn_bytes = 0
    for _, path in found:
        content = read_segment(path.read_bytes(), path.name)
        for frame in content.frames:
            # Whatever lies below the checkpoint is in tiles; a power cut may bring a deleted segment back.
            if frame.end <= size:
                continue
            _take(frame, size, pending, path.name)
        if content.frames or content.torn_bytes:
            # A tail torn by an earlier crash is noted by the first entry of the segment after it.
            torn_bytes = content.torn_bytes
    return tuple(pending), torn_bytes


def _take(frame: Frame, size: int, pending: list[Entry], name: str) -> None:
    """Add a frame's entries to those after the first ``size``."""
    due = size + len(pending)
    if frame.first > due:
        raise AuditBroken(reason=f"{name} goes on with entry {frame.first}, {due} is due")
    for index, data in enumerate(frame.entries, frame.first):
        if index >= due:
            pending.append(decode_entry(data, index)[0])
        elif index >= size and pending[index - size].data != data:
            # After a failed flush the same entries are written once more, elsewhere; never others in their place.
            raise AuditBroken(reason=f"{name} holds another entry {index} than the segment before it")


def _open_intents(store: TileStore, size: int) -> OpenIntents:
    """Intents open at the checkpoint of ``size`` entries."""
    intents = OpenIntents()
    for index in range(min(_mark(store.folder), size) // TILE_WIDTH, -(-size // TILE_WIDTH)):
        first = index * TILE_WIDTH
        for place, data in enumerate(store.bundle(index, min(TILE_WIDTH, size - first)), first):
            if b'"event":"egress.' in data:
                intents.note(decode_entry(data, place)[0])
    return intents


def _mark(folder: Path) -> int:
    try:
        text = (folder / OPEN_INTENTS).read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return 0
    return int(text) if text.isdigit() and len(text) <= _DIGITS_MAX else 0
