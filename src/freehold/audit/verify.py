"""Independent verification of a log's folder: everything is recomputed from the entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from freehold.audit.bundle import join_entries, split_entries
from freehold.audit.cosignature import COSIGNED, require_quorum
from freehold.audit.entry import decode_record
from freehold.audit.keys import VERIFIER_KEY
from freehold.audit.log import WAL
from freehold.audit.note import WITNESS, VerifierKey, is_signed_by, open_checkpoint, read_checkpoint
from freehold.audit.recovery import read_pending
from freehold.audit.rotation import KeyChain, Rotation
from freehold.audit.shards import further_shards, shard_name
from freehold.audit.story import Story
from freehold.audit.tile_store import TileStore
from freehold.audit.tiles import HASH_BYTES, TILE_WIDTH, Tile, TreeEdge, leaf_hash, tile_path
from freehold.domain.errors.audit import AuditBroken
from freehold.domain.receipt import Checkpoint

_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What was verified.

    Attributes:
        origin: The log's name.
        entries: Entries recomputed, pruned ones by their hashes.
        size: Entries that the checkpoint signs; always the same number.
        root: Root of the tree, hex.
        checkpoint: The verified checkpoint; remember its note to detect a rolled-back log later.
        events: Entries by event.
        intents: Egress intents.
        orphans: Indexes of intents that have no end (yet).
        truncations: Indexes of entries that tell of a tail torn by a crash.
        pending: Durable entries that no checkpoint covers yet.
        key_given: Whether the public key came from outside. If not, the folder vouches for itself only.
        pruned: Entries at the beginning whose texts were pruned; their hashes were verified, what they said was not.
        key_changes: Entries in which the log's key was changed.
        vkey: The key that signs now.
        cosigned: The checkpoint that witnesses cosigned; ``None`` where none were asked for.
        witnesses: Who of those asked for did, and when, in seconds since 1970.
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
    pruned: int = 0
    key_changes: tuple[Rotation, ...] = ()
    vkey: str = ""
    cosigned: Checkpoint | None = None
    witnesses: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def rotations(self) -> tuple[int, ...]:
        """Indexes of the entries in which the log's key was changed."""
        return tuple(each.index for each in self.key_changes)


@dataclass(frozen=True, slots=True)
class Quorum:
    """Whose cosignatures are asked for.

    Attributes:
        vkeys: Verifier keys of witnesses.
        least: How many of them must have cosigned; 0 asks for none.
    """

    vkeys: tuple[str, ...] = ()
    least: int = 0

    @property
    def keys(self) -> list[VerifierKey]:
        """The keys, read.

        Raises:
            AuditBroken: One is none of a witness.
        """
        return [VerifierKey.parse(each, kind=WITNESS) for each in self.vkeys]


NO_QUORUM = Quorum()


def verify_shards(
    main: Path, vkeys: Sequence[str] = (), remembered: Sequence[str] = (), quorum: Quorum = NO_QUORUM
) -> list[VerifyReport]:
    """Verify the log in ``main`` and those of further workers beside it, the main one first.

    Args:
        main: The main log's folder.
        vkeys: Public keys from outside: of every log, or none at all.
        remembered: Checkpoints seen earlier, of any of the logs.
        quorum: Witnesses that must have cosigned a checkpoint of each log.

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
        reports.append(verify_folder(folder, keys.pop(name, None), remembered=notes.pop(name, None), quorum=quorum))
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


def verify_folder(
    folder: Path, vkey: str | None = None, *, remembered: str | None = None, quorum: Quorum = NO_QUORUM
) -> VerifyReport:
    """Verify the log in ``folder``, which may be in use.

    Recomputes every hash from the entries and compares every tile; checks the signature, along the changes of keys that
    entries tell of; checks that every egress end belongs to one intent before it, and that every egress a request names
    was announced. Of a pruned beginning the hashes are verified, and that the log itself says that it was pruned.

    Args:
        folder: The log's folder, or a copy of it.
        vkey: Its public key, from outside, the present one or an earlier one; ``None`` takes the one that lies in the
            folder.
        remembered: A checkpoint note of this log seen earlier. Only with it, or with witnesses, a roll-back or a fork is
            detected.
        quorum: Witnesses that must have cosigned the checkpoint in the file ``cosigned``, of which this must be the log.

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
                seen = _Seen.read(folder, key.name, remembered, quorum)
                return _verify(store, note, key, seen, key_given=vkey is not None)
            except (AuditBroken, FileNotFoundError):
                # A log in use may have moved on below our hands; then the newer checkpoint is what counts.
                if store.checkpoint() == note:
                    raise
        raise AuditBroken(reason="the log changes faster than it can be read; verify a copy")
    except OSError as error:
        raise AuditBroken(reason=f"{error.strerror}: {error.filename or folder}") from error
    except UnicodeDecodeError as error:
        raise AuditBroken(reason=f"{VERIFIER_KEY} is no text") from error


