"""Time, ids, keys, audit log and receipts of a simulated gateway: in memory, on the loop's clock, and able to fail."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from freehold.domain.batch import Batch
from freehold.domain.errors.audit import AuditUnwritable
from freehold.domain.errors.server import StorageBusy, StorageFailed
from freehold.domain.ids import uuid7
from freehold.domain.limits import Limit
from freehold.domain.receipt import AuditRecord, Checkpoint, Receipt
from freehold.storage.keys import KeyEvent, KeyRecord
from freehold.storage.schema import migrations
from freehold.storage.usage import Uses
from tests.support.ledger import LedgerEntry, entries

T = TypeVar("T")
EPOCH_UNIX_MS = 1_790_000_000_000
_KEY = b"simulated"


class SimClock:
    """The loop's clock; the wall clock beside it may jump."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.jump_ms = 0

    def unix_ms(self) -> int:
        return EPOCH_UNIX_MS + self.jump_ms + int(self._loop.time() * 1000)

    def monotonic_s(self) -> float:
        return self._loop.time()


class SimIds:
    """UUIDv7 of the clock and of the seed."""

    def __init__(self, clock: SimClock, chance: random.Random) -> None:
        self._clock = clock
        self._chance = chance

    def new_id(self) -> str:
        return uuid7(unix_ms=self._clock.unix_ms(), random=self._chance.randbytes(10))


class SimKeys:
    """The store of keys."""

    def __init__(self) -> None:
        self.records: list[KeyRecord] = []

    def all(self) -> list[KeyRecord]:
        return list(self.records)

    def add(self, record: KeyRecord, event: KeyEvent | None = None) -> None:
        self.records.append(record)

    def rotate(self, record: KeyRecord, *, unix_ms: int, until_unix_ms: int, event: KeyEvent | None = None) -> bool:
        raise NotImplementedError

    def events(self) -> list[KeyEvent]:
        return []

    def forget(self, seq: int) -> None:
        raise NotImplementedError

    def revoke(self, key_id: str, *, unix_ms: int, event: KeyEvent | None = None) -> bool:
        for place, record in enumerate(self.records):
            if record.id == key_id and record.revoked_unix_ms is None:
                self.records[place] = replace(record, revoked_unix_ms=unix_ms)
                return True
        return False


@dataclass(slots=True)
class Kept:
    """A record of the audit log and when it was durable."""

    record: AuditRecord
    durable_s: float | None = None


class SimAudit:
    """Implements ``domain.ports.AuditLog`` on a disk that may be full for a while.

    Attributes:
        intents: Of egress, by the commitment of the body that each is for.
    """

    origin = "simulated"

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: random.Random) -> None:
        self._loop = loop
        self._chance = chance
        self._waiting: list[tuple[Kept, asyncio.Future[None]]] = []
        self.kept: list[Kept] = []
        self.intents: dict[object, list[Kept]] = {}
        self._forgotten = 0
        self.disk_full_until_s = 0.0

    @property
    def healthy(self) -> bool:
        return self._loop.time() >= self.disk_full_until_s

    @property
    def unsynced(self) -> int:
        return len(self._waiting)

    @property
    def size(self) -> int:
        return self._forgotten + len(self.kept)

    def append(self, *records: AuditRecord) -> int:
        if not self.healthy:
            raise AuditUnwritable(reason="the disk is full")
        first = self.size
        for record in records:
            kept = Kept(record)
            self.kept.append(kept)
            if record.event == "egress.intent":
                self.intents.setdefault(record.detail["body_commit"], []).append(kept)
        return first

    async def durable(self, index: int) -> None:
        """A sync, together with whoever else waits for one."""
        kept = self.kept[index - self._forgotten]
        done = self._loop.create_future()
        self._waiting.append((kept, done))
        if len(self._waiting) == 1:
            self._loop.call_later(self._chance.choice((0.0001, 0.001, 0.02)), self._sync)
        await done

    def _sync(self) -> None:
        waiting, self._waiting = self._waiting, []
        for kept, done in waiting:
            if self.healthy:
                kept.durable_s = self._loop.time()
            if done.done():
                continue
            if self.healthy:
                done.set_result(None)
            else:
                done.set_exception(AuditUnwritable(reason="the disk is full"))

    def forget(self) -> None:
        """Keep no record, as a log on disk keeps none in memory."""
        self._forgotten = self.size
        self.kept.clear()
        self.intents.clear()

    async def prove(self, index: int) -> None:
        return None

    async def checkpoint(self) -> Checkpoint:
        return Checkpoint(origin=self.origin, size=self.size, root=b"", note="")

    def commit(self, body: bytes, **_: str) -> str:
        return hmac.digest(_KEY, body, "sha256").hex()


@dataclass
class SimReceipts:
    """Implements ``domain.ports.ReceiptStore``.

    Attributes:
        offered: Every receipt that somebody wanted kept, also where it could not be.
        entries: The ledger.
    """

    loop: asyncio.AbstractEventLoop
    offered: list[Receipt] = field(default_factory=list[Receipt])
    entries: list[LedgerEntry] = field(default_factory=list[LedgerEntry])
    locked_until_s: float = 0.0
    full_until_s: float = 0.0

    def keep(self, *receipts: Receipt) -> None:
        now_s = self.loop.time()
        if len(receipts) == 1 or now_s >= max(self.full_until_s, self.locked_until_s):
            self.offered += receipts  # those that are refused together are offered again one by one
        if now_s < self.full_until_s:
            raise StorageFailed(name="simulated", done="written", reason="the disk is full")
        if now_s < self.locked_until_s:
            raise StorageBusy(waiting=10_000, retry_s=1)
        self.entries.extend(entry for receipt in receipts for entry in entries(receipt))

    def forget(self) -> None:
        """Keep no receipt, as a database keeps none in memory."""
        self.offered.clear()
        self.entries.clear()

    async def get(self, receipt_id: str, *, tenant: str) -> dict[str, object] | None:
        found = [each for each in self.offered if each.id == receipt_id and each.tenant == tenant]
        return {"id": found[0].id} if found else None

    async def recent(self, *, tenant: str, limit: int, before: str | None) -> list[dict[str, object]]:
        return [{"id": each.id} for each in reversed(self.offered) if each.tenant == tenant][:limit]


class NoPrices:
    """A price book without prices."""

    def price(self, model: str, *, usage: Any, unix_ms: int) -> None:
        return None

    def warm(self) -> None:
        pass


class MemoryDatabase:
    """A database in memory that does everything at once, so that no thread takes part; a crash of the house loses it."""

    failure = ""
    waiting = 0
    path = Path("/dev/null/simulated.db")
    """Nothing can lie beside it: what needs a folder is off in the simulated house."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        for step in migrations():
            self._connection.executescript(step.script)

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        done.set_result(work(self._connection))
        return done

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return work(self._connection)

    def post(self, work: Callable[[sqlite3.Connection], object]) -> None:
        work(self._connection)

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        return query(self._connection)


class NoBatches:
    """What a gateway asks of a store of batches, and of files, where there are none."""

    async def active(self) -> list[Batch]:
        return []

    async def drop_expired(self, _unix_ms: int) -> int:
        return 0


class NoLimits:
    """The store of limits where nobody has any."""

    def all(self) -> tuple[Limit, ...]:
        return ()


class NoUsage:
    """What was used where nobody asks."""

    def read(self, **_: object) -> Uses:
        return Uses([], [])


def secret_of(tenant: str) -> str:
    """The key of a tenant, in the form of a real one."""
    digest = hashlib.sha256(tenant.encode()).hexdigest()
    return f"fh-{digest[:43]}"
