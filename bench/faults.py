"""Live faults: clients that leave, stall, flood or lie, and upstreams that fail, against a Freehold of its own.

    python -m bench.faults [--quick] [--write]

The bars: who leaves is noticed upstream within 50 ms; who does not read costs at most 8 MB; a body of 200 MB is refused
for at most 20 MB; a slow head is closed within 10 s; everything ambiguous is a 4xx; nothing kills the process. Then
behave.py of the shared rig (see bench/gateway.py for where it is): what is kept, what is passed on, what looks broken.
Ends with 1 where a bar does not hold.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.bars import Bar, all_of, bar_table, summary
from bench.behaviour import bars_of
from bench.house import MOCK_PORT, MODEL, built_rig, end_in_order, machine, require_free, running, set_up, write_section
from tests.servers.http import Exchange
from tests.servers.openai_server import OpenAIServer, event
from tests.support.http1 import FRAMING, PATH
from tests.support.server import Gateway, eventually
from tests.support.server import running as gateway_running
from tests.support.upstream import in_thread

LEAVE_MAX_MS = 50.0
STALLED_MAX_MB = 8.0
BODY_MAX_MB = 20.0
BODY_BYTES = 200_000_000
SLOW_HEAD_MAX_S = 10.0
STALL_S = 3.0
MB = 1_000_000
PIECE = b"a" * 16_000

ROUTES = """[server]
port = 0
drain_s = 2

[deployments.upstream]
engine = "openai"
model = "scripted"
zone = "device"
base_url = "{base_url}"

[routes.relayed]
deployments = ["upstream"]
signals = false
stream = "commit"

[routes.measured]
deployments = ["upstream"]
stream = "commit"
"""
"""Both ways of an answer: untouched, and looked into."""


class FloodingServer(OpenAIServer):
    """Streams without an end and without a pause where it is asked for ``flood``.

    Attributes:
        flooded_bytes: How much it got rid of.
    """

    flooded_bytes = 0

    async def _stream(self, exchange: Exchange, mode: str) -> None:
        if mode != "flood":
            await super()._stream(exchange, mode)
            return
        await exchange.start()
        choice = {"index": 0, "delta": {"content": PIECE.decode()}, "finish_reason": None}
        piece = event({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})
        while True:
            await exchange.send(piece)
            self.flooded_bytes += len(piece)


def head_of(gateway: Gateway, length: str, fields: str = "") -> bytes:
    """The head of a good call."""
    return (
        f"POST {PATH.decode()} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {gateway.key}\r\n"
        f"Content-Type: application/json\r\n{fields}{length}\r\n\r\n"
    ).encode()


def call(gateway: Gateway, text: str, model: str, *, stream: bool, fields: str = "") -> bytes:
    """A good call."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}).encode()
    return head_of(gateway, f"Content-Length: {len(body)}", fields) + body


def to_the_end(connection: socket.socket) -> bytes:
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    return received


def status_of(gateway: Gateway, raw: bytes) -> int:
    """Of the answer to these bytes; 0 if there is none."""
    with socket.create_connection(gateway.address, timeout=15) as connection:
        connection.sendall(raw)
        received = to_the_end(connection)
    return int(received.split(b" ", 2)[1]) if received.startswith(b"HTTP/1.1 ") else 0


def leaves(gateway: Gateway, upstream: FloodingServer, moment: str, model: str) -> float | None:
    """Milliseconds from a client's departure to the end of the upstream's connection."""
    mode, stream = {
        "before the first token": ("silent", True),
        "in mid-stream": ("stall", True),
        "whole": ("silent", False),
    }[moment]
    before = len(upstream.exchanges)
    connection = socket.create_connection(gateway.address, timeout=10)
    connection.sendall(call(gateway, mode, model, stream=stream))
    exchange = eventually(lambda: upstream.exchanges[before:], what="the call to the upstream")[0]
    received = b""
    while moment == "in mid-stream" and b'"content":"It"' not in received.replace(b'": "', b'":"'):
        received += connection.recv(65_536)
    left_s = time.monotonic()
    connection.close()
    eventually(exchange.gone.is_set, what="the end of the upstream's connection")
    return (exchange.gone_s - left_s) * 1000


