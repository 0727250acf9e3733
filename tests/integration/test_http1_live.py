"""The server's protocol over real sockets: refusals that arrive, clients that are slow, greedy, deaf or gone."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Authority
from tests.support.http1 import FRAMING, PATH, request
from tests.support.server import eventually

ROOT = Path(__file__).parents[2]
STALLED_GROWTH_MAX_BYTES = 8_000_000
BODY_GROWTH_MAX_BYTES = 20_000_000
BIG_BODY_BYTES = 200_000_000
MIB = 1 << 20


@dataclass
class Live:
    """A server that runs."""

    address: tuple[str, int]
    process: subprocess.Popen[bytes]

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=10)

    def state(self) -> dict[str, Any]:
        with self.connect() as connection:
            connection.sendall(b"GET /state HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return json.loads(to_the_end(connection).partition(b"\r\n\r\n")[2])

    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serving(*arguments: str, **limits: float) -> Generator[Live]:
    command = [sys.executable, "-m", "tests.support.http1_server", json.dumps(limits), *arguments]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], 30)
            assert ready, "the server did not start"
            yield Live(("127.0.0.1", int(process.stdout.readline())), process)
            assert process.poll() is None, "the server died"
        finally:
            process.send_signal(signal.SIGKILL)


@pytest.fixture(scope="module")
def server() -> Generator[Live]:
    with serving() as live:
        yield live


def to_the_end(connection: socket.socket) -> bytes:
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    return received


def answer(connection: socket.socket) -> bytes:
    """One answer with a length, on a connection that stays."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: "))
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


@pytest.mark.parametrize("case", FRAMING)
def test_ambiguous_requests_are_refused_and_the_client_reads_why(server: Live, case: str) -> None:
    status, raw = FRAMING[case]
    with server.connect() as connection:
        connection.sendall(raw)
        received = to_the_end(connection)
    assert received.startswith(b"HTTP/1.1 %d " % status)
    assert json.loads(received.partition(b"\r\n\r\n")[2])["error"]["message"]


def test_a_good_request_after_all_of_these(server: Live) -> None:
    with server.connect() as connection:
        for number in range(3):
            connection.sendall(request(b"%d" % number))
            assert answer(connection).endswith(b"\r\n\r\n%d" % number)
    assert server.state()["tasks"] == 0


def test_expected_bodies_are_asked_for(server: Live) -> None:
    with server.connect() as connection:
        connection.sendall(request(b"{}", fields=b"Expect: 100-continue\r\n")[:-2])
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert answer(connection).endswith(b"\r\n\r\n{}")


def test_kept_connections_do_not_wait_to_send(server: Live) -> None:
    with server.connect() as connection:
        for _ in range(2):
            connection.sendall(request())
            answer(connection)
        assert server.state()["nodelay"] == [True, True]


@pytest.mark.parametrize("sent", [b"", b"POST /v1", request()[:-2], request(b"a" * 100_000)[:500]])
def test_slow_clients_are_told_so_in_time(sent: bytes) -> None:
    with serving(head_s=0.4, body_grace_s=0.4, linger_s=0.4) as live, live.connect() as connection:
        begun_s = time.monotonic()
        connection.sendall(sent)
        received = to_the_end(connection)
        assert time.monotonic() - begun_s < 2
        assert received.startswith(b"HTTP/1.1 408 ")
        eventually(lambda: live.state()["connections"] == 1, what="the end of the connection")
        assert live.state()["tasks"] == 0


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_a_client_that_leaves_is_noticed(server: Live, how: str) -> None:
    before = server.state()["gone"]
    connection = server.connect()
    connection.sendall(request(fields=b"X-Do: wait\r\n"))
    eventually(lambda: server.state()["tasks"] == 1, what="the call")
    if how == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    eventually(lambda: server.state()["gone"] > before, what="the departure")
    eventually(lambda: server.state()["tasks"] == 0, what="the end of the call")
    assert server.state()["gone"] == before + 1


