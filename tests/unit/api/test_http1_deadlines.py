"""Nobody holds a connection by being slow: heads, bodies, answers and pauses all have their time, kept by one timer."""

from __future__ import annotations

import asyncio

import pytest

from freehold.api.exchange import Exchange
from freehold.api.http1_limits import ServerLimits
from tests.support.http1 import BODY_LIMIT_BYTES, PATH, App, Server, Wire, chunked, request, settle
from tests.support.virtual_time import run_virtual


async def ended(wire: Wire) -> float:
    """Seconds from now until the connection is gone."""
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    while wire.protocol is not None:
        await asyncio.sleep(0.25)
    return loop.time() - begun_s


async def refused(wire: Wire) -> float:
    """Seconds from now until something is written."""
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    while not wire.writes:
        await asyncio.sleep(0.25)
    return loop.time() - begun_s


@pytest.mark.parametrize("sent", [b"", b"POST /v1", b"POST %b HTTP/1.1\r\nHost: localhost\r\n" % PATH])
def test_a_silent_client_is_told_408_after_eight_seconds(sent: bytes) -> None:
    async def scenario() -> None:
        http, wire = Server().connect()
        if sent:
            http.data_received(sent)
        assert await refused(wire) == pytest.approx(8, abs=0.3)
        assert wire.statuses == [408]
        assert await ended(wire) == pytest.approx(2, abs=0.3)
        assert wire.ends == ["eof", "close"]

    run_virtual(scenario)


def test_a_head_that_trickles_is_no_better() -> None:
    async def scenario() -> None:
        http, wire = Server().connect()
        raw = request()
        for at in range(len(raw)):
            http.data_received(raw[at : at + 1])
            await asyncio.sleep(0.5)
            if wire.writes:
                break
        assert wire.statuses == [408]
        assert at == pytest.approx(16, abs=1)
        await ended(wire)

    run_virtual(scenario)


def test_the_head_of_a_later_request_has_its_own_eight_seconds() -> None:
    async def scenario() -> None:
        http, wire = Server().connect()
        for _ in range(3):
            await asyncio.sleep(7)
            http.data_received(request())
            await settle()
        wire.writes.clear()
        await asyncio.sleep(60)
        http.data_received(b"POST")
        assert await refused(wire) == pytest.approx(8, abs=0.3)
        assert wire.statuses == [408]
        await ended(wire)

    run_virtual(scenario)


def test_an_idle_connection_is_closed_without_a_word() -> None:
    async def scenario() -> None:
        http, wire = Server().connect()
        http.data_received(request())
        await settle()
        assert await ended(wire) == pytest.approx(75, abs=0.5)
        assert wire.statuses == [200]
        assert wire.ends == ["close"]

    run_virtual(scenario)


@pytest.mark.parametrize(
    ("every_s", "piece_bytes", "until_s"),
    [(1.0, 0, 5), (1.0, 500, 5), (0.5, 600, 60), (1.0, 1_200, 60)],
    ids=["silent", "half the rate", "just fast enough", "fast enough in larger pieces"],
)
@pytest.mark.parametrize("size_bytes", [60_000, 600_000], ids=["small", "large"])
def test_a_body_has_a_rate_and_a_minute(every_s: float, piece_bytes: int, until_s: float, size_bytes: int) -> None:
    async def scenario() -> None:
        server = Server()
        http, wire = server.connect()
        http.data_received(request(b"a" * size_bytes).removesuffix(b"a" * size_bytes))
        loop = asyncio.get_running_loop()
        begun_s, sent_bytes = loop.time(), 0
        while not wire.writes and sent_bytes + piece_bytes < size_bytes:
            if piece_bytes:
                http.data_received(b"a" * piece_bytes)
                sent_bytes += piece_bytes
            await asyncio.sleep(every_s)
        if wire.writes:
            assert loop.time() - begun_s == pytest.approx(until_s, abs=1.5)
            assert wire.statuses == [408]
            await ended(wire)
        else:  # the small one is through before the minute is over
            assert size_bytes < 600_000
            http.data_received(b"a" * (size_bytes - sent_bytes))
            await settle()
            assert wire.statuses == [200]
            wire.vanish()

    run_virtual(scenario)


def test_whoever_waits_for_a_slow_body_gets_the_error() -> None:
    async def scenario() -> None:
        server = Server()
        http, wire = server.connect()
        http.data_received(chunked(b"{}").removesuffix(b"0\r\n\r\n"))
        await refused(wire)
        assert wire.statuses == [408]
        assert wire.sent.endswith(b"FH-REQUEST-011")
        assert b"connection: close" in wire.sent
        await ended(wire)
        assert not server.state.tasks

    run_virtual(scenario)


