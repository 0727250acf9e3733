"""Letting go of what old entries say; their hashes stay, so that the tree and every proof hold as before.

Entry bundles are deleted from the front (C2SP tlog-tiles allows a prefix to be pruned), hash tiles are kept: 34 bytes an
entry. What was pruned stands in the log itself, written before anything is deleted, with the changes of keys that stood
among it; so a missing bundle is either told of there, or missing. A bundle goes once every entry in it is older than its
tenant wants it kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from freehold.audit.entry import PRUNED
from freehold.audit.export import newest_checkpoint, sealed_entries
from freehold.audit.log import TransparencyLog
from freehold.audit.tiles import TILE_WIDTH, tile_path
from freehold.audit.verify import verify_folder
from freehold.audit.writer import SYSTEM_TENANT
from freehold.domain.ports import Clock
from freehold.domain.receipt import AuditRecord
from freehold.storage import disk

DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was let go of in one log.

    Attributes:
        origin: The log's name.
        before: Entries with a smaller index are without their texts now.
        entries: How many of them had theirs until now.
    """

    origin: str
    before: int
    entries: int


def prunable_before(folder: Path, *, kept_days: Callable[[str], int], now_ms: int) -> int:
    """The first entry that must stay, rounded down to a whole bundle.

    Args:
        folder: The log's folder.
        kept_days: Days that a tenant's entries stay at least.
        now_ms: Wall clock.

    Raises:
        AuditBroken: An entry cannot be read.
    """
    checkpoint = newest_checkpoint(folder)
    first_kept = checkpoint.size
    for index, _, record in sealed_entries(folder, checkpoint):
        if record.unix_ms > now_ms - kept_days(record.tenant) * DAY_MS:
            first_kept = index
            break
    return first_kept // TILE_WIDTH * TILE_WIDTH


def prune(folder: Path, *, kept_days: Callable[[str], int], clock: Clock) -> Pruned:
    """Delete what entries say that nobody wants kept any longer. The log must not be in use.

    Args:
        folder: The log's folder.
        kept_days: Days that a tenant's entries stay at least.
        clock: Time.

    Raises:
        AuditBroken: The log does not verify; nothing was deleted.
        DataFolderLocked: It is in use.
        AuditUnwritable: It could not be recorded; nothing was deleted.
        OSError: Not everything could be deleted; the next time goes on.
    """
    report = verify_folder(folder)
    before = prunable_before(folder, kept_days=kept_days, now_ms=clock.unix_ms())
    if before <= report.pruned:
        return Pruned(origin=report.origin, before=report.pruned, entries=0)
    kept = [{"index": each.index, "note": each.note} for each in report.key_changes if each.index < before]
    log = TransparencyLog.open(folder, origin=report.origin, clock=clock)
    try:
        detail: dict[str, object] = {"before": before, "rotations": kept}
        log.append(AuditRecord(event=PRUNED, unix_ms=clock.unix_ms(), tenant=SYSTEM_TENANT, detail=detail))
        asyncio.run(log.checkpoint())
        # From the front, so that what a crash leaves is a shorter prefix.
        for bundle in range(report.pruned // TILE_WIDTH, before // TILE_WIDTH):
            disk.remove_files([folder / tile_path(None, bundle)])
    finally:
        log.close()
    return Pruned(origin=report.origin, before=before, entries=before - report.pruned)
