"""Independent verification of a log's folder: everything is recomputed from the entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from freehold.audit.bundle import join_entries, split_entries
from freehold.audit.entry import DONE, INTENT, TRUNCATED, decode_entry
from freehold.audit.keys import VERIFIER_KEY
from freehold.audit.log import WAL
from freehold.audit.note import VerifierKey, open_checkpoint
from freehold.audit.records import REQUEST
from freehold.audit.recovery import read_pending
from freehold.audit.shards import further_shards, shard_name
from freehold.audit.tile_store import TileStore
from freehold.audit.tiles import HASH_BYTES, TILE_WIDTH, Tile, TreeEdge, leaf_hash, tile_path
from freehold.domain.errors.audit import AuditBroken
from freehold.domain.receipt import AuditRecord, Checkpoint

_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What was verified.

    Attributes:
        origin: The log's name.
        entries: Entries recomputed.
        size: Entries that the checkpoint signs; always the same number.
        root: Root of the tree, hex.
        checkpoint: The verified checkpoint; remember its note to detect a rolled-back log later.
        events: Entries by event.
        intents: Egress intents.
        orphans: Indexes of intents that have no end (yet).
        truncations: Indexes of entries that tell of a tail torn by a crash.
        pending: Durable entries that no checkpoint covers yet.
        key_given: Whether the public key came from outside. If not, the folder vouches for itself only.
    """

    origin: str
    entries: int
    size: int
    root: str
    checkpoint: Checkpoint
    events: Mapping[str, int]
    intents: int
    orphans: tuple[int, ...]
    truncations: tuple[int, ...]
    pending: int
    key_given: bool


def verify_shards(main: Path, vkeys: Sequence[str] = (), remembered: Sequence[str] = ()) -> list[VerifyReport]:
    """Verify the log in ``main`` and those of further workers beside it, the main one first.

    Args:
        main: The main log's folder.
        vkeys: Public keys from outside: of every log, or none at all.
        remembered: Checkpoints seen earlier, of any of the logs.

    Raises:
        AuditBroken: Something does not verify, a log has no key among those given, or a key or checkpoint given is
            of a log that is not here.
    """
    keys = {VerifierKey.parse(each).name: each for each in vkeys}
    notes = {each.partition("\n")[0]: each for each in remembered}
    reports: list[VerifyReport] = []
    for worker, folder in {0: main, **further_shards(main)}.items():
        name = _name_of(folder)
        if reports and name != shard_name(reports[0].origin, worker):
            raise AuditBroken(reason=f"{folder.name} holds the log {name}, which does not belong there")
        if vkeys and name not in keys:
            raise AuditBroken(reason=f"no key was given for the log {name}")
        reports.append(verify_folder(folder, keys.pop(name, None), remembered=notes.pop(name, None)))
    for missing in (*keys, *notes):
        raise AuditBroken(reason=f"there is no log {missing} in {main.parent}")
    return reports


def _name_of(folder: Path) -> str:
    """What a folder says that its log is called; held to by the signature."""
    try:
        return VerifierKey.parse((folder / VERIFIER_KEY).read_text(encoding="utf-8")).name
    except OSError as error:
        raise AuditBroken(reason=f"{error.strerror}: {error.filename or folder}") from error
    except UnicodeDecodeError as error:
        raise AuditBroken(reason=f"{VERIFIER_KEY} is no text") from error


def verify_folder(folder: Path, vkey: str | None = None, *, remembered: str | None = None) -> VerifyReport:
    """Verify the log in ``folder``, which may be in use.

    Recomputes every hash from the entries and compares every tile; checks the signature; checks that every egress end
    belongs to one intent before it, and that every egress a request names was announced.

    Args:
        folder: The log's folder, or a copy of it.
        vkey: Its public key, from outside; ``None`` takes the one that lies in the folder.
        remembered: A checkpoint note of this log seen earlier. Only with it a roll-back or a fork is detected.

    Raises:
        AuditBroken: Something does not verify.
    """
    store = TileStore(folder)
    try:
        key = VerifierKey.parse(vkey if vkey is not None else (folder / VERIFIER_KEY).read_text(encoding="utf-8"))
        for _ in range(_TRIES):
            note = store.checkpoint()
            if note is None:
                raise AuditBroken(reason=f"there is no checkpoint in {folder}")
            try:
                return _verify(store, note, key, remembered, key_given=vkey is not None)
            except (AuditBroken, FileNotFoundError):
                # A log in use may have moved on below our hands; then the newer checkpoint is what counts.
                if store.checkpoint() == note:
                    raise
        raise AuditBroken(reason="the log changes faster than it can be read; verify a copy")
    except OSError as error:
        raise AuditBroken(reason=f"{error.strerror}: {error.filename or folder}") from error
    except UnicodeDecodeError as error:
        raise AuditBroken(reason=f"{VERIFIER_KEY} is no text") from error


