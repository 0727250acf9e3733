"""What the hot path may count on, whether an exchange comes straight from its connection or over any ASGI server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from freehold.api.asgi_exchange import AsgiExchange
from freehold.api.exchange import ClientLeft, Exchange
from freehold.domain.errors.request import BodyTooLarge, RequestTimeout
from tests.support.http1 import BODY_LIMIT_BYTES, JSON, PATH, App, Server, Wire, chunked, request, settle
from tests.support.virtual_time import run_virtual

Serve = Callable[[Exchange], Awaitable[None]]


class OverAsgi:
    """Uvicorn's own protocol, and an exchange made of its messages."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.state = ServerState()
        self._config = uvicorn.Config(
            self._app, http=HttpToolsProtocol, interface="asgi3", ws="none", lifespan="off", log_config=None,
            access_log=False, proxy_headers=False, timeout_keep_alive=75,
        )  # fmt: skip
        self._config.load()

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        exchange = AsgiExchange(scope, receive, send)
        sending = asyncio.ensure_future(exchange.run())
        try:
            await self._serve(exchange)
        finally:
            exchange.close()
            await sending

    def connect(self) -> tuple[Any, Wire]:
        loop = asyncio.get_running_loop()
        made = HttpToolsProtocol(self._config, self.state, {}, loop)
        wire = Wire(loop)
        wire.protocol = made  # type: ignore[assignment]
        made.connection_made(wire)
        return made, wire


SOURCES: dict[str, Callable[[Serve], Any]] = {"connection": lambda serve: Server(App(serve)), "asgi": OverAsgi}


@pytest.fixture(params=SOURCES)
def serving(request: pytest.FixtureRequest) -> Callable[[Serve], Any]:
    return SOURCES[request.param]


def decoded(raw: bytes) -> tuple[int, dict[bytes, bytes], bytes, bool]:
    """Status, fields, body and whether the body has its regular end."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    named = dict(field.split(b": ", 1) for field in fields)
    status = int(line.split(b" ")[1])
    if b"content-length" in named:
        return status, named, rest, len(rest) == int(named[b"content-length"])
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        if size == b"0":
            return status, named, body, True
    return status, named, body, False


async def exchanged(made: Any, raw: bytes, *, seconds: float = 10) -> Wire:
    """Send one request, wait, and give the client's end of the wire."""
    http, wire = made.connect()
    http.data_received(raw)
    await asyncio.sleep(seconds)
    return wire


def test_a_request_is_seen_as_it_was_sent(serving: Callable[[Serve], Any]) -> None:
    async def serve(exchange: Exchange) -> None:
        seen = [exchange.method, exchange.raw_path.decode(), exchange.header(b"x-a"), exchange.header(b"x-none")]
        exchange.reply(200, JSON, repr(seen).encode())

    async def scenario() -> None:
        raw = request(path=PATH + b"?a=b", fields=b"X-A: one\r\nX-A: two\r\n")
        wire = await exchanged(serving(serve), raw)
        status, fields, body, whole = decoded(wire.sent)
        assert (status, body, whole) == (200, repr(["POST", PATH.decode(), "one", None]).encode(), True)
        assert fields[b"content-type"] == b"application/json"
        assert not wire.ends
        wire.vanish()

    run_virtual(scenario)


@pytest.mark.parametrize(
    "raw", [request(b"a" * 300), chunked(b"a" * 100, b"a" * 200), request(b"a" * 200_000), request(b"")]
)
def test_the_body_comes_whole(serving: Callable[[Serve], Any], raw: bytes) -> None:
    async def serve(exchange: Exchange) -> None:
        exchange.reply(200, JSON, await exchange.body(limit_bytes=BODY_LIMIT_BYTES))

    async def scenario() -> None:
        http, wire = serving(serve).connect()
        for at in range(0, len(raw), 20_000):
            http.data_received(raw[at : at + 20_000])
            await settle()
        await settle()
        status, _, body, whole = decoded(wire.sent)
        assert (status, whole) == (200, True)
        assert set(body) <= {ord("a")}
        assert len(body) == raw.count(b"a") - raw[: raw.index(b"\r\n\r\n")].count(b"a")
        wire.vanish()

    run_virtual(scenario)


@pytest.mark.parametrize("raw", [request(b"a" * 1001), chunked(b"a" * 600, b"a" * 600)], ids=["declared", "chunked"])
def test_too_large_a_body_is_refused_and_the_connection_ends(serving: Callable[[Serve], Any], raw: bytes) -> None:
    async def serve(exchange: Exchange) -> None:
        with pytest.raises(BodyTooLarge):
            await exchange.body(limit_bytes=1000)
        exchange.reply(413, JSON, b"too large", close=True)

    async def scenario() -> None:
        wire = await exchanged(serving(serve), raw)
        status, fields, body, whole = decoded(wire.sent)
        assert (status, body, whole) == (413, b"too large", True)
        assert fields[b"connection"] == b"close"
        assert wire.protocol is None

    run_virtual(scenario)