def test_a_client_that_does_not_read_fills_nothing_and_is_dropped() -> None:
    with serving(stall_s=1.0) as live:
        live.state()
        before = live.resident_bytes()
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.connect(live.address)
        connection.sendall(request(fields=b"X-Do: flood\r\n"))
        eventually(lambda: live.state()["tasks"] == 1, what="the call")
        most = 0

        def dropped() -> bool:
            nonlocal most
            most = max(most, live.resident_bytes())
            return live.state()["gone"] == 1

        eventually(dropped, what="the end of the stalled connection")
        print(f"memory grew by {most - before:,} bytes")
        assert most - before <= STALLED_GROWTH_MAX_BYTES
        eventually(lambda: live.state()["tasks"] == 0, what="the end of the call")
        with pytest.raises(ConnectionResetError):
            to_the_end(connection)
        connection.close()


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_a_broken_stream_is_seen_to_be_broken(server: Live, version: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(request(fields=b"X-Do: break\r\n", version=version))
        if version == b"1.0":
            with pytest.raises(ConnectionResetError):
                to_the_end(connection)
        else:
            received = to_the_end(connection)
            assert received.endswith(b"a\r\n")
            assert not received.endswith(b"0\r\n\r\n")


def _pieces(*, chunked: bool) -> Iterator[bytes]:
    piece = b"a" * MIB
    for _ in range(BIG_BODY_BYTES // MIB + 1):
        yield b"%x\r\n%b\r\n" % (MIB, piece) if chunked else piece


def _send_and_listen(connection: socket.socket, head: bytes, pieces: Iterator[bytes]) -> bytes:
    """Send as long as the server takes it, as a client that listens meanwhile; what it said."""
    connection.sendall(head)
    connection.setblocking(False)
    received, unsent = b"", b""
    while True:
        unsent = unsent or next(pieces, b"")
        readable, writable, _ = select.select([connection], [connection] if unsent else [], [], 10)
        assert readable or writable, "the server neither takes more nor says anything"
        if readable:
            piece = connection.recv(65_536)
            received += piece
            if not piece:
                return received
        elif writable:
            unsent = unsent[connection.send(unsent) :]


@pytest.mark.parametrize("framing", [b"Content-Length: %d" % BIG_BODY_BYTES, b"Transfer-Encoding: chunked"])
def test_a_body_of_200_mb_is_refused_and_the_client_reads_why(server: Live, framing: bytes) -> None:
    server.state()
    before = server.resident_bytes()
    with server.connect() as connection:
        head = b"POST %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n\r\n" % (PATH, framing)
        received = _send_and_listen(connection, head, _pieces(chunked=framing.startswith(b"T")))
    growth = server.resident_bytes() - before
    print(f"memory grew by {growth:,} bytes")
    assert received.startswith(b"HTTP/1.1 413 ")
    assert received.endswith(b"FH-REQUEST-003")
    assert growth <= BODY_GROWTH_MAX_BYTES


def test_a_flood_of_idle_connections_leaves_health_and_administration_alone() -> None:
    with serving(connections=20, reserve=4) as live:
        idle = [live.connect() for _ in range(20)]
        for connection in idle:
            connection.sendall(request())
            answer(connection)
        assert live.state()["connections"] == 21
        with live.connect() as connection:
            connection.sendall(request())
            assert to_the_end(connection).startswith(b"HTTP/1.1 503 ")
        for connection in idle:
            connection.close()
        eventually(lambda: live.state()["connections"] == 1, what="the end of the idle connections")
        with live.connect() as connection:
            connection.sendall(request())
            assert answer(connection).startswith(b"HTTP/1.1 200 ")


def test_over_tls_it_is_the_same(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path)
    _, chain = authority.server("127.0.0.1")
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.load_verify_locations(authority.ca_file)
    with serving(chain, str(Path(chain).with_suffix(".key")), linger_s=0.5) as live:
        with trusting.wrap_socket(live.connect(), server_hostname="127.0.0.1") as connection:
            for number in range(2):
                connection.sendall(request(b"%d" % number))
                assert answer(connection).endswith(b"\r\n\r\n%d" % number)
            connection.sendall(request(b"a" * 2 * MIB)[:100_000])
            assert answer(connection).startswith(b"HTTP/1.1 413 ")
        with trusting.wrap_socket(live.connect(), server_hostname="127.0.0.1") as connection:
            connection.sendall(b"no request\r\n\r\n")
            assert answer(connection).startswith(b"HTTP/1.1 400 ")
