"""What outlives a reload: the data folder and everything that is kept in it."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from freehold.app.fellows import ALONE, Seat
from freehold.app.kept_key import kept_key
from freehold.audit.bodies import BODIES_FOLDER, SealedBodies
from freehold.audit.journal import Journal
from freehold.audit.log import TransparencyLog
from freehold.audit.shards import Shards, further_shards, shard_folder, shard_name
from freehold.audit.subjects import SUBJECTS_FOLDER, SubjectKeys
from freehold.domain.identity import Tenant
from freehold.domain.labels import Label
from freehold.domain.ports import EgressJournal
from freehold.domain.zones import ZoneTree
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.identity.first_key import FirstKey, ensure_first_key
from freehold.identity.keys import KeyRing
from freehold.ledger.book import GenaiPriceBook, OwnPriceBook
from freehold.net.broker import Broker
from freehold.net.brokered.journal import BrokeredJournal
from freehold.net.brokered.way import Way
from freehold.net.limits import HttpLimits
from freehold.policy.lattice import bottom
from freehold.policy.text import parse_label
from freehold.serving.registry import ModelRegistry
from freehold.storage.approvals import SqliteApprovals
from freehold.storage.batches import SqliteBatches
from freehold.storage.classifiers import SqliteClassifiers
from freehold.storage.database import Database
from freehold.storage.fellows import RECEIPTS_FOLDER, drop_journal, holds_receipts
from freehold.storage.files import SqliteFiles
from freehold.storage.folder import DataFolder
from freehold.storage.keys import SqliteKeys
from freehold.storage.limits import SqliteLimits
from freehold.storage.receipts import SqliteReceipts
from freehold.storage.usage import SqliteUsage

log = logging.getLogger("freehold.app")

FIRST_KEY_FILE = "first-key"
MODELS_FOLDER = "models"
DATABASE_FILE = "freehold.db"
AUDIT_FOLDER = "audit"
FILES_FOLDER = "files"
BATCHES_FOLDER = "batches"
CACHE_KEY_FILE = "cache-key"

_LAST_RECEIPTS_S = 5.0
"""At a stop, for bringing receipts into the database. After an outage of it there may be more than that takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Open stores of one data folder, and the way out that they guard."""

    clock: SystemClock
    ids: SystemIds
    database: Database
    receipts: SqliteReceipts
    keys: KeyRing
    limits: SqliteLimits
    usage: SqliteUsage
    first_key: FirstKey | None
    audit: TransparencyLog
    proofs: Shards
    subjects: SubjectKeys
    journal: EgressJournal
    broker: Broker
    way: Way | None
    prices: OwnPriceBook
    models: ModelRegistry
    files: SqliteFiles
    batches: SqliteBatches
    batches_folder: Path
    classifiers: SqliteClassifiers
    approvals: SqliteApprovals
    cache_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What the parent of workers has done for them.

    Attributes:
        lock: Descriptor of the data folder's lock, for each of them to inherit.
        first_key: As in ``Stores``.
    """

    lock: int
    first_key: FirstKey | None


@contextlib.contextmanager
def prepare(
    folder: Path, *, origin: str, tree: ZoneTree, tenants: Mapping[str, Tenant], workers: int
) -> Generator[Prepared]:
    """Lock the folder for workers, and do what must be done once; it is locked until the last of them has ended.

    Raises:
        DataFolderLocked: Another gateway uses the folder.
        FreeholdError: A store cannot be opened.
    """
    clock = SystemClock()
    with DataFolder.open(folder) as locked:
        database = Database.open(folder / DATABASE_FILE)
        try:
            _take_in(folder, database, origin=origin, clock=clock, workers=workers)
            keys = _key_ring(database, tree, tenants, clock)
            first_key = ensure_first_key(keys, folder / FIRST_KEY_FILE, tenant=next(iter(tenants)))
        finally:
            database.close()
        yield Prepared(lock=locked.lock, first_key=first_key)


