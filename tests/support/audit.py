"""Audit logs for tests."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from freehold.audit.log import TransparencyLog
from freehold.audit.tile_store import TileStore
from freehold.domain.egress import EgressIntent
from freehold.domain.receipt import AuditRecord
from freehold.domain.zones import Zone

ORIGIN = "freehold.test/audit/main"


@dataclass
class StillClock:
    """Time that stands still until it is moved."""

    now_s: float = 1000.0

    def unix_ms(self) -> int:
        return 1_790_000_000_000 + int(self.now_s * 1000)

    def monotonic_s(self) -> float:
        return self.now_s


@dataclass
class CountingIds:
    """Ids in a row."""

    last: int = 0

    def new_id(self) -> str:
        self.last += 1
        return f"id-{self.last}"


def record(number: int, event: str = "test", **detail: object) -> AuditRecord:
    """A record that can be told from every other."""
    return AuditRecord(
        event=event, unix_ms=number, tenant="acme", request_id=f"r-{number}", detail={"n": number, **detail}
    )


def open_log(folder: Path) -> TransparencyLog:
    return TransparencyLog.open(folder, origin=ORIGIN, clock=StillClock())


async def append_all(log: TransparencyLog, records: Iterable[AuditRecord]) -> list[int]:
    """Append records and wait until they are on the medium; returns their indexes."""
    places = [log.append(each) for each in records]
    if places:
        await log.durable(places[-1])
    return places


def write_log(folder: Path, records: Iterable[AuditRecord]) -> str:
    """A closed log with these records; returns its vkey."""

    async def write() -> str:
        log = open_log(folder)
        await append_all(log, records)
        log.close()
        return log.vkey

    return asyncio.run(write())


def entries(folder: Path, size: int) -> list[bytes]:
    """The sealed entries of a folder."""
    store = TileStore(folder)
    return [store.entry(index, size) for index in range(size)]


def crashed_copy(folder: Path, target: Path) -> Path:
    """The folder of a running log as a crash at this moment would leave it."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("lock"))
    return target


def intent(commitment: str, body: bytes, *, request_id: str = "r-1") -> EgressIntent:
    return EgressIntent(
        request_id=request_id,
        tenant="acme",
        deployment="cloud",
        origin="https://api.example:443",
        zone=Zone("us"),
        label="internal;zones=world",
        rules=("zone", "level"),
        body_bytes=len(body),
        body_commitment=commitment,
    )
