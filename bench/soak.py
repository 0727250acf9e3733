"""Does anything stay behind? 300,000 requests and 3,000 dropped streams, healthy and with a broken sink.

    python -m bench.soak [--quick] [--scenario plain] [--requests 300000] [--streams 3000] [--write]

Each scenario is a Freehold of its own on core 1; load and mock are on core 0. After a warm-up, windows of closed-loop
load: after each the resident set size (smaps_rollup) is read once nothing runs any more; least squares gives the slope for
100,000 requests and its error. Then streams are opened and dropped at three moments, half of them by a reset. At the end
descriptors and upstream connections must be what they were, within a second and again with the pool filled. Ends with 1
where a bar does not hold. ``--env MALLOC_ARENA_MAX=2`` sets something for the gateway.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bench.bars import Bar, Line, bar_table, fitted, markdown, summary
from bench.house import (
    CORE_IO,
    MOCK_PORT,
    MODEL,
    Setup,
    built_rig,
    connections_to,
    end_in_order,
    free_port,
    machine,
    mock,
    open_files,
    resident_kib,
    running,
    set_up,
    tree,
    until_idle,
    write_section,
)  # fmt: skip

WARM_UP_REQUESTS = 120_000
"""Until what is bounded is full: queues for broken sinks, SQLite's cache of pages (30,000 requests), and what the
allocators keep ready for a peak, which new peaks exceed ever more seldom. A leak goes on after that as before it."""
WINDOW_S = 3.0
CONNECTIONS = 64
REST_MAX_S = 20.0
GIVEN_BACK_S = 2.5
"""Freehold gives back what a burst took once no request has come for two seconds; a stalled disk makes a burst too."""
BACK_S = 1.0
SLOPE_MAX_KIB = 64.0
PER_REQUESTS = 100_000
TIME_LIMIT_S = 900.0
PROMPT = "Summarise the maintenance report for pump 7 and say whether it can run until the planned stop. " * 20
RESTING_S = 7.0
"""Longer than one attempt on a locked database and the pause before the next."""
SILENCE_MAX_S = 20.0
PROFILES = (f"{MOCK_PORT}:0:0:200", "9101:20000:10000:6000", "9102:400000:0:200")
"""A paced stream lasts a minute: even when this program gets no time for seconds, it drops one that is still going on."""
AT_ONCE, PACED, A_LITTLE_LATER = (f"@@P{number} " for number in range(3))
"""A marker in each prompt: without one the mock stays with what that connection was asked for last."""
SCENARIOS = {
    "plain": "nothing broken",
    "database-locked": "another connection holds BEGIN IMMEDIATE from before the warm-up to the end",
    "collector-dead": "otlp_endpoint is a port on which nobody listens",
}


class StreamEndedError(Exception):
    """A stream that was to be dropped was ended first."""


class Counts(NamedTuple):
    """What is open.

    Attributes:
        descriptors: Sockets and all else that is no file of the data folder.
        files: Of the data folder, but for the segment that the receipt journal has ready before it is needed.
        upstream: Connections to the upstream.
    """

    descriptors: int = 0
    files: int = 0
    upstream: int = 0

    def __str__(self) -> str:
        return f"{self.descriptors} and {self.files} files, {self.upstream} upstream"


def counted(opened: list[str], *, data: Path, upstream: int) -> Counts:
    """Sort what descriptors lead to."""
    files = [each for each in (one.removesuffix(" (deleted)") for one in opened) if Path(each).is_relative_to(data)]
    has_next = sum(each.endswith(".receipts") for each in files) == 2
    return Counts(len(opened) - len(files), len(files) - has_next, upstream)


@dataclass
class Soaked:
    """What a scenario gave."""

    name: str
    requests: int = 0
    failed: int = 0
    streams: int = 0
    seconds: float = 0.0
    memory_kib: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    line: Line | None = None
    stream_growth_kib: int = 0
    back_s: float | None = None
    before: Counts = field(default_factory=Counts)
    dropped: Counts = field(default_factory=Counts)
    refilled: Counts = field(default_factory=Counts)

    def bars(self, requests: int, streams: int) -> list[Bar]:
        slope = None if self.line is None else self.line.slope
        return [
            Bar(what=f"{self.name}: requests", measured=self.requests, needed=requests, is_floor=True, digits=0),
            Bar(what=f"{self.name}: dropped streams", measured=self.streams, needed=streams, is_floor=True, digits=0),
            Bar(what=f"{self.name}: requests that failed", measured=self.failed, needed=0, digits=0),
            Bar(
                what=f"{self.name}: memory for {PER_REQUESTS:,} requests",
                measured=slope, needed=SLOPE_MAX_KIB, unit=" KiB", digits=1,
            ),
            Bar(
                what=f"{self.name}: descriptors and upstream connections back after the last dropped stream",
                measured=self.back_s, needed=BACK_S, unit=" s",
            ),
            Bar(
                what=f"{self.name}: descriptors more than before, pool filled",
                measured=self.refilled.descriptors - self.before.descriptors, needed=0, digits=0,
            ),
            Bar(
                what=f"{self.name}: open files of the data folder more than before",
                measured=self.refilled.files - self.before.files, needed=0, digits=0,
            ),
            Bar(
                what=f"{self.name}: upstream connections more than before, pool filled",
                measured=self.refilled.upstream - self.before.upstream, needed=0, digits=0,
            ),
        ]  # fmt: skip


class Site:
    """A Freehold under load."""

    def __init__(self, build: Path, setup: Setup, pid: int) -> None:
        self._build, self._setup = build, setup
        self.pids = tree(pid)
        self._body = setup.folder / "body.json"
        self._body.write_bytes(request_body(AT_ONCE + PROMPT))

    def window(self, seconds: float) -> tuple[int, int]:
        """Load in a closed loop: how many requests were answered, and how many failed."""
        command = [
            "taskset", "-c", CORE_IO, str(self._build / "load"), "-a", f"127.0.0.1:{self._setup.port}",
            "-u", "/v1/chat/completions", "-b", str(self._body), "-c", str(CONNECTIONS), "-t", str(seconds), "-w", "0",
            "-H", self._setup.header,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 30)
        if done.returncode:
            raise SystemExit(f"The load ended with {done.returncode}: {done.stderr[-500:]}")
        told = json.loads(done.stdout)
        return told["ok"], told["err"]

    def counts(self) -> Counts:
        return counted(open_files(self.pids), data=self._setup.data, upstream=connections_to(MOCK_PORT))

    def resting_counts(self) -> Counts:
        """The least of each in a second, and of files for longer: who tries a broken sink again opens them for as long."""
        began_s, seen, files = time.monotonic(), [self.counts()], set[int]()
        while (took_s := time.monotonic() - began_s) < RESTING_S:
            time.sleep(0.05)
            now = self.counts()
            files.add(now.files)
            if took_s < BACK_S:
                seen.append(now)
        return Counts(min(each.descriptors for each in seen), min(files), min(each.upstream for each in seen))

    def rest(self) -> None:
        """Let it write what it still has to."""
        if not until_idle(self.pids, within_s=REST_MAX_S):
            print(f"still busy after {REST_MAX_S:.0f} s", file=sys.stderr, flush=True)

    def settled_memory_kib(self) -> int:
        time.sleep(GIVEN_BACK_S)
        return resident_kib(self.pids)

    def fill_pool(self) -> None:
        """As many whole requests at once as the load has connections, so that as many upstream connections are kept."""
        asyncio.run(self._fill())
        self.rest()

    async def _fill(self) -> None:
        raw = self._request(request_body(A_LITTLE_LATER + PROMPT), "Connection: close\r\n")
        statuses = await asyncio.gather(*(_whole(self._setup.port, raw) for _ in range(CONNECTIONS)))
        if set(statuses) != {200}:
            raise SystemExit(f"Freehold answered {sorted(set(statuses))} where 200 was due.")

    def drop_streams(self, count: int) -> None:
        """Open streams, ``CONNECTIONS`` at a time, and leave each."""
        raw = self._request(request_body(PACED + PROMPT, stream=True))
        try:
            asyncio.run(dropped(self._setup.port, raw, count))
        except StreamEndedError as error:
            raise SystemExit(str(error)) from None

    def _request(self, body: bytes, fields: str = "") -> bytes:
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n{self._setup.header}\r\n"
            f"Content-Type: application/json\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def request_body(prompt: str, *, stream: bool = False) -> bytes:
    body = {"model": MODEL, "messages": [{"role": "user", "content": prompt}], "stream": stream}
    return json.dumps(body, separators=(",", ":")).encode()


async def _whole(port: int, raw: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    received = await reader.read()
    writer.close()
    return int(received.split(b" ", 2)[1])


async def dropped(port: int, raw: bytes, count: int) -> None:
    """Open streams and leave them, ``CONNECTIONS`` at a time.

    Raises:
        StreamEndedError: One was ended, or refused.
    """
    numbers = iter(range(count))

    async def client() -> None:
        for number in numbers:
            await _drop(port, raw, number)

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))


async def _drop(port: int, raw: bytes, number: int) -> None:
    """Leave before the first token, after the first piece, or in mid-stream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        received = b""
        for _ in range((0, 1, 8)[number % 3]):
            piece = await _piece(reader)
            received += piece
            if not piece or not received.startswith(b"HTTP/1.1 200 ") or b"[DONE]" in received:
                raise StreamEndedError(f"Stream {number} was to go on. Freehold sent {_ends_of(received)}.")
        if number % 3 == 0:
            await asyncio.sleep(0.005 * (number % 4))
        if number % 2:
            connection: socket.socket = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
    finally:
        writer.close()