def test_the_time_in_which_nobody_asks_for_the_body_is_not_the_clients() -> None:
    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(40)
        exchange.reply(200, [], await exchange.body(limit_bytes=BODY_LIMIT_BYTES))

    async def scenario() -> None:
        http, wire = Server(App(slow)).connect()
        whole = request(b"a" * 200_000)
        http.data_received(whole[:100_000])
        await settle()
        assert not wire.is_reading_now
        await asyncio.sleep(41)
        assert not wire.writes
        assert wire.is_reading_now
        http.data_received(whole[100_000:])
        await settle()
        assert wire.sent.endswith(b"a" * 200_000)
        wire.vanish()

    run_virtual(scenario)


def test_a_client_that_does_not_read_is_reset_after_half_a_minute() -> None:
    left: list[float] = []

    async def flood(exchange: Exchange) -> None:
        loop = asyncio.get_running_loop()
        exchange.on_gone(lambda: left.append(loop.time()))
        exchange.start(200, [])
        while not left:
            exchange.write(b"a" * 1000)
            await exchange.drained()
            await asyncio.sleep(1)

    async def scenario() -> None:
        server = Server(App(flood))
        http, wire = server.connect()
        http.data_received(request())
        await asyncio.sleep(20)
        wire.fill()
        await asyncio.sleep(20)
        wire.drain()  # it does read, slowly
        await asyncio.sleep(20)
        wire.fill()
        await settle()
        written = len(wire.writes)
        assert await ended(wire) == pytest.approx(30, abs=0.5)
        assert wire.ends == ["abort"]
        assert len(left) == 1
        assert len(wire.writes) <= written + 1
        await asyncio.sleep(2)
        assert not server.state.tasks

    run_virtual(scenario)


def test_a_closed_connection_that_nobody_reads_is_given_up() -> None:
    async def scenario() -> None:
        http, wire = Server().connect()
        wire.has_room = False
        http.data_received(request(fields=b"Connection: close\r\n"))
        await settle()
        assert wire.ends == ["close"]
        assert await ended(wire) == pytest.approx(30, abs=0.5)
        assert wire.ends == ["close", "abort"]

    run_virtual(scenario)


def test_an_answer_may_take_as_long_as_it_takes() -> None:
    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(599)
        exchange.reply(200, [], b"at last")

    async def scenario() -> None:
        http, wire = Server(App(slow)).connect()
        http.data_received(request())
        await asyncio.sleep(600)
        assert wire.sent.endswith(b"at last")
        assert not wire.ends
        wire.vanish()

    run_virtual(scenario)


def test_a_busy_connection_touches_its_timer_once_in_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        armed: list[float] = []
        real = loop.call_at

        def call_at(when: float, callback: object, *args: object, **kwargs: object) -> asyncio.TimerHandle:
            if getattr(callback, "__name__", "") == "_look":
                armed.append(when)
            return real(when, callback, *args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(loop, "call_at", call_at)
        http, wire = Server().connect()
        for _ in range(1000):
            http.data_received(request())
            await asyncio.sleep(0.01)
        assert len(armed) <= 4
        wire.vanish()

    run_virtual(scenario)


@pytest.mark.parametrize("error", [None, ConnectionResetError()])
@pytest.mark.parametrize("sent", [b"", b"POST /", request()], ids=["nothing", "half", "whole"])
def test_no_timer_outlives_its_connection(error: Exception | None, sent: bytes) -> None:
    async def scenario() -> None:
        http, wire = Server().connect()
        if sent:
            http.data_received(sent)
            await settle()
        wire.fill()
        wire.vanish(error)
        pending = [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        assert not pending

    run_virtual(scenario)


def test_refused_clients_are_read_on_for_a_moment_within_bounds() -> None:
    async def scenario() -> None:
        limits = ServerLimits(linger_bytes=1000)
        server = Server(limits=limits)
        http, wire = server.connect()
        http.data_received(request(b"a" * 2 * BODY_LIMIT_BYTES)[:500])
        await settle()
        assert wire.statuses == [413]
        assert wire.ends == ["eof"]
        http.data_received(b"a" * 900)
        assert wire.is_reading_now
        http.data_received(b"a" * 900)
        assert not wire.is_reading_now
        assert await ended(wire) == pytest.approx(2, abs=0.3)

    run_virtual(scenario)