def test_too_slow_a_body_is_given_up(serving: Callable[[Serve], Any]) -> None:
    raised: list[str] = []

    async def serve(exchange: Exchange) -> None:
        try:
            await exchange.body(limit_bytes=1000)
        except RequestTimeout as error:
            raised.append(error.code)
            exchange.reply(408, JSON, b"too slow", close=True)

    async def scenario() -> None:
        wire = await exchanged(serving(serve), chunked(b"a")[:-5], seconds=70)
        assert raised == ["FH-REQUEST-011"]
        assert decoded(wire.sent)[::2] == (408, b"too slow")
        wire.vanish()

    run_virtual(scenario)


def test_a_client_that_leaves_in_its_body_has_left(serving: Callable[[Serve], Any]) -> None:
    raised: list[str] = []

    async def serve(exchange: Exchange) -> None:
        try:
            await exchange.body(limit_bytes=1000)
        except ClientLeft:
            raised.append("left")

    async def scenario() -> None:
        http, wire = serving(serve).connect()
        http.data_received(chunked(b"a")[:-5])
        await settle()
        wire.vanish()
        await settle()
        assert raised == ["left"]

    run_virtual(scenario)


@pytest.mark.parametrize("begun", [False, True], ids=["before the answer", "in the stream"])
def test_a_departure_is_told_once_and_what_is_sent_after_it_is_dropped(
    serving: Callable[[Serve], Any], begun: bool
) -> None:
    told: list[str] = []

    async def serve(exchange: Exchange) -> None:
        await exchange.body(limit_bytes=1000)
        exchange.on_gone(lambda: told.append("replaced"))
        exchange.on_gone(lambda: told.append("gone"))
        if begun:
            exchange.start(200, JSON)
            exchange.write(b"one")
        await asyncio.sleep(5)
        if begun:
            exchange.write(b"two")
            exchange.end()
        else:
            exchange.reply(200, JSON, b"two")

    async def scenario() -> None:
        http, wire = serving(serve).connect()
        http.data_received(request())
        await settle()
        wire.vanish()
        await settle()
        assert told == ["gone"]
        await asyncio.sleep(6)
        assert told == ["gone"]
        assert b"two" not in wire.sent
        assert (b"one" in wire.sent) is begun

    run_virtual(scenario)


def test_a_departure_after_the_end_is_not_told(serving: Callable[[Serve], Any]) -> None:
    told: list[str] = []

    async def serve(exchange: Exchange) -> None:
        exchange.on_gone(lambda: told.append("gone"))
        exchange.reply(200, JSON, b"")

    async def scenario() -> None:
        wire = await exchanged(serving(serve), request())
        wire.vanish()
        await settle()
        assert not told

    run_virtual(scenario)


def test_a_stream_arrives_piece_by_piece_and_ends(serving: Callable[[Serve], Any]) -> None:
    async def serve(exchange: Exchange) -> None:
        exchange.start(200, [(b"content-type", b"text/event-stream")])
        await asyncio.sleep(1)
        for piece in (b"one", b"two"):
            exchange.write(piece)
            await asyncio.sleep(1)
        exchange.end(b"three")

    async def scenario() -> None:
        http, wire = serving(serve).connect()
        http.data_received(request())
        bodies: list[bytes] = []
        for _ in range(4):
            await asyncio.sleep(0.5)
            bodies.append(decoded(wire.sent)[2])
            await asyncio.sleep(0.5)
        await settle()
        status, fields, body, whole = decoded(wire.sent)
        assert bodies == [b"", b"one", b"onetwo", b"onetwothree"]
        assert (status, body, whole) == (200, b"onetwothree", True)
        assert fields[b"content-type"] == b"text/event-stream"
        assert not wire.ends
        wire.vanish()

    run_virtual(scenario)


@pytest.mark.parametrize("how", ["abort", "return"])
def test_a_stream_without_end_is_broken_off(serving: Callable[[Serve], Any], how: str) -> None:
    async def serve(exchange: Exchange) -> None:
        exchange.start(200, JSON)
        exchange.write(b"one")
        if how == "abort":
            exchange.abort()
            exchange.abort()

    async def scenario() -> None:
        wire = await exchanged(serving(serve), request())
        assert decoded(wire.sent)[2:] == (b"one", False)
        assert wire.protocol is None

    run_virtual(scenario)


def test_a_client_that_reads_slower_is_waited_for(serving: Callable[[Serve], Any]) -> None:
    written: list[int] = []

    async def serve(exchange: Exchange) -> None:
        exchange.start(200, JSON)
        for number in range(200):
            exchange.write(b"a" * 1000)
            written.append(number)
            await asyncio.sleep(0)
            if exchange.is_full:
                await exchange.drained()
        exchange.end()

    async def scenario() -> None:
        http, wire = serving(serve).connect()
        wire.fill()
        http.data_received(request())
        await asyncio.sleep(5)
        assert len(written) < 50
        wire.drain()
        await asyncio.sleep(5)
        assert decoded(wire.sent)[2:] == (b"a" * 200_000, True)
        wire.vanish()

    run_virtual(scenario)