async def _piece(reader: asyncio.StreamReader) -> bytes:
    """What came; nothing at the end, or after a long silence."""
    try:
        async with asyncio.timeout(SILENCE_MAX_S):
            return await reader.read(65_536)
    except TimeoutError:
        return b""


def _ends_of(received: bytes) -> str:
    return repr(received) if len(received) < 2_000 else f"{received[:1_000]!r} … {received[-1_000:]!r}"


@contextlib.contextmanager
def broken(scenario: str, setup: Setup) -> Generator[None]:
    """What the scenario breaks while the server runs."""
    if scenario != "database-locked":
        yield
        return
    other = sqlite3.connect(setup.data / "freehold.db", isolation_level=None, timeout=30)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


def soak(site: Site, soaked: Soaked, options: argparse.Namespace) -> None:
    """Warm up, load in windows, drop streams, look what is left."""
    until_s = time.monotonic() + TIME_LIMIT_S
    warm = 0
    while warm < options.warm_up and time.monotonic() < until_s:
        warm += site.window(WINDOW_S)[0]
    site.fill_pool()
    soaked.before = site.resting_counts()
    soaked.memory_kib.append((0, site.settled_memory_kib()))
    while soaked.requests < options.requests and time.monotonic() < until_s:
        answered, failed = site.window(WINDOW_S)
        soaked.requests += answered
        soaked.failed += failed
        site.rest()
        soaked.memory_kib.append((soaked.requests, site.settled_memory_kib()))
    if len(soaked.memory_kib) > 2:
        line = fitted([count / PER_REQUESTS for count, _ in soaked.memory_kib], [kib for _, kib in soaked.memory_kib])
        soaked.line = line
    site.fill_pool()
    memory_kib = site.settled_memory_kib()
    site.drop_streams(options.streams)
    soaked.streams = options.streams
    ended_s = time.monotonic()
    while (took_s := time.monotonic() - ended_s) < 2 * BACK_S:
        soaked.dropped = site.counts()
        now, then = soaked.dropped, soaked.before
        if now.descriptors <= then.descriptors and now.upstream <= then.upstream:
            soaked.back_s = took_s
            break
        time.sleep(0.02)
    site.fill_pool()
    soaked.refilled = site.resting_counts()
    soaked.stream_growth_kib = site.settled_memory_kib() - memory_kib