@contextlib.contextmanager
def open_stores(
    folder: Path,
    *,
    origin: str,
    tree: ZoneTree,
    tenants: Mapping[str, Tenant],
    seat: Seat = ALONE,
    seal_bodies: bool = False,
    broker: str = "",
) -> Generator[Stores]:
    """Open everything, and close it again in the opposite order.

    Args:
        folder: The data folder.
        origin: Name of the main audit log.
        tree: The site's zones.
        tenants: By name.
        seat: Which of the workers this process is; all but one on its own work in a folder that ``prepare`` has locked.
        seal_bodies: Whether what leaves this device is kept, sealed.
        broker: Socket of the process through which everything leaves; empty to connect from this one.

    Raises:
        DataFolderLocked: Another gateway uses the folder.
        FreeholdError: A store cannot be opened; what was opened is closed.
    """
    clock, permit_key = SystemClock(), secrets.token_bytes(32)
    ids = SystemIds(clock)
    with contextlib.ExitStack() as open_things:
        if seat == ALONE:
            open_things.enter_context(DataFolder.open(folder))
        database = Database.open(folder / DATABASE_FILE)
        open_things.callback(database.close)
        if seat == ALONE:
            _take_in(folder, database, origin=origin, clock=clock, workers=1)
        fellows = [_journal_folder(folder, worker) for worker in range(seat.workers)]
        receipts = SqliteReceipts(database, journal=fellows.pop(seat.worker), fellows=fellows)
        open_things.callback(receipts.close, within_s=_LAST_RECEIPTS_S)
        main_log = folder / AUDIT_FOLDER
        subjects = SubjectKeys(folder / SUBJECTS_FOLDER, clock)
        own_log, name = shard_folder(main_log, seat.worker), shard_name(origin, seat.worker)
        audit = TransparencyLog.open(own_log, origin=name, clock=clock, subjects=subjects)
        open_things.callback(audit.close)
        bodies = SealedBodies(folder / BODIES_FOLDER, subjects) if seal_bodies else None
        way = Way(broker, clock=clock, limits=HttpLimits()) if broker else None
        keys = _key_ring(database, tree, tenants, clock)
        files = SqliteFiles(database, folder / FILES_FOLDER)
        yield Stores(
            clock=clock,
            ids=ids,
            database=database,
            receipts=receipts,
            keys=keys,
            limits=SqliteLimits(database),
            usage=SqliteUsage(database, unfiled=receipts.unfiled),
            first_key=ensure_first_key(keys, folder / FIRST_KEY_FILE, tenant=next(iter(tenants))),
            audit=audit,
            proofs=Shards(audit, origin=origin, main=main_log),
            subjects=subjects,
            journal=_through(way, Journal(audit, clock, ids, permit_key, bodies=bodies)),
            broker=Broker(clock=clock, permit_key=permit_key, way=way),
            way=way,
            prices=OwnPriceBook(GenaiPriceBook()),
            models=ModelRegistry(folder / MODELS_FOLDER),
            files=files,
            batches=SqliteBatches(database, files),
            batches_folder=folder / BATCHES_FOLDER,
            classifiers=SqliteClassifiers(database),
            approvals=SqliteApprovals(database, new_id=ids.new_id),
            cache_key=kept_key(folder / CACHE_KEY_FILE),
        )


def _through(way: Way | None, journal: EgressJournal) -> EgressJournal:
    """A journal whose permits are good at the broker too, where there is one."""
    return journal if way is None else BrokeredJournal(journal, way)


def _key_ring(database: Database, tree: ZoneTree, tenants: Mapping[str, Tenant], clock: SystemClock) -> KeyRing:
    def label_of(text: str) -> Label:
        return parse_label(text, tree)

    return KeyRing(
        SqliteKeys(database), tenants, parse_label=label_of, bottom=bottom(tree), clock=clock, ids=SystemIds(clock)
    )


def _journal_folder(folder: Path, worker: int) -> Path:
    return folder / (RECEIPTS_FOLDER if worker == 0 else f"{RECEIPTS_FOLDER}-{worker}")


def _take_in(folder: Path, database: Database, *, origin: str, clock: SystemClock, workers: int) -> None:
    """Finish what workers of an earlier start left that have no successor: there were more of them then.

    Their receipts come into the database, and egress intents that a crash left open are ended in their logs. What a
    crash left of uploads goes.
    """
    SqliteFiles(database, folder / FILES_FOLDER).sweep()
    for worker, left in further_shards(folder / AUDIT_FOLDER).items():
        if worker >= workers:
            TransparencyLog.open(left, origin=shard_name(origin, worker), clock=clock).close()
    for left in sorted(folder.glob(f"{RECEIPTS_FOLDER}-*")):
        number = left.name.removeprefix(f"{RECEIPTS_FOLDER}-")
        if not number.isdecimal() or int(number) < workers:
            continue
        receipts = SqliteReceipts(database, journal=left)
        receipts.close()
        if holds_receipts(left):
            log.warning("receipts of an earlier worker wait in %s: %s", left.name, receipts.failure)
        else:
            drop_journal(left)
