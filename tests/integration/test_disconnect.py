"""A client that leaves is noticed at once: nobody computes for nobody, and what was used until then is booked."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Generator
from typing import Any

import pytest

from tests.servers.http import Exchange
from tests.support.server import Gateway, eventually
from tests.support.site import Site, site

CLOSED_WITHIN_S = 0.050


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with site(tmp_path_factory.mktemp("leaving")) as running:
        yield running


def ask(gateway: Gateway, path: str, body: dict[str, Any]) -> socket.socket:
    """Send a request over a connection of its own."""
    payload = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {gateway.key}\r\n"
        f"content-length: {len(payload)}\r\n\r\n"
    )
    connection = socket.create_connection(gateway.address, timeout=10)
    connection.sendall(head.encode() + payload)
    return connection


def arrived(house: Site, before: int) -> Exchange:
    return eventually(lambda: house.small.exchanges[before:], what="the call to the upstream")[0]


def leave(connection: socket.socket, exchange: Exchange) -> float:
    """Close the client's connection; milliseconds until the upstream's end of the other one is closed."""
    left_s = time.monotonic()
    connection.close()
    eventually(exchange.gone.is_set, what="the end of the upstream's connection")
    return (exchange.gone_s - left_s) * 1000


CASES = {
    "stream after the first token": ("stall", "commit", True, True),
    "stream before the first token": ("silent", "commit", True, False),
    "held stream": ("stall", "auto", True, False),
    "whole answer after the first token": ("stall", "plain", False, False),
    "whole answer before the first token": ("silent", "plain", False, False),
}


@pytest.mark.parametrize("case", CASES)
def test_the_upstreams_connection_is_closed_at_once(house: Site, case: str) -> None:
    mode, model, stream, reads = CASES[case]
    took_ms: list[float] = []
    for _ in range(5):
        before = len(house.small.exchanges)
        newest = _newest_id(house)
        body = {"model": model, "messages": [{"role": "user", "content": mode}], "stream": stream}
        connection = ask(house.gateway, "/v1/chat/completions", body)
        exchange = arrived(house, before)
        if reads:
            received = b""
            while b'"content":"It"' not in received.replace(b'": "', b'":"'):
                received += connection.recv(65_536)
        took_ms.append(leave(connection, exchange))

        receipt = eventually(lambda old=newest: _receipt_after(house, old), what="the receipt")
        assert receipt["outcome"] == "cancelled"
        assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["cancelled"]
        assert receipt["bytes_left"] == len(exchange.raw)
        assert len(house.small.exchanges) == before + 1, "it was tried again for nobody"
        if reads:
            assert receipt["attempts"][0]["usage"]["output_tokens"] > 0
            assert not receipt["attempts"][0]["usage"]["measured"]
    print(f"{case}: upstream closed after {min(took_ms):.1f} to {max(took_ms):.1f} ms")
    assert sorted(took_ms)[2] < CLOSED_WITHIN_S * 1000


def test_a_client_that_leaves_while_it_sends_is_forgotten(house: Site) -> None:
    newest = _newest_id(house)
    before = len(house.small.exchanges)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {house.gateway.key}\r\n"
    with socket.create_connection(house.gateway.address, timeout=10) as connection:
        connection.sendall(head.encode() + b'content-length: 100\r\n\r\n{"model":"plain"')
    assert house.ask("hello").status_code == 200
    assert len(house.small.exchanges) == before + 1
    assert _newest_id(house) != newest
    assert "Traceback" not in house.gateway.log


def _newest_id(house: Site) -> str:
    rows = house.gateway.get("/v1/receipts?limit=1")["data"]
    return rows[0]["id"] if rows else ""


def _receipt_after(house: Site, old: str) -> dict[str, Any] | None:
    if _newest_id(house) == old:
        return None
    return house.gateway.newest_receipt()
