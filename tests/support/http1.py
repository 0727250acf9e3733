"""The server's protocol without a network: a transport in memory, an application that a test writes, raw requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from freehold.api.exchange import ClientLeft, Exchange
from freehold.api.http1 import FreeholdProtocol, protocol
from freehold.api.http1_limits import ServerLimits
from freehold.domain.errors.base import FreeholdError

PATH = b"/v1/chat/completions"
JSON = [(b"content-type", b"application/json")]
BODY_LIMIT_BYTES = 1 << 20


class App:
    """An application with a fast lane: ``serve`` answers inference, everything else is a view that says ``view``."""

    inference_paths = frozenset({PATH, b"/v1/embeddings"})

    def __init__(self, serve: Callable[[Exchange], Awaitable[None]] | None = None) -> None:
        self.serve = serve or echo
        self.seen: list[Any] = []
        self.scopes: list[dict[str, Any]] = []

    async def infer(self, exchange: Exchange) -> None:
        self.seen.append(exchange)
        try:
            await self.serve(exchange)
        except FreeholdError as error:
            exchange.reply(error.http_status, JSON, error.code.encode(), close=True)
        except ClientLeft:
            return

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"view"})


async def echo(exchange: Exchange) -> None:
    exchange.reply(200, JSON, await exchange.body(limit_bytes=BODY_LIMIT_BYTES))


class Wire(asyncio.Transport):
    """The server's side of a connection in memory.

    Attributes:
        writes: What was written, call by call.
        ends: ``eof``, ``close`` and ``abort``, in order.
        is_reading_now: Whether the protocol takes more.
        pauses: How often it did not.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self.writes: list[bytes] = []
        self.ends: list[str] = []
        self.is_reading_now = True
        self.pauses = 0
        self.has_room = True
        self.protocol: FreeholdProtocol | None = None

    @property
    def sent(self) -> bytes:
        return b"".join(self.writes)

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.sent)]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ends, f"written after {self.ends}"
        self.writes.append(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ends.append("eof")

    def close(self) -> None:
        self._end("close", when_flushed=True)

    def abort(self) -> None:
        self._end("abort", when_flushed=False)

    def is_closing(self) -> bool:
        return "close" in self.ends or "abort" in self.ends

    def pause_reading(self) -> None:
        self.is_reading_now = False
        self.pauses += 1

    def resume_reading(self) -> None:
        self.is_reading_now = True

    def fill(self) -> None:
        """The client stops reading."""
        self.has_room = False
        self._connected().pause_writing()

    def drain(self) -> None:
        """It reads on."""
        self.has_room = True
        self._connected().resume_writing()

    def vanish(self, error: Exception | None = None) -> None:
        """The connection is lost, without a word from our side."""
        lost, self.protocol = self.protocol, None
        if lost is not None:
            lost.connection_lost(error)

    def _connected(self) -> FreeholdProtocol:
        assert self.protocol is not None
        return self.protocol

    def _end(self, how: str, *, when_flushed: bool) -> None:
        if how not in self.ends and self.protocol is not None:
            self.ends.append(how)
            if self.has_room or not when_flushed:
                self._loop.call_soon(self.vanish)


class Server:
    """Protocols that share an application and a state, as under uvicorn."""

    def __init__(self, app: App | None = None, limits: ServerLimits | None = None) -> None:
        self.app = app or App()
        self.state = ServerState()
        self._config = uvicorn.Config(
            self.app,
            http=protocol(limits or ServerLimits(), lambda: "id-1"),
            interface="asgi3",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
        )
        self._config.load()

    def connect(self) -> tuple[FreeholdProtocol, Wire]:
        loop = asyncio.get_running_loop()
        made = self._config.http_protocol_class(self._config, self.state, {}, loop)
        assert isinstance(made, FreeholdProtocol)
        wire = Wire(loop)
        wire.protocol = made
        made.connection_made(wire)
        return made, wire


async def settle() -> None:
    """Let everything run that is ready, and what that makes ready."""
    for _ in range(8):
        await asyncio.sleep(0)


def request(body: bytes = b"{}", *, path: bytes = PATH, fields: bytes = b"", version: bytes = b"1.1") -> bytes:
    """A good request; ``fields`` are lines with their ends."""
    return b"POST %b HTTP/%b\r\nHost: localhost\r\n%bContent-Length: %d\r\n\r\n%b" % (
        path, version, fields, len(body), body,
    )  # fmt: skip


def chunked(*pieces: bytes, fields: bytes = b"") -> bytes:
    """A good request whose body comes in chunks."""
    head = b"POST %b HTTP/1.1\r\nHost: localhost\r\n%bTransfer-Encoding: chunked\r\n\r\n" % (PATH, fields)
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _head(line: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join([line, *fields, b"", b""])


_POST = b"POST %b HTTP/1.1" % PATH
_HOST = b"Host: localhost"

FRAMING: dict[str, tuple[int, bytes]] = {
    "length and chunked": (400, _head(_POST, _HOST, b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"),
    "chunked and length": (400, _head(_POST, _HOST, b"Transfer-Encoding: chunked", b"Content-Length: 5") + b"0\r\n\r\n"),
    "two lengths": (400, _head(_POST, _HOST, b"Content-Length: 2", b"Content-Length: 3") + b"{} "),
    "the same length twice": (400, _head(_POST, _HOST, b"Content-Length: 2", b"Content-Length: 2") + b"{}"),
    "unknown encoding": (400, _head(_POST, _HOST, b"Transfer-Encoding: xchunked") + b"0\r\n\r\n"),
    "compressed and chunked": (400, _head(_POST, _HOST, b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n"),
    "two encodings": (400, _head(_POST, _HOST, b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity")),
    "space before colon": (400, _head(_POST, _HOST, b"Transfer-Encoding : chunked") + b"0\r\n\r\n"),
    "bare line feeds": (400, b"POST %b HTTP/1.1\nHost: localhost\nContent-Length: 2\n\n{}" % PATH),
    "one bare line feed": (400, b"POST %b HTTP/1.1\r\nHost: localhost\nContent-Length: 2\r\n\r\n{}" % PATH),
    "bare carriage return": (400, b"POST %b HTTP/1.1\r\nHost: localhost\rContent-Length: 2\r\n\r\n{}" % PATH),
    "length with sign": (400, _head(_POST, _HOST, b"Content-Length: +2") + b"{}"),
    "length with comma": (400, _head(_POST, _HOST, b"Content-Length: 2, 2") + b"{}"),
    "length of 30 digits": (400, _head(_POST, _HOST, b"Content-Length: " + b"9" * 30)),
    "chunk size in C": (400, _head(_POST, _HOST, b"Transfer-Encoding: chunked") + b"0x4b\r\n" + b"a" * 75),
    "negative chunk size": (400, _head(_POST, _HOST, b"Transfer-Encoding: chunked") + b"-1\r\n\r\n"),
    "chunk longer than its size": (400, _head(_POST, _HOST, b"Transfer-Encoding: chunked") + b"2\r\n{}}\r\n0\r\n\r\n"),
    "NUL in a field": (400, _head(_POST, _HOST, b"X-A: a\0b", b"Content-Length: 2") + b"{}"),
    "NUL in a name": (400, _head(_POST, _HOST, b"X\0A: b", b"Content-Length: 2") + b"{}"),
    "two hosts": (400, _head(_POST, _HOST, b"Host: other", b"Content-Length: 2") + b"{}"),
    "no host": (400, _head(_POST, b"Content-Length: 2") + b"{}"),
    "no host in 1.0": (400, _head(b"POST %b HTTP/1.0" % PATH, b"Content-Length: 2") + b"{}"),
    "64 kB of one field": (431, _head(_POST, _HOST, b"X-A: " + b"a" * 65_536, b"Content-Length: 2") + b"{}"),
    "1,000 fields": (431, _head(_POST, _HOST, *(b"X-%d: 1" % n for n in range(1000)), b"Content-Length: 2") + b"{}"),
    "1,000 times one field": (431, _head(_POST, _HOST, *[b"X-A: 1"] * 1000, b"Content-Length: 2") + b"{}"),
    "long target": (431, _head(b"GET /" + b"a" * 9000 + b" HTTP/1.1", _HOST)),
    "folded field": (400, _head(_POST, _HOST, b"X-A: a", b" b", b"Content-Length: 2") + b"{}"),
    "folded encoding": (400, _head(_POST, _HOST, b"Transfer-Encoding:", b" chunked") + b"0\r\n\r\n"),
    "absolute target": (400, _head(b"POST http://localhost%b HTTP/1.1" % PATH, _HOST, b"Content-Length: 2") + b"{}"),
    "target of a proxy": (400, _head(b"OPTIONS * HTTP/1.1", _HOST)),
    "fragment in the target": (400, _head(b"GET /healthz#x HTTP/1.1", _HOST)),
    "HTTP/2.0": (400, _head(b"POST %b HTTP/2.0" % PATH, _HOST, b"Content-Length: 2") + b"{}"),
    "HTTP/2 preface": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/0.9": (400, _head(b"GET /healthz HTTP/0.9", _HOST)),
    "HTTP/1.0 in chunks": (400, _head(b"POST %b HTTP/1.0" % PATH, _HOST, b"Transfer-Encoding: chunked") + b"0\r\n\r\n"),
    "lower-case method": (400, _head(b"get /healthz HTTP/1.1", _HOST)),
    "TLS": (400, bytes.fromhex("16030100c8010000c40303") + bytes(200)),
    "CONNECT": (405, _head(b"CONNECT localhost:1 HTTP/1.1", _HOST)),
    "TRACE": (405, _head(b"TRACE /healthz HTTP/1.1", _HOST)),
    "upgrade": (426, _head(b"GET /healthz HTTP/1.1", _HOST, b"Connection: Upgrade", b"Upgrade: websocket")),
    "upgrade with a body": (
        426, _head(_POST, _HOST, b"Connection: upgrade, http2-settings", b"Upgrade: h2c", b"Content-Length: 2") + b"{}",
    ),
    "second request at once": (400, request() + request()),
}  # fmt: skip
"""Requests that are refused and end their connection: name, status, bytes."""
