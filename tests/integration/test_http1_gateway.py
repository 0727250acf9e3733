"""The gateway itself over raw sockets: it serves through our protocol, and both lanes of it give the same answers."""

from __future__ import annotations

import json
import socket
from collections.abc import Generator

import pytest

from tests.support.http1 import FRAMING, PATH
from tests.support.site import Site, site

BODY = json.dumps({"model": "plain", "messages": [{"role": "user", "content": "hello"}]}).encode()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with site(tmp_path_factory.mktemp("http1")) as running:
        yield running


def told(house: Site, raw: bytes) -> tuple[int, bytes, bytes]:
    """Status, head and body of one answer, after which the connection ends."""
    received = b""
    with socket.create_connection(house.gateway.address, timeout=10) as connection:
        connection.sendall(raw)
        while piece := connection.recv(65_536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), head, body


def call(house: Site, *, method: bytes = b"POST", path: bytes = PATH, version: bytes = b"1.1") -> bytes:
    return b"%b %b HTTP/%b\r\nHost: localhost\r\nAuthorization: Bearer %b\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (
        method, path, version, house.gateway.key.encode(), len(BODY), BODY,
    )  # fmt: skip


@pytest.mark.parametrize("case", FRAMING)
def test_ambiguous_requests_are_refused(house: Site, case: str) -> None:
    status, raw = FRAMING[case]
    got, _, body = told(house, raw)
    assert got == status
    assert json.loads(body)["error"]["error_id"]


@pytest.mark.parametrize("path", [PATH, PATH + b"?api-version=1"])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_calls_are_served(house: Site, path: bytes, version: bytes) -> None:
    status, head, body = told(house, call(house, path=path, version=version))
    assert (status, json.loads(body)["object"]) == (200, "chat.completion")
    assert b"freehold-receipt: " in head


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"CONNECT", b"TRACE"])
def test_inference_takes_post_only(house: Site, method: bytes) -> None:
    status, _, body = told(house, call(house, method=method))
    assert status == 405
    assert method == b"HEAD" or json.loads(body)["error"]["freehold_code"] == "FH-REQUEST-009"


@pytest.mark.parametrize("path", [b"//v1/chat/completions", b"/v1/chat%2Fcompletions", b"/v1/./chat/completions"])
def test_what_only_looks_like_a_route_is_none(house: Site, path: bytes) -> None:
    before = len(house.small.exchanges)
    status, _, _ = told(house, call(house, path=path))
    assert status in {400, 404}
    assert len(house.small.exchanges) == before
