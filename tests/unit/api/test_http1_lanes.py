"""The fast lane: one task and one write for a call, departures in the same tick, and an end that says how it ended."""

from __future__ import annotations

import asyncio

import pytest

from freehold.api.exchange import Exchange
from freehold.api.http1_exchange import GONE, encode_head
from freehold.api.http1_limits import ServerLimits
from tests.support.http1 import BODY_LIMIT_BYTES, JSON, PATH, App, Server, chunked, request, settle
from tests.support.virtual_time import run_virtual

VIEW = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_an_answer_is_one_write_and_the_connection_is_kept() -> None:
    async def scenario() -> None:
        server = Server()
        http, wire = server.connect()
        for number in range(3):
            http.data_received(request(b"%d" % number))
            await settle()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1\r\n\r\n"
        assert wire.writes == [head + b"0", head + b"1", head + b"2"]
        assert server.state.total_requests == 3
        assert not server.state.tasks
        assert not wire.ends
        wire.vanish()

    run_virtual(scenario)


def test_both_lanes_share_a_connection() -> None:
    async def scenario() -> None:
        server = Server()
        http, wire = server.connect()
        for _ in range(2):
            http.data_received(VIEW)
            await settle()
            http.data_received(request(b"{}"))
            await settle()
        assert wire.statuses == [200] * 4
        assert len(server.app.seen) == len(server.app.scopes) == 2
        assert server.state.total_requests == 4
        wire.vanish()

    run_virtual(scenario)


def test_fields_are_found_by_their_first_value() -> None:
    async def scenario() -> None:
        server = Server()
        http, wire = server.connect()
        http.data_received(request(fields=b"X-A: one\r\nx-a: two\r\nAUTHORIZATION:  Bearer k \t\r\nX-E:\r\n"))
        await settle()
        (exchange,) = server.app.seen
        assert exchange.method == "POST"
        assert exchange.header(b"x-a") == "one"
        assert exchange.header(b"authorization") == "Bearer k"
        assert exchange.header(b"x-e") == ""
        assert exchange.header(b"x-none") is None
        wire.vanish()

    run_virtual(scenario)


@pytest.mark.parametrize(
    ("raw", "is_early"),
    [
        (request(b"a" * 65_536), False),
        (request(b"a" * 65_537), True),
        (chunked(b"a"), True),
        (request(b"a" * 100, fields=b"Expect: 100-continue\r\n"), True),
    ],
    ids=["64 KiB", "more", "chunks", "expected"],
)
def test_a_large_or_unknown_body_is_asked_for_by_the_application(raw: bytes, is_early: bool) -> None:
    async def scenario() -> None:
        server = Server()
        http, wire = server.connect()
        http.data_received(raw[: raw.index(b"\r\n\r\n") + 4])
        await settle()
        assert bool(server.app.seen) is is_early
        asked = b"HTTP/1.1 100 Continue\r\n\r\n" if b"Expect" in raw else b""
        assert wire.sent == asked
        http.data_received(raw[raw.index(b"\r\n\r\n") + 4 :])
        await settle()
        assert wire.sent.startswith(asked + b"HTTP/1.1 200 OK\r\n")
        assert not wire.ends
        wire.vanish()

    run_virtual(scenario)


def test_a_body_that_came_at_once_never_stops_the_reading() -> None:
    async def scenario() -> None:
        http, wire = Server().connect()
        for raw in (chunked(b"a" * 100_000), request(b"a" * 100_000)):
            http.data_received(raw)
            await settle()
        assert wire.statuses == [200, 200]
        assert not wire.pauses
        wire.vanish()

    run_virtual(scenario)


