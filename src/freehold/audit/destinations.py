"""Where things went, counted from the audit log alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from freehold.audit.entry import DONE, INTENT, decode_entry
from freehold.audit.keys import VERIFIER_KEY
from freehold.audit.log import WAL
from freehold.audit.note import VerifierKey, open_checkpoint
from freehold.audit.recovery import read_pending
from freehold.audit.shards import further_shards
from freehold.audit.tile_store import TileStore
from freehold.audit.tiles import TILE_WIDTH
from freehold.domain.errors.audit import AuditBroken
from freehold.domain.receipt import AuditRecord
from freehold.storage.folder import LOCK_NAME

_RUNNING = "running"
_ABOUT_EGRESS = b'"event":"egress.'


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """One place beyond this device that something was sent to.

    Attributes:
        origin: ``scheme://host:port``.
        zone: Where that is.
        sent: Egresses that were announced; each is one request, and needed a permit of its own.
        body_bytes: Of their bodies, in bytes.
        outcomes: How they ended, by outcome; ``running`` for those without an end, cut off or on their way.
    """

    origin: str
    zone: str
    sent: int
    body_bytes: int
    outcomes: dict[str, int]


def last_opened_unix_ms(folder: Path) -> int | None:
    """When the log in ``folder`` was last opened for writing, the begin of the last run; ``None`` if that is not known.

    Milliseconds since 1970, by the clock of the file system.
    """
    try:
        return (folder / LOCK_NAME).stat().st_mtime_ns // 1_000_000
    except OSError:
        return None


def destinations(main: Path, *, since_unix_ms: int = 0) -> list[Destination]:
    """What was sent where, most first, from the log in ``main`` and those of further workers beside it.

    Reads every entry, and verifies no more than the checkpoint's signature (``verify`` does). Works while the logs are written.

    Args:
        main: The main log's folder.
        since_unix_ms: Only what was announced from then on.

    Raises:
        AuditBroken: A file or an entry cannot be read.
    """
    sent: Counter[tuple[str, str]] = Counter()
    body_bytes: Counter[tuple[str, str]] = Counter()
    outcomes: dict[tuple[str, str], Counter[str]] = {}
    for folder in (main, *further_shards(main).values()):
        begun: dict[int, tuple[str, str]] = {}
        for index, record in egress_records(folder):
            if record.event == INTENT and record.unix_ms >= since_unix_ms:
                place = (str(record.detail.get("origin")), str(record.detail.get("zone")))
                size = record.detail.get("body_bytes")
                begun[index] = place
                sent[place] += 1
                body_bytes[place] += size if isinstance(size, int) else 0
                outcomes.setdefault(place, Counter())[_RUNNING] += 1
            elif record.event == DONE and (place := begun.pop(_intent(record), None)) is not None:
                outcomes[place][_RUNNING] -= 1
                outcomes[place][str(record.detail.get("outcome"))] += 1
    return [
        Destination(
            origin=place[0], zone=place[1], sent=count, body_bytes=body_bytes[place], outcomes=dict(+outcomes[place])
        )
        for place, count in sent.most_common()
    ]


def _intent(record: AuditRecord) -> int:
    intent = record.detail.get("intent")
    return intent if isinstance(intent, int) else -1


def egress_records(folder: Path) -> Iterator[tuple[int, AuditRecord]]:
    """Entries about egress in one log, in order, those that no checkpoint covers yet among them.

    Raises:
        AuditBroken: A file or an entry cannot be read.
    """
    store = TileStore(folder)
    try:
        note = store.checkpoint()
        key = (folder / VERIFIER_KEY).read_text(encoding="utf-8")
        size = 0 if note is None else open_checkpoint(note, VerifierKey.parse(key)).size
        for bundle in range(-(-size // TILE_WIDTH)):
            first = bundle * TILE_WIDTH
            for index, data in enumerate(store.bundle(bundle, min(TILE_WIDTH, size - first)), first):
                if _ABOUT_EGRESS in data:
                    yield index, decode_entry(data, index)[1]
        for entry in read_pending(folder / WAL, size):
            if _ABOUT_EGRESS in entry.data:
                yield entry.index, decode_entry(entry.data, entry.index)[1]
    except OSError as error:
        raise AuditBroken(reason=f"{error.strerror}: {error.filename or folder}") from error
    except UnicodeDecodeError as error:
        raise AuditBroken(reason=f"{VERIFIER_KEY} is no text") from error
