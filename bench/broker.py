"""What a broker of its own process costs: time added to a request and to each piece of its answer.

PYTHONPATH=. python bench/broker.py [--requests N] [--pieces N] [--rounds N]

Three processes: a scripted upstream that writes the moment into every piece, the broker, and this one, which asks by turns
through a client that connects itself and through one that goes by way of the broker. Both record their intent on disk first,
as the server does; the broker records its own besides. Moments are of one clock (CLOCK_MONOTONIC), so that a piece's age when
it is here is what both ways are compared by.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from freehold.audit.journal import Journal
from freehold.audit.log import TransparencyLog
from freehold.domain.egress import EgressIntent
from freehold.domain.ports import EgressJournal
from freehold.domain.zones import LAN
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.net.broker import Broker
from freehold.net.brokered.journal import BrokeredJournal
from freehold.net.brokered.way import Way
from freehold.net.client import HttpClient
from freehold.net.limits import HttpLimits

_PATH = "/v1/chat/completions"
_KEY = b"k" * 32
_STAMP_BYTES = 20
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_CONFIG = """
[deployments.office]
engine = "openai"
model = "scripted"
zone = "lan"
base_url = "{url}"
clearance = "internal"
slots = 16
[egress]
broker = "unix://{socket}"
"""


@dataclass(slots=True)
class OneWay:
    """One way of asking, and what it took.

    Attributes:
        journal: Gives permits.
        client: Sends.
        log: For commitments.
        permit_ms: From asking for a permit to having it.
        whole_ms: From there to the end of the answer.
        piece_us: Age of each piece when it was here.
    """

    journal: EgressJournal
    client: HttpClient
    log: TransparencyLog
    permit_ms: list[float] = field(default_factory=list[float])
    whole_ms: list[float] = field(default_factory=list[float])
    piece_us: list[float] = field(default_factory=list[float])

    async def ask(self, body: bytes) -> None:
        """One request."""
        began = time.monotonic_ns()
        intent = EgressIntent(
            request_id="bench",
            tenant="default",
            deployment="office",
            origin=self.client.origin,
            zone=LAN,
            label="internal",
            rules=("zone",),
            body_bytes=len(body),
            body_commitment=self.log.commit(body),
        )
        permit = await self.journal.permit(intent, body=body)
        self.permit_ms.append((time.monotonic_ns() - began) / 1e6)
        reply = await self.client.request(
            method="POST", path=_PATH, body=body, permit=permit, deadline_s=time.monotonic() + 60
        )
        rest = b""
        while piece := await reply.next_piece():
            now = time.monotonic_ns()
            rest += piece
            while len(rest) >= _STAMP_BYTES:
                self.piece_us.append((now - int(rest[:_STAMP_BYTES])) / 1e3)
                rest = rest[_STAMP_BYTES:]
        self.whole_ms.append((time.monotonic_ns() - began) / 1e6)
        self.journal.done(permit, request_id="bench", tenant="default", outcome="complete", bytes_sent=len(body))


async def upstream() -> None:
    """Answer as many stamped pieces as the body says, with a pause before each."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                asked = json.loads(await reader.readexactly(length))
                writer.write(_HEAD)
                for _ in range(asked["pieces"]):
                    await asyncio.sleep(asked["pause_s"])
                    stamp = b"%0*d" % (_STAMP_BYTES, time.monotonic_ns())
                    writer.write(b"%x\r\n%b\r\n" % (len(stamp), stamp))
                writer.write(b"0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def compare(url: str, socket: str, folder: Path, options: argparse.Namespace) -> tuple[OneWay, OneWay]:
    """Ask by turns."""
    clock = SystemClock()
    logs = [TransparencyLog.open(folder / name, origin=f"bench/{name}", clock=clock) for name in ("direct", "brokered")]
    journals = [Journal(log, clock, SystemIds(clock), _KEY) for log in logs]
    way = Way(f"unix://{socket}", clock=clock, limits=HttpLimits())
    brokers = [Broker(clock=clock, permit_key=_KEY), Broker(clock=clock, permit_key=_KEY, way=way)]
    clients = [each.client(name="office", base_url=url, zone=LAN) for each in brokers]
    both = OneWay(journals[0], clients[0], logs[0]), OneWay(BrokeredJournal(journals[1], way), clients[1], logs[1])
    short = json.dumps({"pieces": 1, "pause_s": 0, "pad": "x" * 600}).encode()
    long = json.dumps({"pieces": options.pieces, "pause_s": 0.002, "pad": "x" * 600}).encode()
    for each in both:  # connections, imports, first files
        await each.ask(short)
        await each.ask(short)
        each.permit_ms.clear()
        each.whole_ms.clear()
    for _ in range(options.rounds):
        for each in both:
            for _ in range(options.requests):
                await each.ask(short)
    for each in both:
        each.piece_us.clear()
    long_ones = [OneWay(each.journal, each.client, each.log, piece_us=each.piece_us) for each in both]
    for _ in range(options.rounds):
        for each in long_ones:
            await each.ask(long)
    for broker in brokers:
        await broker.close()
    for log in logs:
        log.close()
    return both


def quantile(values: list[float], share: float) -> float:
    """The value below which that share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report(direct: OneWay, brokered: OneWay) -> None:
    """Both, and the difference."""
    rows = (
        ("permit, ms", direct.permit_ms, brokered.permit_ms),
        ("request, ms", direct.whole_ms, brokered.whole_ms),
        ("a piece, µs", direct.piece_us, brokered.piece_us),
    )
    print("| what | from the server p50 / p95 | by the broker p50 / p95 | added p50 / p95 | n |")
    print("|---|---|---|---|---|")
    for name, one, other in rows:
        a, b = (quantile(one, 0.5), quantile(one, 0.95)), (quantile(other, 0.5), quantile(other, 0.95))
        print(
            f"| {name} | {a[0]:.2f} / {a[1]:.2f} | {b[0]:.2f} / {b[1]:.2f} | "
            f"{b[0] - a[0]:.2f} / {b[1] - a[1]:.2f} | {len(one)} + {len(other)} |"
        )
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--requests", type=int, default=50, help="requests a round and way")
    parser.add_argument("--pieces", type=int, default=200, help="pieces of a long answer, one a round and way")
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    if options.upstream:
        uvloop.run(upstream())
        return 0
    with ExitStack() as things:
        folder = Path(things.enter_context(tempfile.TemporaryDirectory(prefix="fhb-")))
        serving = subprocess.Popen([sys.executable, __file__, "--upstream"], stdout=subprocess.PIPE, text=True)
        things.callback(serving.kill)
        url = f"http://127.0.0.1:{int(serving.stdout.readline())}/v1" if serving.stdout is not None else ""
        socket, config = str(folder / "broker.sock"), folder / "freehold.toml"
        config.write_text(_CONFIG.format(url=url, socket=socket), encoding="utf-8")
        broker = subprocess.Popen(
            [sys.executable, "-m", "freehold", "broker", "--config", str(config), "--json"],
            stdout=subprocess.PIPE,
            env=os.environ | {"FREEHOLD_HOME": str(folder / "home")},
        )
        things.callback(broker.kill)
        if broker.stdout is not None:
            broker.stdout.readline()
        report(*uvloop.run(compare(url, socket, folder, options)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
