"""The audit log under load: durable appends, what it adds to a request, entries verified, and one log against one a tenant.

    python -m bench.audit [--entries N] [--folder DIR]

What is added to a request is the time that ``append`` takes on the request's thread, while the log is flushed, sealed
and signed every second behind it; for a request that leaves this device, also the commitment and the sealed body. The
flush that an egress intent waits for is the medium's, and is told beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.bars import Bar
from freehold.audit.bodies import SealedBodies
from freehold.audit.log import TransparencyLog
from freehold.audit.subjects import SubjectKeys
from freehold.audit.verify import verify_folder
from freehold.domain.errors.audit import AuditUnwritable
from freehold.domain.receipt import AuditRecord
from freehold.hostinfo.clock import SystemClock

CLOCK = SystemClock()
TENANTS = 16
CLIENTS = 256
WARM = 200
BODY = b"x" * 4_096
ATTEMPT: dict[str, object] = {
    "bytes_left": 0,
    "deployment": "small",
    "digest": "sha256:" + "a" * 64,
    "egress": None,
    "error": "",
    "input_tokens": 812,
    "measured": True,
    "model": "qwen3-4b",
    "outcome": "complete",
    "output_tokens": 96,
    "reason": "confident",
    "verdict": "accept",
    "zone": "device",
}
DETAIL: dict[str, object] = {
    "attempts": [ATTEMPT],
    "bytes_left": 0,
    "config": "sha256:" + "b" * 64,
    "label": {"level": "internal", "kinds": [], "zones": ["world"], "readers": None, "trusted": True},
    "outcome": "complete",
    "route": "auto",
    "task": "chat",
}


def record(number: int, tenant: str = "acme") -> AuditRecord:
    """About what a request leaves: 600 bytes."""
    return AuditRecord(
        event="request", unix_ms=CLOCK.unix_ms(), tenant=tenant, request_id=f"0190a1b2-{number:08x}", detail=DETAIL
    )


def open_log(folder: Path) -> TransparencyLog:
    return TransparencyLog.open(folder, origin=f"bench/{folder.name}", clock=CLOCK)


async def durable_appends(logs: Sequence[TransparencyLog], entries: int) -> tuple[float, float]:
    """Appends a second where each of 256 clients waits for the medium, and processor time of one in µs."""
    numbers = iter(range(entries))

    async def client(log: TransparencyLog) -> None:
        for number in numbers:
            await log.durable(log.append(record(number)))

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client(logs[place % len(logs)]) for place in range(CLIENTS)))
    return entries / (time.perf_counter() - wall), (time.process_time() - cpu) / entries * 1e6


async def added(log: TransparencyLog, requests: int) -> tuple[list[float], list[float]]:
    """Milliseconds that ``append`` took on the loop's thread, of processor time and by the clock, sorted.

    At up to 1,000 requests a second. What else runs on the machine is in the second only.
    """
    took: list[tuple[float, float]] = []
    sealing = asyncio.create_task(_seal(log))
    for number in range(requests):
        each = record(number)
        start, cpu = time.perf_counter(), time.thread_time()
        log.append(each)
        took.append(((time.thread_time() - cpu) * 1e3, (time.perf_counter() - start) * 1e3))
        await asyncio.sleep(0.001)
    sealing.cancel()
    used, waited = zip(*took[WARM:], strict=True)
    return sorted(used), sorted(waited)


async def _seal(log: TransparencyLog) -> None:
    while True:
        await asyncio.sleep(1.0)
        await log.checkpoint()


def per_call_us(call: object, times: int) -> float:
    """Processor time of one call in µs."""
    assert callable(call)
    for number in range(WARM):
        call(number)
    start = time.process_time()
    for number in range(times):
        call(number)
    return (time.process_time() - start) / times * 1e6


def share(values: Sequence[float], quantile: float) -> float:
    return values[min(len(values) - 1, int(len(values) * quantile))]


def measure(folder: Path, entries: int) -> list[Bar]:
    """Everything; prints figures that have no bar."""
    log = open_log(folder / "one")
    rate, cpu_us = asyncio.run(durable_appends([log], entries))
    waits = asyncio.run(_one_wait(log))
    print(f"durable append: {cpu_us:.0f} µs of processor time; alone it waits {waits:.2f} ms for the medium (median)")
    took, waited = asyncio.run(added(log, 5_000))
    for what, values in (("of processor time", took), ("by the clock", waited)):
        median, high = share(values, 0.5) * 1e3, share(values, 0.99) * 1e3
        print(f"append on a request's thread, {what}: median {median:.0f} µs, p99 {high:.0f} µs")
    filled = log.size
    try:
        for number in range(max(0, 100_000 - filled)):
            log.append(record(number))
            if number % 1_000 == 0:
                asyncio.run(log.checkpoint())
    except AuditUnwritable as error:
        print(f"only {log.size} entries: {error}")
    log.close()

    start, cpu = time.perf_counter(), time.process_time()
    verified = verify_folder(folder / "one").entries
    wall_rate, cpu_rate = verified / (time.perf_counter() - start), verified / (time.process_time() - cpu)
    print(f"verified: {wall_rate:,.0f} entries a second by the clock")

    many = [open_log(folder / f"tenant-{number}") for number in range(TENANTS)]
    apart, apart_us = asyncio.run(durable_appends(many, entries))
    for each in many:
        each.close()
    print(f"one log: {rate:,.0f} durable appends a second; {TENANTS} logs: {apart:,.0f}, {apart_us:.0f} µs each")

    keys = SubjectKeys(folder / "keys", CLOCK)
    bodies = SealedBodies(folder / "bodies", keys)

    def commit(number: int) -> str:
        return keys.commit(BODY, tenant="acme", subject="key-1", record=f"r-{number}")

    def seal(number: int) -> None:
        bodies.keep(BODY, tenant="acme", subject="key-1", record=f"r-{number}", commitment="c0ffee")

    print(
        f"a body of 4 KiB that leaves: commitment {per_call_us(commit, 5_000):.0f} µs, sealing {per_call_us(seal, 5_000):.0f} µs"
    )
    return [
        Bar(what="durable appends", measured=rate, needed=5_000, is_floor=True, unit="/s", digits=0),
        Bar(
            what="added to a request by processor time, p99",
            measured=share(took, 0.99),
            needed=1.0,
            unit=" ms",
            digits=3,
        ),
        Bar(
            what="entries verified, by processor time",
            measured=cpu_rate,
            needed=100_000,
            is_floor=True,
            unit="/s",
            digits=0,
        ),
    ]


async def _one_wait(log: TransparencyLog) -> float:
    waits: list[float] = []
    for number in range(200):
        start = time.perf_counter()
        await log.durable(log.append(record(number)))
        waits.append((time.perf_counter() - start) * 1e3)
    return share(sorted(waits), 0.5)


def main(arguments: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(description="The audit log under load.")
    options.add_argument("--entries", type=int, default=50_000, help="appends a measurement")
    options.add_argument("--folder", type=Path, help="where to write; the medium that counts")
    chosen = options.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        bars = measure(Path(folder), chosen.entries)
    for bar in bars:
        print(
            f"{bar.what}: {bar.measured:,.{bar.digits}f}{bar.unit}, needed {bar.needed:,.0f}{bar.unit}: {bar.verdict}"
        )
    return 0 if all(bar.holds for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