def departures(gateway: Gateway, upstream: FloodingServer, times: int) -> list[Bar]:
    """Clients that leave at four moments; the slowest of ``times`` counts."""
    bars = []
    for moment in ("before the first token", "in mid-stream", "whole"):
        for model in ("relayed", "measured"):
            taken = [leaves(gateway, upstream, moment, model) for _ in range(times)]
            what = "while it waits for a whole answer" if moment == "whole" else f"of a stream {moment}"
            what = f"client leaves {what} ({model}): upstream closed, slowest of {times}"
            what += f" (median {statistics.median(taken):.1f} ms)"
            bars.append(Bar(what=what, measured=max(taken), needed=LEAVE_MAX_MS, unit=" ms", digits=1))
    before, known = len(upstream.exchanges), _descriptors(gateway)
    for _ in range(times):
        with socket.create_connection(gateway.address, timeout=10) as connection:
            connection.sendall(call(gateway, "hello", "relayed", stream=True)[:-20])
    left_s = time.monotonic()
    eventually(lambda: _descriptors(gateway) <= known, what="the end of the connections")
    took_ms = (time.monotonic() - left_s) * 1000
    what = f"client leaves before its body ends, {times} times: all forgotten"
    bars.append(Bar(what=what, measured=took_ms, needed=LEAVE_MAX_MS, unit=" ms", digits=1))
    asked_for = len(upstream.exchanges) - before
    bars.append(Bar(what="… and calls that reached the upstream", measured=asked_for, needed=0, digits=0))
    return bars


def _descriptors(gateway: Gateway) -> int:
    return sum(1 for _ in Path(f"/proc/{gateway.pid}/fd").iterdir())


def stalled_reader(gateway: Gateway, upstream: FloodingServer, model: str, stalls: int = 1) -> Bar:
    """Memory that clients cost who read nothing of an answer without an end."""
    status_of(gateway, call(gateway, "hello", model, stream=True, fields="Connection: close\r\n"))
    flooded, before, most = upstream.flooded_bytes, gateway.resident_bytes(), 0
    connections = [socket.socket() for _ in range(stalls)]
    for connection in connections:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.connect(gateway.address)
        connection.sendall(call(gateway, "flood", model, stream=True))
    until_s = time.monotonic() + STALL_S
    while time.monotonic() < until_s:
        most = max(most, gateway.resident_bytes())
        time.sleep(0.01)
    for connection in connections:
        connection.close()
    eventually(
        lambda: all(each.finished.is_set() for each in upstream.exchanges[-stalls:]), what="the end of the flood"
    )
    sent = (upstream.flooded_bytes - flooded) / MB
    what = f"client reads nothing for {STALL_S:.0f} s of a flood ({model}; {sent:.1f} MB left the upstream): memory"
    return Bar(what=what, measured=(most - before) / MB, needed=STALLED_MAX_MB, unit=" MB")


def large_bodies(gateway: Gateway) -> list[Bar]:
    """A body far above the limit, announced and in chunks."""
    bars = []
    framings = {"announced": f"Content-Length: {BODY_BYTES}", "in chunks": "Transfer-Encoding: chunked"}
    for name, framing in framings.items():
        before, peak = gateway.resident_bytes(), gateway.peak_bytes()
        received = _flood(gateway, head_of(gateway, framing), chunked=name == "in chunks")
        grown = max(gateway.resident_bytes() - before, gateway.peak_bytes() - max(peak, before))
        told = received.startswith(b"HTTP/1.1 413 ")
        bars.append(all_of(f"body of 200 MB, {name}: 413", int(told), 1))
        what = f"body of 200 MB, {name}: memory"
        bars.append(Bar(what=what, measured=grown / MB, needed=BODY_MAX_MB, unit=" MB"))
    return bars


