"""The transparency log: append-only, signed, verifiable with public tools (C2SP tlog-tiles).

``append`` returns once the kernel has the entry: killing this process, by whatever signal, loses nothing that it
returned for. ``durable`` returns once the medium has it: a power cut loses at most what was appended in the
milliseconds before and not yet flushed, and never an egress intent whose permit was issued, since a permit waits for
``durable``. The tree grows over durable entries only. Tiles and a signed checkpoint follow after 8,192 entries, when
``checkpoint`` is called (the application does so every second), and at ``close``.

A disk that fails makes the log refuse entries, and so everything that would leave this machine; it goes on by itself
once the disk can be written again, with an entry that says so.
"""

from __future__ import annotations

import asyncio
import hmac
from pathlib import Path
from typing import Self

from freehold.audit.cosignature import COSIGNED
from freehold.audit.entry import DONE, TRUNCATED, Entry, decode_entry, encode_entry
from freehold.audit.intents import OpenIntents
from freehold.audit.keys import LogKeys, drop_successor, load_keys, make_successor, promote_successor
from freehold.audit.note import is_name, is_signed_by
from freehold.audit.recovery import Recovered, recover
from freehold.audit.rotation import ROTATE, rotation_note, rotation_of
from freehold.audit.sealer import Sealer
from freehold.audit.subjects import SubjectKeys
from freehold.audit.tile_store import CHECKPOINT, TileStore
from freehold.audit.tiles import consistency_path, inclusion_path
from freehold.audit.wal import Segment
from freehold.audit.writer import SYSTEM_TENANT, Writer
from freehold.domain.errors.audit import AuditUnwritable
from freehold.domain.ports import Clock
from freehold.domain.receipt import AuditRecord, Checkpoint, InclusionProof
from freehold.storage import disk
from freehold.storage.folder import DataFolder

WAL = "wal"