@pytest.mark.parametrize("raw", [request(b"a" * 300_000), chunked(*[b"a" * 1_000] * 300)], ids=["length", "chunks"])
def test_what_nobody_has_asked_for_stays_with_its_sender(raw: bytes) -> None:
    async def scenario() -> None:
        http, wire = Server().connect()
        http.data_received(raw[:100_000])
        assert not wire.is_reading_now
        await settle()
        assert wire.is_reading_now
        http.data_received(raw[100_000:])
        await settle()
        assert wire.statuses == [200]
        assert (wire.is_reading_now, wire.pauses) == (True, 1)
        wire.vanish()

    run_virtual(scenario)


def test_who_is_refused_is_not_asked_for_the_body() -> None:
    async def refuse(exchange: Exchange) -> None:
        exchange.reply(401, JSON, b"who?")

    async def scenario() -> None:
        http, wire = Server(App(refuse)).connect()
        raw = request(b"a" * 100, fields=b"Expect: 100-continue\r\n")
        http.data_received(raw.removesuffix(b"a" * 100))
        await settle()
        assert wire.statuses == [401]
        assert b"connection: close" in wire.sent
        assert wire.ends == ["eof"]
        wire.vanish()

    run_virtual(scenario)


@pytest.mark.parametrize("raw", [request(b"a" * (BODY_LIMIT_BYTES + 1)), chunked(*[b"a" * 50_000] * 30)])
def test_too_large_a_body_is_refused_and_not_kept(raw: bytes) -> None:
    async def scenario() -> None:
        server = Server()
        http, wire = server.connect()
        for at in range(0, len(raw), 60_000):
            http.data_received(raw[at : at + 60_000])
            await settle()
        assert wire.statuses == [413]
        assert wire.sent.endswith(b"FH-REQUEST-003")
        assert b"connection: close" in wire.sent
        assert not server.app.seen[0]._pieces
        wire.vanish()

    run_virtual(scenario)


async def stream(exchange: Exchange) -> None:
    exchange.start(200, JSON)
    await asyncio.sleep(1)
    exchange.write(b"one")
    exchange.write(b"")
    exchange.write(b"seventeen letters")
    await asyncio.sleep(1)
    exchange.end(b"end")


def test_a_stream_is_one_write_a_piece() -> None:
    async def scenario() -> None:
        http, wire = Server(App(stream)).connect()
        http.data_received(request())
        await settle()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        assert wire.writes == [head]
        await asyncio.sleep(3)
        assert wire.writes[1:] == [b"3\r\none\r\n", b"11\r\nseventeen letters\r\n", b"3\r\nend\r\n0\r\n\r\n"]
        assert not wire.ends
        http.data_received(request())
        await asyncio.sleep(3)
        assert wire.writes[4:] == wire.writes[:4]
        wire.vanish()

    run_virtual(scenario)


def test_the_head_leaves_with_the_first_piece() -> None:
    async def quick(exchange: Exchange) -> None:
        exchange.start(200, [])
        exchange.write(b"now")
        exchange.end()

    async def scenario() -> None:
        http, wire = Server(App(quick)).connect()
        http.data_received(request())
        await settle()
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        assert wire.writes == [head + b"3\r\nnow\r\n", b"0\r\n\r\n"]
        wire.vanish()

    run_virtual(scenario)


def test_http_1_0_is_served_and_closed() -> None:
    async def scenario() -> None:
        http, wire = Server().connect()
        http.data_received(request(b"{}", version=b"1.0", fields=b"Connection: keep-alive\r\n"))
        await settle()
        assert wire.sent.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"connection: close\r\n" in wire.sent
        assert wire.ends == ["close"]

    run_virtual(scenario)


def test_a_stream_to_http_1_0_has_no_chunks_and_ends_with_the_connection() -> None:
    async def scenario() -> None:
        http, wire = Server(App(stream)).connect()
        http.data_received(request(b"{}", version=b"1.0"))
        await asyncio.sleep(3)
        assert wire.sent.endswith(b"\r\n\r\noneseventeen lettersend")
        assert b"chunked" not in wire.sent
        assert wire.ends == ["close"]

    run_virtual(scenario)