def run_scenario(name: str, build: Path, options: argparse.Namespace) -> Soaked:
    soaked, began_s = Soaked(name), time.monotonic()
    more = f'\n[telemetry]\notlp_endpoint = "http://127.0.0.1:{free_port()}"\n' if name == "collector-dead" else ""
    with tempfile.TemporaryDirectory() as folder, mock(build, *PROFILES):
        setup = set_up(Path(folder), more=more, environment=dict(each.split("=", 1) for each in options.env))
        with running(setup) as process, broken(name, setup):
            soak(Site(build, setup, process.pid), soaked, options)
    soaked.seconds = time.monotonic() - began_s
    print(
        f"{name}: {soaked.requests:,} requests, {soaked.failed} failed, {soaked.streams:,} streams in"
        f" {soaked.seconds:.0f} s; descriptors: before {soaked.before}; streams dropped {soaked.dropped};"
        f" refilled {soaked.refilled}; KiB {[kib for _, kib in soaked.memory_kib]}",
        file=sys.stderr, flush=True,
    )  # fmt: skip
    return soaked


def report(results: list[Soaked], options: argparse.Namespace) -> tuple[str, list[Bar]]:
    """The page's section and the bars."""
    head = [
        "scenario",
        "requests",
        "failed",
        "MiB, start → end",
        "slope KiB per 100,000 requests",
        "dropped streams",
    ]
    head += ["memory after them, KiB", "back after", "descriptors", "files", "upstream connections"]
    rows = []
    for each in results:
        (_, first), (_, last) = each.memory_kib[0], each.memory_kib[-1]
        slope = "–" if each.line is None else f"{each.line.slope:+.1f} ± {each.line.standard_error:.1f}"
        back = "not" if each.back_s is None else f"{each.back_s:.2f} s"
        pairs = zip(each.before, each.refilled, strict=True)
        row = [each.name, f"{each.requests:,}", str(each.failed), f"{first / 1024:.1f} → {last / 1024:.1f}", slope]
        row += [f"{each.streams:,}", f"{each.stream_growth_kib:+,}", back]
        rows.append([*row, *(f"{before} → {after}" for before, after in pairs)])
    bars = [bar for each in results for bar in each.bars(options.requests, options.streams)]
    told = "; ".join(f"{each.name}: {SCENARIOS[each.name]}" for each in results)
    text = (
        f"`just bench-soak`, {machine()}. {told}.\n\n{markdown(head, rows)}\n\n{bar_table(bars)}\n\n"
        f"Memory is the resident set size between windows of load on {CONNECTIONS} connections, after"
        f" {options.warm_up:,} requests of warm-up; the slope has its standard error. Streams are dropped before the"
        " first token, after it, or later, half of them by a reset. Descriptors and upstream connections were counted"
        f" with {CONNECTIONS} requests just answered, so that the pool is equally full both times.\n"
    )
    return text, bars


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS), help="only this one; may be repeated")
    parser.add_argument("--requests", type=int, default=300_000)
    parser.add_argument("--streams", type=int, default=3_000)
    parser.add_argument("--warm-up", type=int, default=WARM_UP_REQUESTS)
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="set for the gateway")
    parser.add_argument(
        "--quick", action="store_true", help="a tenth, after the same warm-up: for checking, not for numbers"
    )
    parser.add_argument("--write", action="store_true", help="put the result into docs/benchmarks.md")
    options = parser.parse_args()
    end_in_order()
    if options.quick:
        # Not of the warm-up: until bounded queues are full, memory rises where a sink is broken.
        options.requests //= 10
        options.streams //= 10
    _, build = built_rig()
    os.sched_setaffinity(0, {int(CORE_IO)})  # the client that drops streams stands beside the load
    results = [run_scenario(name, build, options) for name in options.scenario or SCENARIOS]
    text, bars = report(results, options)
    print(text)
    print(summary(bars))
    if options.write:
        write_section("Soak", text)
    sys.exit(not all(bar.holds for bar in bars))


if __name__ == "__main__":
    main()