def _verify(
    store: TileStore, note: bytes, key: VerifierKey, remembered: str | None, *, key_given: bool
) -> VerifyReport:
    checkpoint = open_checkpoint(note, key)
    old = None if remembered is None else open_checkpoint(remembered, key)
    if old is not None and old.size > checkpoint.size:
        raise AuditBroken(reason=f"the log was rolled back from {old.size} to {checkpoint.size} entries")
    story = _Story()
    edge = TreeEdge()
    _check_beginning(edge, old)
    for index, entries in _bundles(store, checkpoint.size):
        for place, data in enumerate(entries, index * TILE_WIDTH):
            story.note(place, decode_entry(data, place)[1])
            for tile in edge.append(leaf_hash(data)):
                _check_tile(store, tile)
            _check_beginning(edge, old)
    for tile in edge.partial():
        _check_tile(store, tile)
    if edge.root() != checkpoint.root:
        raise AuditBroken(reason=f"the entries do not lead to the root that the checkpoint of {edge.size} signs")
    return VerifyReport(
        origin=checkpoint.origin,
        entries=edge.size,
        size=checkpoint.size,
        root=checkpoint.root.hex(),
        checkpoint=checkpoint,
        events=dict(story.events),
        intents=len(story.ended),
        orphans=tuple(index for index, ended in story.ended.items() if not ended),
        truncations=tuple(story.truncations),
        pending=len(read_pending(store.folder / WAL, checkpoint.size)),
        key_given=key_given,
    )


def _check_beginning(edge: TreeEdge, old: Checkpoint | None) -> None:
    if old is not None and old.size == edge.size and old.root != edge.root():
        raise AuditBroken(reason=f"the first {old.size} entries are not those of the remembered checkpoint")


def _bundles(store: TileStore, size: int) -> Iterator[tuple[int, tuple[bytes, ...]]]:
    """Every bundle, checked to be nothing but its entries."""
    for index in range(-(-size // TILE_WIDTH)):
        width = min(TILE_WIDTH, size - index * TILE_WIDTH)
        entries = store.bundle(index, width)
        _check_files(store, None, index, [join_entries([entry]) for entry in entries])
        yield index, entries


def _check_tile(store: TileStore, tile: Tile) -> None:
    if store.tile(tile.level, tile.index, len(tile.hashes)) != tile.hashes:
        raise AuditBroken(reason=f"{tile.path} does not hold the hashes of its entries")
    _check_files(store, tile.level, tile.index, tile.hashes)


def _check_files(store: TileStore, level: int | None, index: int, parts: Sequence[bytes]) -> None:
    """Every file of one tile or bundle, full or partial, holds exactly what its entries make of it.

    A file may be wider than ``parts`` where a crash came between tiles and checkpoint; then it begins with them.
    """
    full = store.folder / tile_path(level, index)
    found = [(TILE_WIDTH, full)] if full.exists() else []
    partial = full.with_name(f"{full.name}.p")
    if partial.is_dir():
        found += [(int(path.name), path) for path in partial.iterdir() if path.name.isdigit()]
    for width, path in found:
        content = path.read_bytes()
        due = b"".join(parts[:width])
        if width <= len(parts):
            fits = content == due
        elif level is None:
            fits = content.startswith(due) and len(split_entries(content) or ()) == width
        else:
            fits = content.startswith(due) and len(content) == width * HASH_BYTES
        if not fits:
            name = path.relative_to(store.folder)
            raise AuditBroken(reason=f"{name} was changed: it does not hold what its entries make of it")


@dataclass(slots=True)
class _Story:
    """What the entries tell, in order; refuses a story that cannot have happened."""

    events: Counter[str] = field(default_factory=Counter[str])
    begun: dict[int, AuditRecord] = field(default_factory=dict[int, AuditRecord])
    ended: dict[int, bool] = field(default_factory=dict[int, bool])
    truncations: list[int] = field(default_factory=list[int])

    def note(self, index: int, record: AuditRecord) -> None:
        """Take the entry at ``index`` into account."""
        self.events[record.event] += 1
        if record.event == INTENT:
            self.begun[index] = record
            self.ended[index] = False
        elif record.event == DONE:
            self._end(index, record)
        elif record.event == TRUNCATED:
            self.truncations.append(index)
        elif record.event == REQUEST:
            self._request(index, record)

    def _end(self, index: int, record: AuditRecord) -> None:
        intent = record.detail.get("intent")
        begun = self.begun.get(intent) if isinstance(intent, int) else None
        if begun is None or not isinstance(intent, int):
            raise AuditBroken(reason=f"entry {index} ends the egress {intent!r}, which nothing before it announced")
        if self.ended[intent]:
            raise AuditBroken(reason=f"entry {index} ends the egress {intent}, which had ended before")
        if (begun.request_id, begun.tenant) != (record.request_id, record.tenant):
            raise AuditBroken(reason=f"entry {index} ends the egress {intent} of another request")
        self.ended[intent] = True

    def _request(self, index: int, record: AuditRecord) -> None:
        for egress in _egresses(record):
            begun = self.begun.get(egress)
            if begun is None or begun.request_id != record.request_id:
                raise AuditBroken(reason=f"entry {index} names the egress {egress}, which its request never announced")


def _egresses(record: AuditRecord) -> Iterator[int]:
    attempts = record.detail.get("attempts")
    if isinstance(attempts, list):
        for attempt in attempts:  # pyright: ignore[reportUnknownVariableType]: JSON of an entry
            egress = attempt.get("egress") if isinstance(attempt, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]: as above
            if isinstance(egress, int):
                yield egress