class TransparencyLog:
    """One log. Implements ``domain.ports.AuditLog``; made by ``open``."""

    def __init__(
        self,
        *,
        folder: DataFolder,
        store: TileStore,
        sealer: Sealer,
        writer: Writer,
        commitment_key: bytes,
        vkey: str,
        origin: str,
        subjects: SubjectKeys | None = None,
    ) -> None:
        self._folder = folder
        self._store = store
        self._sealer = sealer
        self._writer = writer
        self._commitment_key = commitment_key
        self._subjects = subjects
        self._closed = False
        self.origin = origin
        """The log's name."""
        self.vkey = vkey
        """Public key for auditors; they must get it some other way than with the log."""

    @classmethod
    def open(
        cls, folder: Path, *, origin: str, clock: Clock, rotate: bool = False, subjects: SubjectKeys | None = None
    ) -> Self:
        """Open the log in ``folder``, or start one there.

        Entries that were durable before a crash are kept and sealed. A torn tail is dropped, which is recorded as the
        first new entry; an egress intent without an end gets one that says ``unknown``.

        Args:
            folder: The log's own folder; locked while the log is open.
            origin: The log's name, for example ``freehold.example/audit/main``: no space and no plus sign.
            clock: Time of what the log records itself.
            rotate: Give the log a new signing key, which the old one signs in an entry.
            subjects: Data keys of those who send bodies; without them commitments are made with the log's own key.

        Raises:
            DataFolderLocked: Another process has it open.
            DataFolderUnusable: The folder cannot be made, or others may write to it.
            AuditBroken: What lies there is not this log, or was changed.
            AuditUnwritable: The disk fails, or ``origin`` cannot name a log.
        """
        if not is_name(origin):
            raise AuditUnwritable(reason=f"{origin!r} cannot name a log: no space, no plus sign, not empty")
        locked = DataFolder.open(folder)
        try:
            return cls._open(locked, origin, clock, rotate=rotate, subjects=subjects)
        except OSError as error:
            locked.close()
            raise AuditUnwritable(reason=f"{error.strerror or error}: {folder}") from error
        except BaseException:
            locked.close()
            raise

    @classmethod
    def _open(
        cls, folder: DataFolder, origin: str, clock: Clock, *, rotate: bool, subjects: SubjectKeys | None
    ) -> Self:
        store = TileStore(folder.path)
        wal = folder.path / WAL
        for changed in disk.make_folders(wal):
            disk.sync_folder(changed)
        keys = load_keys(folder.path, origin=origin, is_new=not (folder.path / CHECKPOINT).exists())
        if keys.successor is not None and is_signed_by(store.checkpoint() or b"", keys.successor.verifier):
            keys = promote_successor(folder.path, keys)
        recovered = recover(store, wal, keys.signer.verifier)
        keys, rotating = _successor(folder.path, keys, recovered, rotate=rotate)
        news = _news(recovered, clock, rotating=rotating)
        segment = Segment(wal, recovered.segments[-1][0] + 1 if recovered.segments else 1)
        try:
            for entry in news:
                segment.append(entry.index, entry.data)
            segment.sync(segment.size_bytes)
            sealer = Sealer(
                store,
                keys.signer,
                edge=recovered.edge,
                bundle=recovered.bundle,
                intents=recovered.intents,
                checkpoint=recovered.checkpoint,
                successor=keys.successor,
            )
            sealer.offer([*recovered.pending, *news])
            signed = sealer.seal()
            sealer.succeed()
            keys = promote_successor(folder.path, keys)
            disk.remove_files(path for _, path in recovered.segments)
        except BaseException:
            segment.close()
            raise
        sealer.start()
        return cls(
            folder=folder,
            store=store,
            sealer=sealer,
            writer=Writer(segment, sealer, size=signed.size, clock=clock),
            commitment_key=keys.commitment,
            vkey=keys.signer.verifier.text,
            origin=origin,
            subjects=subjects,
        )

    @property
    def healthy(self) -> bool:
        """False from a failed write until the disk can be written again, and after ``close``: then nothing may leave."""
        return not (self._closed or self._sealer.failure or self._writer.failure)

    @property
    def size(self) -> int:
        """Entries so far, those on their way to the medium included."""
        return self._writer.size

    @property
    def unsynced(self) -> int:
        """Entries on their way to the medium: what a power cut would cost now."""
        return self._writer.unsynced

    @property
    def newest_checkpoint(self) -> Checkpoint | None:
        """The newest signed checkpoint."""
        return self._sealer.checkpoint

    def append(self, *records: AuditRecord) -> int:
        """Write entries, all or none; returns the first one's index. Safe to call from any thread.

        At return the kernel has them.

        Raises:
            AuditUnwritable: The disk fails, the log is closed, too many entries wait, or one is too long.
        """
        if self._sealer.failure:
            raise AuditUnwritable(reason=self._sealer.failure)
        return self._writer.append(*records)

    async def durable(self, index: int) -> None:
        """Return once entry ``index`` is on the medium.

        Raises:
            AuditUnwritable: It is not, and whether it will be is not known.
        """
        await self._writer.durable(index)

    async def checkpoint(self) -> Checkpoint:
        """Sign the tree with everything appended so far, durably. Without news, the newest checkpoint.

        Raises:
            AuditUnwritable: It could not be written.
        """
        if self._writer.size:
            await self._writer.durable(self._writer.size - 1)
        return await asyncio.wrap_future(self._sealer.request())

    async def prove(self, index: int) -> InclusionProof | None:
        """Proof that an entry is in the newest checkpoint; ``None`` where it is not in one yet, or does not exist.

        Raises:
            AuditBroken: The tiles it needs are missing or damaged.
        """
        checkpoint = self._sealer.checkpoint
        if checkpoint is None or not 0 <= index < checkpoint.size:
            return None
        return await asyncio.to_thread(self._prove, index, checkpoint)

    async def prove_growth(self, old_size: int, newer: Checkpoint) -> tuple[bytes, ...]:
        """Proof that the first ``old_size`` entries are the beginning of ``newer``; empty for 0.

        Raises:
            AuditBroken: The tiles it needs are missing or damaged.
            ValueError: ``newer`` is smaller.
        """
        if old_size == 0:
            return ()
        node = self._store.nodes(newer.size)
        return await asyncio.to_thread(consistency_path, old_size, newer.size, node)

    async def keep_cosigned(self, note: str) -> None:
        """Keep a checkpoint with the lines of witnesses beside the newest one.

        Raises:
            AuditUnwritable: It could not be written; the log goes on.
        """
        try:
            await asyncio.to_thread(self._store.write, {COSIGNED: note.encode()})
        except OSError as error:
            raise AuditUnwritable(reason=f"{COSIGNED}: {error.strerror or error}") from error

    def commit(self, body: bytes, *, tenant: str = "", subject: str = "", record: str = "") -> str:
        """Keyed commitment of a body, hex: HMAC-SHA256, so that texts cannot be guessed.

        Under a key of ``subject`` for this ``record`` (``subjects.py``) where there is a subject, else under the log's own.

        Raises:
            AuditUnwritable: The subject has no data key, and none can be made.
            AuditBroken: Its data key's file is damaged.
        """
        if self._subjects is not None and subject:
            return self._subjects.commit(body, tenant=tenant, subject=subject, record=record)
        return hmac.digest(self._commitment_key, body, "sha256").hex()

    def close(self) -> None:
        """Flush and seal what was appended, then release the folder. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        self._sealer.close()
        self._folder.close()

    def _prove(self, index: int, checkpoint: Checkpoint) -> InclusionProof:
        path = inclusion_path(index, checkpoint.size, self._store.nodes(checkpoint.size))
        leaf = self._store.entry(index, checkpoint.size)
        return InclusionProof(index=index, leaf=leaf, path=path, checkpoint=checkpoint)


def _successor(folder: Path, keys: LogKeys, recovered: Recovered, *, rotate: bool) -> tuple[LogKeys, LogKeys | None]:
    """The keys, with a successor where one takes over now; and the same again where the log has not named it yet."""
    if keys.successor is not None:
        named = keys.successor.verifier
        for entry in recovered.pending:
            if entry.event == ROTATE and (
                rotation_of(entry.index, decode_entry(entry.data, entry.index)[1], origin=named.name).new == named
            ):
                return keys, None
        keys = drop_successor(folder, keys)
    if not rotate:
        return keys, None
    keys = make_successor(folder, keys)
    return keys, keys


def _news(recovered: Recovered, clock: Clock, *, rotating: LogKeys | None) -> list[Entry]:
    """What opening a log adds to it: that a tail was torn, an end for each egress without one, a change of keys."""
    index = recovered.edge.size + len(recovered.pending)
    intents = OpenIntents([*recovered.intents.open, *recovered.pending])
    records: list[AuditRecord] = []
    if recovered.torn_bytes:
        detail: dict[str, object] = {"dropped_bytes": recovered.torn_bytes, "entries_before": index}
        records.append(AuditRecord(event=TRUNCATED, unix_ms=clock.unix_ms(), tenant=SYSTEM_TENANT, detail=detail))
    for intent in intents.open:
        begun = decode_entry(intent.data, intent.index)[1]
        records.append(
            AuditRecord(
                event=DONE,
                unix_ms=clock.unix_ms(),
                tenant=begun.tenant,
                request_id=begun.request_id,
                detail={"intent": intent.index, "outcome": "unknown", "bytes": None},
            )
        )
    if rotating is not None and rotating.successor is not None:
        note: dict[str, object] = {"note": rotation_note(rotating.signer, rotating.successor)}
        records.append(AuditRecord(event=ROTATE, unix_ms=clock.unix_ms(), tenant=SYSTEM_TENANT, detail=note))
    return [encode_entry(record, place) for place, record in enumerate(records, index)]
