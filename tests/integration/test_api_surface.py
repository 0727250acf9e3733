"""What is served besides answers, to whom, and how connections are treated."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Generator

import pytest

from tests.support.site import Site, site

METRIC_LINE = re.compile(r'[a-z_]+(?:\{[a-z_]+="[^"\n]*"(?:,[a-z_]+="[^"\n]*")*\})? [-+0-9.eE]+(?:inf)?')


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with site(tmp_path_factory.mktemp("surface")) as running:
        yield running


def test_health_needs_no_key_and_tells_nothing_of_anybody(house: Site) -> None:
    with house.gateway.http("") as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {
        "ready": True,
        "deployments_ready": 5,
        "deployments": 5,
        "audit": True,
        "taking_requests": True,
    }


@pytest.mark.parametrize("path", ["/v1/models", "/v1/receipts", "/metrics", "/v1/receipts/x", "/v1/models/auto"])
@pytest.mark.parametrize("key", ["", "fh-wrong", "x" * 5000])
def test_everything_else_needs_one(house: Site, path: str, key: str) -> None:
    with house.gateway.http(key) as client:
        refused = client.get(path)
        asked = client.post("/v1/chat/completions", json={})
    assert refused.status_code == asked.status_code == 401
    assert refused.json()["error"]["freehold_code"] == ("FH-AUTH-002" if key else "FH-AUTH-001")


def test_the_key_may_be_sent_in_the_other_header(house: Site) -> None:
    with house.gateway.http("") as client:
        assert client.get("/v1/models", headers={"x-api-key": house.gateway.key}).status_code == 200
        assert client.get("/v1/models", headers={"authorization": f"Basic {house.gateway.key}"}).status_code == 401


def test_metrics_are_well_formed_and_count(house: Site) -> None:
    house.ask("hello")
    with house.gateway.http() as client:
        reply = client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in reply.text.splitlines() if not line.startswith("#")]
    assert [line for line in lines if not METRIC_LINE.fullmatch(line)] == []
    assert any(line.startswith("freehold_requests_total{") and not line.endswith(" 0") for line in lines)
    assert "hello" not in reply.text


def test_unknown_paths_and_methods(house: Site) -> None:
    with house.gateway.http() as client:
        assert client.get("/v1/nothing").json()["error"]["freehold_code"] == "FH-REQUEST-008"
        assert client.get("/v1/models/").status_code == 404
        assert client.get("/v1//models").status_code == 404
        wrong = client.get("/v1/chat/completions")
        assert (wrong.status_code, wrong.json()["error"]["freehold_code"]) == (405, "FH-REQUEST-009")
        assert client.delete("/v1/models").status_code == 405
        head = client.head("/v1/models")
    assert head.status_code == 200
    assert head.content == b""
    assert int(head.headers["content-length"]) > 100


@pytest.mark.parametrize(
    "path", ["/v1/%6dodels", "/V1/models", "/v1/models/../receipts", "/metrics%00", "/%2e%2e/metrics"]
)
def test_a_path_written_in_another_way_opens_nothing_more(house: Site, path: str) -> None:
    """The key is checked for the row of the table that answers."""
    status, _ = raw(house, f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
    assert status in {400, 401, 404}


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "127.0.0.1.evil.example:80"])
def test_a_name_that_is_not_this_servers_is_refused(house: Site, host: str) -> None:
    status, body = raw(house, f"GET /healthz HTTP/1.1\r\nhost: {host}\r\n\r\n")
    assert status == 421
    assert b"FH-REQUEST-010" in body


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]", "[::1]:8484"])
def test_its_own_names_are_taken(house: Site, host: str) -> None:
    assert raw(house, f"GET /healthz HTTP/1.1\r\nhost: {host}\r\n\r\n")[0] == 200


def test_a_connection_serves_many_requests_also_after_refusals(house: Site) -> None:
    connection = http.client.HTTPConnection(*house.gateway.address, timeout=10)
    headers = {"authorization": f"Bearer {house.gateway.key}"}
    body = '{"model":"plain","messages":[{"role":"user","content":"hello"}]}'
    statuses: list[int] = []
    connection.connect()
    own = connection.sock.getsockname()
    for sent in (body, "not json", body.replace("plain", "nothing"), body):
        connection.request("POST", "/v1/chat/completions", body=sent, headers=headers)
        reply = connection.getresponse()
        reply.read()
        statuses.append(reply.status)
        assert connection.sock is not None, f"closed after {reply.status}"
        assert connection.sock.getsockname() == own
    connection.close()
    assert statuses == [200, 400, 404, 200]


def test_a_second_request_before_the_first_was_answered_ends_both(house: Site) -> None:
    one = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
    two = "GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    reply = raw_all(house, one + two)
    assert reply.startswith(b"HTTP/1.1 400")
    assert reply.count(b"content-length:") == 1


def raw(house: Site, request: str) -> tuple[int, bytes]:
    """Status and everything that came, of a request sent byte by byte as written."""
    reply = raw_all(house, request.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"))
    return int(reply.split(b" ")[1]), reply


def raw_all(house: Site, request: str) -> bytes:
    with socket.create_connection(house.gateway.address, timeout=10) as connection:
        connection.sendall(request.encode())
        pieces = []
        while piece := connection.recv(65_536):
            pieces.append(piece)
    return b"".join(pieces)
