"""What is ambiguous, too large or meant for another protocol is refused with the right 4xx, and the connection ends."""

from __future__ import annotations

import json

import pytest

from freehold.api.http1_exchange import GONE
from freehold.api.http1_limits import ServerLimits
from tests.support.http1 import FRAMING, PATH, App, Server, Wire, chunked, request, settle
from tests.support.virtual_time import run_virtual

LONGEST_CUT_BYTES = 2_000


async def sent(*pieces: bytes, app: App | None = None, limits: ServerLimits | None = None) -> tuple[Wire, App]:
    server = Server(app, limits)
    http, wire = server.connect()
    for piece in pieces:
        http.data_received(piece)
    await settle()
    wire.vanish()
    return wire, server.app


@pytest.mark.parametrize("case", FRAMING)
def test_refused_with_a_reason_and_closed(case: str) -> None:
    status, raw = FRAMING[case]

    async def scenario() -> None:
        wire, app = await sent(raw)
        assert wire.statuses == [status]
        head, _, body = wire.sent.partition(b"\r\n\r\n")
        assert b"connection: close" in head
        assert wire.ends[0] == "eof"
        error = json.loads(body)["error"]
        assert error["freehold_code"].startswith("FH-REQUEST-")
        assert error["error_id"] == "id-1"
        # What had begun already, with a chunked body or a first request, is told that nobody waits for it.
        assert all(exchange.state == GONE for exchange in app.seen)
        assert not app.scopes

    run_virtual(scenario)


@pytest.mark.parametrize("case", [name for name, (_, raw) in FRAMING.items() if len(raw) < LONGEST_CUT_BYTES])
def test_refused_byte_for_byte_as_well(case: str) -> None:
    status, raw = FRAMING[case]

    async def scenario() -> None:
        wire, _ = await sent(*(raw[at : at + 1] for at in range(len(raw))))
        assert wire.statuses == [status]

    run_virtual(scenario)


@pytest.mark.parametrize(
    ("case", "raw"),
    {
        "plain": request(b'{"a": 1}'),
        "query": request(b'{"a": 1}', path=PATH + b"?api-version=1"),
        "chunks": chunked(b'{"a"', b": 1}"),
        "repeated harmless field": request(b'{"a": 1}', fields=b"X-A: 1\r\nX-A: 2\r\n"),
        "chunks with extension and trailer": chunked(b'{"a": 1}')
        .replace(b"\r\n8\r\n", b"\r\n8;name=value\r\n")
        .replace(b"0\r\n\r\n", b"0\r\nhost: other\r\n\r\n"),
        "line ends before": b"\r\n\r\n" + request(b'{"a": 1}'),
    }.items(),
)
def test_a_good_request_is_served_wherever_its_bytes_are_cut(case: str, raw: bytes) -> None:
    async def scenario() -> None:
        server = Server()
        http, wire = server.connect()
        for cut in range(len(raw)):
            wire.writes.clear()
            if cut:
                http.data_received(raw[:cut])
                await settle()
            http.data_received(raw[cut:])
            await settle()
            assert wire.sent.endswith(b'\r\n\r\n{"a": 1}'), (case, cut)
            assert wire.statuses == [200]
            assert not wire.ends
        assert server.app.seen[-1].raw_path == PATH
        wire.vanish()

    run_virtual(scenario)


def test_a_head_without_end_is_refused_at_its_limit() -> None:
    async def scenario() -> None:
        server = Server()
        http, wire = server.connect()
        http.data_received(b"POST %b HTTP/1.1\r\nHost: localhost\r\nX-A: " % PATH)
        sent_bytes = 0
        while not wire.writes:
            http.data_received(b"a" * 1000)
            sent_bytes += 1000
        assert wire.statuses == [431]
        assert sent_bytes < 34_000
        wire.vanish()

    run_virtual(scenario)


def test_trailers_without_end_are_refused_at_their_limit() -> None:
    async def scenario() -> None:
        server = Server()
        http, wire = server.connect()
        http.data_received(chunked(b"{}").removesuffix(b"\r\n") + b"X-A: ")
        await settle()
        sent_bytes = 0
        while not wire.writes:
            http.data_received(b"a" * 1000)
            sent_bytes += 1000
        assert wire.statuses == [431]
        assert sent_bytes < 34_000
        await settle()
        wire.vanish()

    run_virtual(scenario)


def test_many_small_chunks_are_no_trailers() -> None:
    async def scenario() -> None:
        wire, _ = await sent(*[chunked(*[b"a"] * 20_000)[at : at + 1000] for at in range(0, 120_100, 1000)])
        assert wire.statuses == [200]
        assert wire.sent.endswith(b"\r\n\r\n" + b"a" * 20_000)

    run_virtual(scenario)


@pytest.mark.parametrize("target", [b"//v1/chat/completions", b"/v1/chat%2fcompletions", b"/v1/%2e%2e/v1/embeddings"])
def test_inference_is_chosen_by_the_path_as_sent(target: str) -> None:
    async def scenario() -> None:
        wire, app = await sent(request(path=target))
        assert not app.seen
        assert [scope["raw_path"] for scope in app.scopes] == [target] or wire.statuses == [400]

    run_virtual(scenario)


def test_other_requests_go_to_asgi_as_they_were_sent() -> None:
    async def scenario() -> None:
        raw = b"GET /v1/receipts?limit=1 HTTP/1.1\r\nHOST: localhost\r\nX-A: 1\r\nx-a: 2\r\n\r\n"
        wire, app = await sent(raw)
        assert wire.sent == b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nview"
        (scope,) = app.scopes
        assert scope["method"] == "GET"
        assert scope["path"] == "/v1/receipts"
        assert scope["query_string"] == b"limit=1"
        assert scope["headers"] == [(b"host", b"localhost"), (b"x-a", b"1"), (b"x-a", b"2")]

    run_virtual(scenario)


def test_a_fault_of_ours_in_a_callback_is_a_500_and_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        server = Server()
        http, wire = server.connect()
        monkeypatch.setattr(type(http), "_on_other_head", lambda *_: 1 / 0)
        http.data_received(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wire.statuses == [500]
        assert wire.ends == ["eof"]
        wire.vanish()

    run_virtual(scenario)