@dataclass(frozen=True, slots=True)
class _Seen:
    """Checkpoints that others have seen of the log; it must not have another history."""

    checkpoints: tuple[Checkpoint, ...]
    cosigned: Checkpoint | None = None
    times: Mapping[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def read(cls, folder: Path, origin: str, remembered: str | None, quorum: Quorum) -> _Seen:
        own = () if remembered is None else (read_checkpoint(remembered, origin=origin),)
        if not quorum.least:
            return cls(own)
        try:
            note = (folder / COSIGNED).read_bytes()
        except FileNotFoundError as error:
            raise AuditBroken(reason=f"no witness has cosigned a checkpoint of {origin}") from error
        times = require_quorum(note, quorum.keys, quorum.least).times
        cosigned = read_checkpoint(note, origin=origin)
        return cls((*own, cosigned), cosigned, times)


def _verify(store: TileStore, note: bytes, key: VerifierKey, seen: _Seen, *, key_given: bool) -> VerifyReport:
    checkpoint = _opened(store.folder, note, key)
    for old in seen.checkpoints:
        if old.size > checkpoint.size:
            raise AuditBroken(reason=f"the log was rolled back from {old.size} to {checkpoint.size} entries")
    first = _first_bundle(store, checkpoint.size) * TILE_WIDTH
    story = Story(origin=key.name, first=first)
    edge = _retell(store, story, checkpoint.size, seen.checkpoints)
    if edge.root() != checkpoint.root:
        raise AuditBroken(reason=f"the entries do not lead to the root that the checkpoint of {edge.size} signs")
    if first > story.pruned_before:
        raise AuditBroken(reason=f"{tile_path(None, story.pruned_before // TILE_WIDTH)} is missing, and was not pruned")
    chain = KeyChain(key, story.key_changes)
    for each in (checkpoint, *seen.checkpoints):
        chain.check(each)
    return VerifyReport(
        origin=checkpoint.origin,
        entries=edge.size,
        size=checkpoint.size,
        root=checkpoint.root.hex(),
        checkpoint=checkpoint,
        events=dict(story.events),
        intents=len(story.ended),
        orphans=story.orphans,
        truncations=tuple(story.truncations),
        pending=len(read_pending(store.folder / WAL, checkpoint.size)),
        key_given=key_given,
        pruned=first,
        key_changes=tuple(story.key_changes),
        vkey=chain.last.text,
        cosigned=seen.cosigned,
        witnesses=seen.times,
    )


def _opened(folder: Path, note: bytes, key: VerifierKey) -> Checkpoint:
    """The checkpoint, signed by the given key or by the one that the folder says has followed it.

    Whether that one may sign is seen once the changes of keys were read.
    """
    try:
        present = VerifierKey.parse((folder / VERIFIER_KEY).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, AuditBroken):
        present = key
    if present.name == key.name and not is_signed_by(note, key) and is_signed_by(note, present):
        return open_checkpoint(note, present)
    return open_checkpoint(note, key)


def _retell(store: TileStore, story: Story, size: int, seen: Sequence[Checkpoint]) -> TreeEdge:
    """Grow the tree again from its entries, and hear what they tell."""
    edge = TreeEdge()
    _check_beginnings(edge, seen)
    pruned = story.first // TILE_WIDTH
    for index in range(pruned):
        _grow(store, edge, store.tile(0, index, TILE_WIDTH), seen)
    for index, entries in _bundles(store, pruned, size):
        for place, data in enumerate(entries, index * TILE_WIDTH):
            story.note(place, decode_record(data, place))
        _grow(store, edge, [leaf_hash(data) for data in entries], seen)
    for tile in edge.partial():
        _check_tile(store, tile)
    return edge


def _grow(store: TileStore, edge: TreeEdge, leaves: Sequence[bytes], seen: Sequence[Checkpoint]) -> None:
    """Add the leaves of one tile, and hold to it the tiles that are full now and the checkpoints that end in it."""
    start, end = edge.size, edge.size + len(leaves)
    for cut in (*sorted({each.size for each in seen if start < each.size < end}), end):
        for tile in edge.extend(leaves[edge.size - start : cut - start]):
            _check_tile(store, tile)
        _check_beginnings(edge, seen)


def _check_beginnings(edge: TreeEdge, seen: Sequence[Checkpoint]) -> None:
    for old in seen:
        if old.size == edge.size and old.root != edge.root():
            raise AuditBroken(reason=f"the first {old.size} entries are not those of the remembered checkpoint")


def _first_bundle(store: TileStore, size: int) -> int:
    """The first bundle of entries that is there: those before it were pruned, or are missing."""
    full = size // TILE_WIDTH
    for index in range(full):
        if (store.folder / tile_path(None, index)).exists():
            return index
    return full


def _bundles(store: TileStore, first: int, size: int) -> Iterator[tuple[int, tuple[bytes, ...]]]:
    """Every bundle from ``first`` on, checked to be nothing but its entries."""
    for index in range(first, -(-size // TILE_WIDTH)):
        width = min(TILE_WIDTH, size - index * TILE_WIDTH)
        entries = store.bundle(index, width)
        _check_files(store, None, index, width, lambda width, entries=entries: join_entries(entries[:width]))
        yield index, entries


def _check_tile(store: TileStore, tile: Tile) -> None:
    width = len(tile.hashes)
    if store.tile(tile.level, tile.index, width) != tile.hashes:
        raise AuditBroken(reason=f"{tile.path} does not hold the hashes of its entries")
    _check_files(store, tile.level, tile.index, width, lambda width: b"".join(tile.hashes[:width]))


def _check_files(store: TileStore, level: int | None, index: int, due_width: int, due: Callable[[int], bytes]) -> None:
    """Every file of one tile or bundle, full or partial, holds exactly what its entries make of it.

    A file may be wider than is ``due`` where a crash came between tiles and checkpoint; then it begins with that.
    """
    full = store.folder / tile_path(level, index)
    found = [(TILE_WIDTH, full)] if full.exists() else []
    partial = full.with_name(f"{full.name}.p")
    if partial.is_dir():
        found += [(int(path.name), path) for path in partial.iterdir() if path.name.isdigit()]
    for width, path in found:
        content = path.read_bytes()
        known = due(width)
        if width <= due_width:
            fits = content == known
        elif level is None:
            fits = content.startswith(known) and len(split_entries(content) or ()) == width
        else:
            fits = content.startswith(known) and len(content) == width * HASH_BYTES
        if not fits:
            name = path.relative_to(store.folder)
            raise AuditBroken(reason=f"{name} was changed: it does not hold what its entries make of it")