def _pieces(*, chunked: bool) -> Iterator[bytes]:
    piece = b" " * MB
    return (b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece for _ in range(BODY_BYTES // MB))


def _flood(gateway: Gateway, head: bytes, *, chunked: bool) -> bytes:
    """Send as long as it is taken, as a client that listens meanwhile; what it was told."""
    pieces, received, unsent = _pieces(chunked=chunked), b"", head
    with socket.create_connection(gateway.address, timeout=10) as connection:
        connection.setblocking(False)
        while True:
            unsent = unsent or next(pieces, b"")
            readable, writable, _ = select.select([connection], [connection] if unsent else [], [], 15)
            if not readable and not writable:
                return received
            try:
                if readable:
                    if not (piece := connection.recv(65_536)):
                        return received
                    received += piece
                elif writable:
                    unsent = unsent[connection.send(unsent) :]
            except ConnectionError:
                return received


class SlowHead(threading.Thread):
    """A client that sends a byte of its head each half second.

    Attributes:
        closed_s: From its first byte to the end of the server's sending side.
    """

    def __init__(self, gateway: Gateway) -> None:
        super().__init__()
        self._gateway = gateway
        self.closed_s: float | None = None

    def run(self) -> None:
        head = head_of(self._gateway, "Content-Length: 2")
        with socket.create_connection(self._gateway.address, timeout=30) as connection:
            began_s = time.monotonic()
            for number in range(60):
                connection.sendall(head[number : number + 1])
                if select.select([connection], [], [], 0.5)[0]:
                    to_the_end(connection)
                    self.closed_s = time.monotonic() - began_s
                    return


_USER = b'{"model":"relayed","messages":[{"role":"user","content":"hello"}]'
JSON_CASES: dict[str, bytes] = {
    "100,000 nested arrays": b'{"model":"relayed","messages":' + b"[" * 100_000,
    "NaN": _USER + b',"temperature":NaN}',
    "1e999": _USER + b',"temperature":1e999}',
    "invalid UTF-8": _USER + b',"user":"\xff"}',
    "lone surrogate": _USER + b',"user":"\\ud800"}',
    "model twice": _USER + b',"model":"measured"}',
    "max_tokens of 400 digits": _USER + b',"max_tokens":' + b"9" * 400 + b"}",
    "no role": b'{"model":"relayed","messages":[{"content":"hello"}]}',
    "messages: 7": b'{"model":"relayed","messages":7}',
    "messages: [7]": b'{"model":"relayed","messages":[7]}',
    "empty body": b"",
    "list at the top": b"[" + _USER + b"}]",
    "byte order mark": b"\xef\xbb\xbf" + _USER + b"}",
}


def ambiguous(gateway: Gateway, upstream: FloodingServer) -> list[Bar]:
    """Framing and JSON that may be read in two ways."""
    before = len(upstream.exchanges)
    framing = {name: status_of(gateway, raw) for name, (_, raw) in FRAMING.items()}
    bodies = {
        name: status_of(gateway, head_of(gateway, f"Content-Length: {len(body)}", "Connection: close\r\n") + body)
        for name, body in JSON_CASES.items()
    }
    bars = []
    for what, statuses in (("framing", framing), ("JSON", bodies)):
        wrong = {name: status for name, status in statuses.items() if not 400 <= status < 500}
        named = f" (not: {wrong})" if wrong else ""
        bars.append(all_of(f"{what} cases that are a 4xx{named}", len(statuses) - len(wrong), len(statuses)))
    reached = len(upstream.exchanges) - before
    return [*bars, Bar(what="… and of these reached the upstream", measured=reached, needed=0, digits=0)]


def upstream_faults(gateway: Gateway) -> list[Bar]:
    """Answers that break: none may look whole."""
    whole = []
    modes = ("cut", "no-end", "garbage", "error-first", "error-event", "html", "500", "429", "context")
    for model in ("relayed", "measured"):
        for mode in modes:
            with socket.create_connection(gateway.address, timeout=15) as connection:
                connection.sendall(call(gateway, mode, model, stream=True, fields="Connection: close\r\n"))
                received = to_the_end(connection)
            is_stream = received.startswith(b"HTTP/1.1 200 ")
            if b"[DONE]" in received or (is_stream and received.endswith(b"0\r\n\r\n")):
                whole.append(f"{mode} ({model})")
    named = f" (not: {', '.join(whole)})" if whole else ""
    count = 2 * len(modes)
    return [all_of(f"failures of the upstream that do not look whole{named}", count - len(whole), count)]


def survives(gateway: Gateway) -> list[Bar]:
    """After all of it the same process answers, and nothing unforeseen was logged."""
    good = status_of(gateway, call(gateway, "hello", "relayed", stream=False, fields="Connection: close\r\n"))
    lives = gateway.process.poll() is None and good == 200
    unforeseen = gateway.log.count("Traceback")
    return [
        all_of("the process is the same and answers", int(lives), 1),
        Bar(what="tracebacks in its log", measured=unforeseen, needed=0, digits=0),
    ]


def live(folder: Path, options: argparse.Namespace) -> list[Bar]:
    """All faults against one gateway."""
    with (
        in_thread(FloodingServer()) as upstream,
        gateway_running(ROUTES.format(base_url=upstream.base_url), folder) as gateway,
    ):
        for model in ("relayed", "measured"):
            status_of(gateway, call(gateway, "hello", model, stream=True, fields="Connection: close\r\n"))
        slow = SlowHead(gateway)
        slow.start()
        bars = departures(gateway, upstream, 5 if options.quick else 20)
        bars += [stalled_reader(gateway, upstream, model) for model in ("relayed", "measured")]
        bars += large_bodies(gateway)
        bars += ambiguous(gateway, upstream)
        bars += upstream_faults(gateway)
        slow.join()
        what = "head that comes a byte each half second: closed"
        bars.append(Bar(what=what, measured=slow.closed_s, needed=SLOW_HEAD_MAX_S, unit=" s"))
        return bars + survives(gateway)


def behaviour(rig: Path, build: Path, folder: Path) -> list[Bar]:
    """The shared rig's behave.py, against Freehold."""
    setup = set_up(folder)
    with running(setup, core=None):
        pass  # the first start makes the key that the client sends
    out = folder / "behave.jsonl"
    command = [sys.executable, str(rig / "behave.py"), "--build", str(build), "--out", str(out), "--only", "freehold"]
    command += ["--add", "freehold", str(setup.port), setup.shell_line()]
    command += ["--add-model", MODEL, "--add-header", setup.header]
    subprocess.run(command, cwd=folder, check=False, stdout=sys.stderr)
    result: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {"error": "it did not run"}
    if "error" in result:
        raise SystemExit(f"behave.py failed: {result['error']}")
    return bars_of(result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--no-behave", action="store_true", help="without the shared rig")
    parser.add_argument("--write", action="store_true", help="put the result into docs/benchmarks.md")
    options = parser.parse_args()
    end_in_order()
    rig = None if options.no_behave else built_rig()
    if rig is not None:
        require_free([MOCK_PORT])
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "live").mkdir()
        bars = live(Path(name) / "live", options)
        if rig is not None:
            bars += behaviour(*rig, Path(name))
    text = f"`just bench-faults`, {machine()}.\n\n{bar_table(bars)}\n"
    print(text)
    print(summary(bars))
    if options.write:
        write_section("Faults", text)
    sys.exit(not all(bar.holds for bar in bars))


if __name__ == "__main__":
    main()
