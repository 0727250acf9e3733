"""What outlives a reload: the data folder and everything that is kept in it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

from freehold.audit.journal import Journal
from freehold.audit.log import TransparencyLog
from freehold.domain.identity import Tenant
from freehold.domain.labels import Label
from freehold.domain.zones import ZoneTree
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.identity.first_key import FirstKey, ensure_first_key
from freehold.identity.keys import KeyRing
from freehold.ledger.book import GenaiPriceBook
from freehold.ledger.entries import entries
from freehold.net.broker import Broker
from freehold.policy.lattice import bottom
from freehold.policy.text import parse_label
from freehold.serving.registry import ModelRegistry
from freehold.storage.database import Database
from freehold.storage.folder import DataFolder
from freehold.storage.keys import SqliteKeys
from freehold.storage.receipts import SqliteReceipts

FIRST_KEY_FILE = "first-key"
MODELS_FOLDER = "models"
DATABASE_FILE = "freehold.db"
AUDIT_FOLDER = "audit"
RECEIPTS_FOLDER = "receipts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Open stores of one data folder, and the way out that they guard."""

    clock: SystemClock
    ids: SystemIds
    database: Database
    receipts: SqliteReceipts
    keys: KeyRing
    first_key: FirstKey | None
    audit: TransparencyLog
    journal: Journal
    broker: Broker
    prices: GenaiPriceBook
    models: ModelRegistry


@contextlib.contextmanager
def open_stores(folder: Path, *, origin: str, tree: ZoneTree, tenants: Mapping[str, Tenant]) -> Generator[Stores]:
    """Open everything, and close it again in the opposite order.

    Raises:
        DataFolderLocked: Another gateway uses the folder.
        FreeholdError: A store cannot be opened; what was opened is closed.
    """
    clock = SystemClock()
    ids = SystemIds(clock)
    permit_key = secrets.token_bytes(32)
    with contextlib.ExitStack() as open_things:
        open_things.enter_context(DataFolder.open(folder))
        database = Database.open(folder / DATABASE_FILE)
        open_things.callback(database.close)
        receipts = SqliteReceipts(database, entries, journal=folder / RECEIPTS_FOLDER)
        open_things.callback(receipts.close)
        audit = TransparencyLog.open(folder / AUDIT_FOLDER, origin=origin, clock=clock)
        open_things.callback(audit.close)

        def label_of(text: str) -> Label:
            return parse_label(text, tree)

        keys = KeyRing(SqliteKeys(database), tenants, parse_label=label_of, bottom=bottom(tree), clock=clock, ids=ids)
        yield Stores(
            clock=clock,
            ids=ids,
            database=database,
            receipts=receipts,
            keys=keys,
            first_key=ensure_first_key(keys, folder / FIRST_KEY_FILE, tenant=next(iter(tenants))),
            audit=audit,
            journal=Journal(audit, clock, ids, permit_key),
            broker=Broker(clock=clock, permit_key=permit_key),
            prices=GenaiPriceBook(),
            models=ModelRegistry(folder / MODELS_FOLDER),
        )