@pytest.mark.parametrize(("version", "end"), [(b"1.1", "close"), (b"1.0", "abort")])
@pytest.mark.parametrize("how", ["abort", "return", "raise"])
def test_a_broken_stream_never_looks_whole(version: bytes, end: str, how: str) -> None:
    async def broken(exchange: Exchange) -> None:
        exchange.start(200, [])
        exchange.write(b"one")
        if how == "abort":
            exchange.abort()
            exchange.abort()
        if how == "raise":
            raise LookupError

    async def scenario() -> None:
        errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))
        server = Server(App(broken))
        http, wire = server.connect()
        http.data_received(request(version=version))
        await settle()
        assert b"one" in wire.sent
        assert not wire.sent.endswith(b"0\r\n\r\n")
        assert wire.ends == [end]
        assert not server.state.tasks

    run_virtual(scenario)


def test_an_application_that_says_nothing_closes_the_connection() -> None:
    async def mute(_: Exchange) -> None:
        return

    async def scenario() -> None:
        http, wire = Server(App(mute)).connect()
        http.data_received(request())
        await settle()
        assert not wire.writes
        assert wire.ends == ["close"]

    run_virtual(scenario)


@pytest.mark.parametrize("how", ["fin", "reset", "end of file"])
@pytest.mark.parametrize("when", ["in the body", "before the answer", "in the stream"])
def test_a_departure_is_told_in_the_same_tick(how: str, when: str) -> None:
    told: list[str] = []

    async def wait(exchange: Exchange) -> None:
        exchange.on_gone(lambda: told.append("gone"))
        await exchange.body(limit_bytes=BODY_LIMIT_BYTES)
        if when == "in the stream":
            exchange.start(200, [])
        await asyncio.sleep(5)
        exchange.write(b"too late")
        exchange.end()

    async def scenario() -> None:
        server = Server(App(wait))
        http, wire = server.connect()
        http.data_received(chunked(b"{}")[: -1 if when == "in the body" else None])
        await settle()
        if how == "end of file":
            http.eof_received()
        else:
            wire.vanish(ConnectionResetError() if how == "reset" else None)
        assert told == ["gone"]
        await asyncio.sleep(6)
        assert told == ["gone"]
        assert b"too late" not in wire.sent
        assert server.app.seen[0].state == GONE
        assert not server.state.tasks
        late: list[str] = []
        server.app.seen[0].on_gone(lambda: late.append("gone"))
        assert late == ["gone"]

    run_virtual(scenario)


def test_a_departure_after_the_end_is_not_told() -> None:
    told: list[str] = []

    async def answer(exchange: Exchange) -> None:
        exchange.on_gone(lambda: told.append("gone"))
        exchange.reply(200, [], b"")

    async def scenario() -> None:
        http, wire = Server(App(answer)).connect()
        http.data_received(request())
        await settle()
        wire.vanish()
        assert not told

    run_virtual(scenario)


@pytest.mark.parametrize(("begun", "statuses", "ends"), [(False, [400], ["eof"]), (True, [200], ["close"])])
def test_a_second_request_before_the_end_of_the_first_ends_both(
    begun: bool, statuses: list[int], ends: list[str]
) -> None:
    told: list[str] = []

    async def slow(exchange: Exchange) -> None:
        exchange.on_gone(lambda: told.append("gone"))
        if begun:
            exchange.start(200, [])
            exchange.write(b"one")
        await asyncio.sleep(5)

    async def scenario() -> None:
        server = Server(App(slow))
        http, wire = server.connect()
        http.data_received(request())
        await settle()
        http.data_received(request())
        assert told == ["gone"]
        assert wire.statuses == statuses
        assert wire.ends == ends
        assert not wire.sent.endswith(b"0\r\n\r\n")
        wire.vanish()
        await asyncio.sleep(6)
        assert len(server.app.seen) == 1

    run_virtual(scenario)


