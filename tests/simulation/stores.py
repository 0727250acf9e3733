"""Time, ids, keys, audit log and receipts of a simulated gateway: in memory, on the loop's clock, and able to fail."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from freehold.domain.errors.audit import AuditUnwritable
from freehold.domain.errors.server import StorageFailed
from freehold.domain.ids import uuid7
from freehold.domain.ports import AuditTicket
from freehold.domain.receipt import AuditRecord, Checkpoint, LedgerEntry, Receipt
from freehold.storage.keys import KeyRecord

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

    def add(self, record: KeyRecord) -> None:
        self.records.append(record)

    def revoke(self, key_id: str, *, unix_ms: int) -> bool:
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
    """Implements ``domain.ports.AuditLog``. A full disk fails what is queued and everything after it, as the real one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: random.Random) -> None:
        self._loop = loop
        self._chance = chance
        self._durable_s = 0.0
        self._waiting: list[tuple[Kept, asyncio.Future[None]]] = []
        self.kept: list[Kept] = []
        self.disk_full = False

    @property
    def healthy(self) -> bool:
        return not self.disk_full

    @property
    def size(self) -> int:
        return len(self.kept)

    def append(self, record: AuditRecord) -> AuditTicket:
        if self.disk_full:
            raise AuditUnwritable(reason="the disk is full")
        kept = Kept(record)
        durable = self._loop.create_future()
        self.kept.append(kept)
        self._waiting.append((kept, durable))
        self._durable_s = max(self._durable_s, self._loop.time() + self._chance.choice((0.0001, 0.001, 0.02)))
        self._loop.call_at(self._durable_s, self._settle)
        return AuditTicket(len(self.kept) - 1, durable)

    def _settle(self) -> None:
        kept, durable = self._waiting.pop(0)
        if self.disk_full:
            if not durable.done():
                durable.set_exception(AuditUnwritable(reason="the disk is full"))
                durable.exception()
            return
        kept.durable_s = self._loop.time()
        if not durable.done():
            durable.set_result(None)

    async def prove(self, index: int) -> None:
        return None

    async def checkpoint(self) -> Checkpoint:
        return Checkpoint(origin="simulated", size=len(self.kept), root=b"", note="")

    def commit(self, body: bytes) -> str:
        return hmac.digest(_KEY, body, "sha256").hex()


@dataclass
class SimReceipts:
    """Implements ``domain.ports.ReceiptStore``. ``locked_until_s`` is a database that another process holds."""

    loop: asyncio.AbstractEventLoop
    chance: random.Random
    kept: list[Receipt] = field(default_factory=list[Receipt])
    entries: list[LedgerEntry] = field(default_factory=list[LedgerEntry])
    locked_until_s: float = 0.0
    is_broken: bool = False

    def submit(self, receipt: Receipt, entries: tuple[LedgerEntry, ...]) -> asyncio.Future[None]:
        self.kept.append(receipt)
        self.entries.extend(entries)
        done = self.loop.create_future()
        free_s = max(self.locked_until_s, self.loop.time()) + self.chance.choice((0.0001, 0.001, 0.01))
        self.loop.call_at(free_s, self._settle, done)
        return done

    def _settle(self, done: asyncio.Future[None]) -> None:
        if done.done():
            return
        if self.is_broken:
            done.set_exception(StorageFailed(name="simulated", done="written", reason="the disk is full"))
            done.exception()
        else:
            done.set_result(None)

    async def get(self, receipt_id: str, *, tenant: str) -> dict[str, object] | None:
        found = [each for each in self.kept if each.id == receipt_id and each.tenant == tenant]
        return {"id": found[0].id} if found else None

    async def recent(self, *, tenant: str, limit: int, before: str | None) -> list[dict[str, object]]:
        return [{"id": each.id} for each in reversed(self.kept) if each.tenant == tenant][:limit]


class NoPrices:
    """A price book without prices."""

    def price(self, model: str, *, usage: Any, unix_ms: int) -> None:
        return None

    def warm(self) -> None:
        pass


@dataclass
class NoDatabase:
    """What metrics ask of a database."""

    failure: str = ""
    waiting: int = 0


def secret_of(tenant: str) -> str:
    """The key of a tenant, in the form of a real one."""
    digest = hashlib.sha256(tenant.encode()).hexdigest()
    return f"fh-{digest[:43]}"


Observer = Callable[[str, str], None]
