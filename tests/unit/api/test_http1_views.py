"""Everything but inference goes uvicorn's way, under the same deadlines and with the same ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.http1 import App, Server, Wire, chunked, request, settle
from tests.support.virtual_time import run_virtual

VIEW = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPLOAD = b"POST /upload HTTP/1.1\r\nHost: localhost\r\n"

View = Callable[[Any, Any], Awaitable[None]]


class Views(App):
    def __init__(self, view: View) -> None:
        super().__init__()
        self.view = view

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        await self.view(receive, send)


async def begin(send: Any, *fields: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(fields)})


async def say(send: Any, body: bytes, *, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def gone(wire: Wire) -> float:
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    while wire.protocol is not None:
        await asyncio.sleep(0.25)
    return loop.time() - begun_s


@pytest.mark.parametrize("how", ["fin", "end of file", "second request"])
@pytest.mark.parametrize("begun", [False, True])
def test_a_view_is_told_at_once_that_nobody_waits(how: str, begun: bool) -> None:
    told: list[str] = []

    async def view(receive: Any, send: Any) -> None:
        await receive()
        if begun:
            await begin(send)
            await say(send, b"one", more=True)
        told.append((await receive())["type"])

    async def scenario() -> None:
        server = Server(Views(view))
        http, wire = server.connect()
        http.data_received(VIEW)
        await settle()
        if how == "fin":
            wire.vanish()
        elif how == "end of file":
            http.eof_received()
        else:
            http.data_received(VIEW)
            assert wire.statuses == [200 if begun else 400]
            assert wire.ends == ["close" if begun else "eof"]
        await settle()
        assert told == ["http.disconnect"]
        assert not wire.sent.endswith(b"0\r\n\r\n")
        wire.vanish()
        assert not server.state.tasks

    run_virtual(scenario)


def test_a_client_that_does_not_read_a_view_is_reset() -> None:
    async def view(_: Any, send: Any) -> None:
        await begin(send)
        while True:
            await say(send, b"a" * 1000, more=True)
            await asyncio.sleep(1)

    async def scenario() -> None:
        server = Server(Views(view))
        http, wire = server.connect()
        http.data_received(VIEW)
        await settle()
        wire.fill()
        assert await gone(wire) == pytest.approx(30, abs=0.5)
        assert wire.ends == ["abort"]
        for task in server.state.tasks:
            task.cancel()
        await settle()

    run_virtual(scenario)


def test_a_view_that_leaves_its_answer_unfinished_closes_and_is_not_waited_for() -> None:
    async def view(_: Any, send: Any) -> None:
        await begin(send)
        await say(send, b"one", more=True)

    async def scenario() -> None:
        http, wire = Server(Views(view)).connect()
        wire.has_room = False
        http.data_received(VIEW)
        await settle()
        assert wire.ends == ["close"]
        assert not wire.sent.endswith(b"0\r\n\r\n")
        assert await gone(wire) <= 120
        assert wire.ends == ["close", "abort"]

    run_virtual(scenario)


@pytest.mark.parametrize(("version", "stops"), [(b"1.1", False), (b"1.1", True), (b"1.0", False)])
def test_an_answer_before_the_end_of_the_body_ends_the_connection_and_says_so_and_is_read(
    version: bytes, stops: bool
) -> None:
    async def view(_: Any, send: Any) -> None:
        await begin(send, (b"content-length", b"4"))
        await say(send, b"view")

    async def scenario() -> None:
        http, wire = Server(Views(view)).connect()
        http.data_received(UPLOAD.replace(b"1.1", version) + b"Content-Length: 1000\r\n\r\nabc")
        if stops:
            http.shutdown()
        await settle()
        assert b"connection: close\r\n" in wire.sent
        assert wire.sent.endswith(b"view")
        assert wire.ends == ["eof"]
        http.data_received(b"a" * 900)
        assert await gone(wire) == pytest.approx(2, abs=0.3)
        assert wire.statuses == [200]

    run_virtual(scenario)


@pytest.mark.parametrize("stops", [False, True])
def test_an_answer_that_begins_behind_the_body_keeps_the_connection_unless_the_server_stops(stops: bool) -> None:
    async def view(receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        await begin(send, (b"content-length", b"4"))
        await say(send, b"view")

    async def scenario() -> None:
        http, wire = Server(Views(view)).connect()
        http.data_received(UPLOAD + b"Content-Length: 6\r\n\r\nabc")
        await settle()
        if stops:
            http.shutdown()
        http.data_received(b"def")
        await settle()
        assert (b"connection: close\r\n" in wire.sent) is stops
        assert wire.ends == (["close"] if stops else [])
        wire.vanish()

    run_virtual(scenario)


def test_an_answer_that_began_before_the_end_of_the_body_ends_the_connection_also_behind_it() -> None:
    async def view(receive: Any, send: Any) -> None:
        await begin(send, (b"content-length", b"4"))
        while (await receive())["more_body"]:
            pass
        await say(send, b"view")

    async def scenario() -> None:
        http, wire = Server(Views(view)).connect()
        http.data_received(UPLOAD + b"Content-Length: 6\r\n\r\nabc")
        await settle()
        http.data_received(b"def")
        await settle()
        assert b"connection: close\r\n" in wire.sent
        assert wire.ends == ["close"]

    run_virtual(scenario)


def test_a_view_reads_its_body_and_expects_it() -> None:
    bodies: list[bytes] = []

    async def view(receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event["body"], event["more_body"]
        bodies.append(body)
        await begin(send, (b"content-length", b"0"))
        await say(send, b"")

    async def scenario() -> None:
        http, wire = Server(Views(view)).connect()
        http.data_received(UPLOAD + b"Expect: 100-continue\r\nContent-Length: 200000\r\n\r\n")
        await settle()
        assert wire.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
        for _ in range(4):
            http.data_received(b"a" * 50_000)
            await settle()
        assert bodies == [b"a" * 200_000]
        assert wire.statuses == [100, 200]
        assert not wire.ends
        wire.vanish()

    run_virtual(scenario)


def test_a_slow_body_of_a_view_is_refused() -> None:
    async def view(receive: Any, _: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def scenario() -> None:
        server = Server(Views(view))
        http, wire = server.connect()
        http.data_received(UPLOAD + b"Content-Length: 1000\r\n\r\nabc")
        await gone(wire)
        assert wire.statuses == [408]
        assert not server.state.tasks

    run_virtual(scenario)


def test_a_view_for_http_1_0_closes() -> None:
    async def view(_: Any, send: Any) -> None:
        await begin(send, (b"content-length", b"4"))
        await say(send, b"view")

    async def scenario() -> None:
        http, wire = Server(Views(view)).connect()
        http.data_received(VIEW.replace(b"1.1", b"1.0"))
        await settle()
        assert wire.ends == ["close"]

    run_virtual(scenario)


GOOD = [request(b'{"a": 1}'), chunked(b"{}", b"[]"), VIEW, request(b"{}", fields=b"Expect: 100-continue\r\n")]


@given(
    raw=st.sampled_from(GOOD),
    edits=st.lists(
        st.tuples(st.integers(0, 150), st.sampled_from([b"", b"\r", b"\n", b" ", b":", b"\0", b"0", b"\xff"]))
    ),
    cuts=st.lists(st.integers(1, 150), max_size=4),
)
def test_whatever_comes_is_answered_or_waited_for(raw: bytes, edits: list[tuple[int, bytes]], cuts: list[int]) -> None:
    """No bytes reach the loop's exception handler or hang a task, and nothing follows a refusal."""
    for at, instead in edits:
        raw = raw[:at] + instead + raw[at + 1 :]

    async def scenario() -> None:
        errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        server = Server()
        http, wire = server.connect()
        for begin_at, end_at in zip([0, *sorted(cuts)], [*sorted(cuts), len(raw)], strict=True):
            http.data_received(raw[begin_at:end_at])
            await settle()
        await gone(wire)
        final = [status for status in wire.statuses if status != 100]
        assert final
        assert set(final[:-1]) <= {200}  # what is left behind a whole request is the beginning of another
        assert final[-1] in {200, 400, 405, 408, 413, 426, 431} or wire.ends[0] == "close"
        assert not errors
        assert not server.state.tasks
        assert not server.state.connections

    run_virtual(scenario)