def test_is_full_while_the_client_lags_behind() -> None:
    async def flood(exchange: Exchange) -> None:
        exchange.start(200, [])
        for _ in range(3):
            exchange.write(b"a")
            await exchange.drained()
        exchange.end()

    async def scenario() -> None:
        server = Server(App(flood))
        http, wire = server.connect()
        wire.fill()
        http.data_received(request())
        await settle()
        (exchange,) = server.app.seen
        assert exchange.is_full
        assert wire.sent.count(b"1\r\na\r\n") == 1
        wire.drain()
        assert not exchange.is_full
        await settle()
        assert wire.sent.endswith(b"1\r\na\r\n1\r\na\r\n1\r\na\r\n0\r\n\r\n")
        wire.vanish()

    run_virtual(scenario)


def test_a_stopping_server_ends_what_is_idle_and_lets_the_rest_finish() -> None:
    async def scenario() -> None:
        server = Server(App(stream))
        (_, idle), (busy_http, busy), (half_http, half) = server.connect(), server.connect(), server.connect()
        busy_http.data_received(request())
        half_http.data_received(request()[:-1])
        await settle()
        for http in list(server.state.connections):
            http.shutdown()
        assert idle.ends == ["close"]
        assert len(server.state.tasks) == 1
        half_http.data_received(request()[-1:])
        await asyncio.sleep(5)
        assert busy.sent.endswith(b"0\r\n\r\n")
        assert half.sent.endswith(b"0\r\n\r\n")
        assert b"connection: close" in half.sent
        assert (busy.ends, half.ends) == (["close"], ["close"])
        assert not server.state.connections

    run_virtual(scenario)


def test_beyond_the_cap_only_views_are_served_and_beyond_the_reserve_nothing() -> None:
    async def scenario() -> None:
        server = Server(limits=ServerLimits(connections=2, reserve=2))
        first, second, third, fourth, fifth = (server.connect() for _ in range(5))
        for http, _ in (first, second, third):
            http.data_received(request())
        fourth[0].data_received(VIEW)
        await settle()
        assert [wire.statuses for _, wire in (first, second, third, fourth, fifth)] == [
            [200],
            [200],
            [503],
            [200],
            [503],
        ]
        assert b"FH-ADMIT-005" in third[1].sent
        assert b"retry-after" in fifth[1].sent
        assert [wire.ends for _, wire in (first, second, third, fourth, fifth)] == [
            [],
            [],
            ["eof"],
            ["close"],
            ["close"],
        ]
        for _, wire in (first, second, third):
            wire.vanish()
        assert not server.state.connections

    run_virtual(scenario)


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb"])
def test_a_field_cannot_write_our_head(value: bytes) -> None:
    with pytest.raises(ValueError, match="line break"):
        encode_head(200, [(b"x-a", value)], b"\r\n", 1)


@pytest.mark.parametrize("misuse", ["reply twice", "write after end", "write first", "start twice"])
def test_an_answer_is_given_once(misuse: str) -> None:
    seen: list[str] = []

    async def wrong(exchange: Exchange) -> None:
        if misuse in {"reply twice", "write after end"}:
            exchange.reply(200, [], b"once")
        if misuse == "start twice":
            exchange.start(200, [])
        try:
            if misuse == "reply twice":
                exchange.reply(200, [], b"twice")
            elif misuse == "start twice":
                exchange.start(200, [])
            else:
                exchange.write(b"more")
        except RuntimeError as error:
            seen.append(str(error))

    async def scenario() -> None:
        http, wire = Server(App(wrong)).connect()
        http.data_received(request())
        await settle()
        assert len(seen) == 1
        wire.vanish()

    run_virtual(scenario)


def test_an_application_without_a_fast_lane_is_served_as_asgi() -> None:
    class Plain(App):
        inference_paths = frozenset()

    async def scenario() -> None:
        server = Server(Plain())
        http, wire = server.connect()
        http.data_received(request(path=PATH))
        await settle()
        assert wire.statuses == [200]
        assert [scope["path"] for scope in server.app.scopes] == [PATH.decode()]
        wire.vanish()

    run_virtual(scenario)
