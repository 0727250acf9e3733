"""Bad input, each with the right 4xx and a message that says what to do: golden files of request and answer.

``tests/golden/bad_input/*.json``: ``body`` is what is sent, in Latin-1 so that any byte can be written, with the
placeholders below; ``answer`` is what must come. A new case is a new file without ``answer``; the failing test shows
what came.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.support.server import Gateway
from tests.support.site import Site, site

GOLDEN = Path(__file__).parents[1] / "golden" / "bad_input"
CASES = sorted(GOLDEN.glob("*.json"))
PLACEHOLDERS = {
    "<100,000 brackets>": "[" * 100_000,
    "<200 brackets>": "[" * 200 + "]" * 200,
    "<40,000 words>": "word " * 40_000,
    "<400 digits>": "9" * 400,
}
GIB = 1 << 30
MEMORY_GROWTH_MAX_BYTES = 8_000_000


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with site(tmp_path_factory.mktemp("bad")) as running:
        yield running


@pytest.fixture(scope="module")
def small_limit(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    folder = tmp_path_factory.mktemp("limit")
    with site(folder, server="body_limit_bytes = 1_048_576") as running:
        yield running


def test_there_are_golden_files() -> None:
    assert len(CASES) >= 25


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_bad_input_gets_its_answer(house: Site, path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    body: str = case["body"]
    for name, text in PLACEHOLDERS.items():
        body = body.replace(name, text)
    before = len(house.small.exchanges)
    with house.gateway.http() as client:
        reply = client.post(
            case.get("path", "/v1/chat/completions"), content=body.encode("latin-1"), headers=case.get("headers", {})
        )

    error = reply.json()["error"]
    kept = {name: error[name] for name in ("type", "code", "freehold_code", "param", "message")}
    assert {"status": reply.status_code, **kept} == case.get("answer")
    assert 400 <= reply.status_code < 500
    assert error["error_id"] == reply.headers["freehold-receipt"]
    assert len(house.small.exchanges) == before, "it reached a model"


def test_a_revoked_key(house: Site) -> None:
    """The message is the same as for a key that never was."""
    with house.gateway.http("fh-" + "a" * 43) as client:
        error = client.post("/v1/chat/completions", content=b"").json()["error"]
    assert error["freehold_code"] == "FH-AUTH-002"
    assert "freehold keys" in error["message"]


def test_members_that_nobody_knows_are_no_mistake(house: Site) -> None:
    with house.gateway.http() as client:
        body = {"model": "plain", "messages": [{"role": "user", "content": "hi"}], "x_new": {"deep": [1e3, None]}}
        assert client.post("/v1/chat/completions", json=body).status_code == 200
    assert house.small.exchanges[-1].body["x_new"] == {"deep": [1000.0, None]}


def test_a_body_of_a_gibibyte_that_is_announced_is_refused_unread(house: Site) -> None:
    house.ask("hello")  # what a first request loads is not the body's
    before = house.gateway.peak_bytes()
    status, error = send_endlessly(house.gateway, f"content-length: {GIB}", _plain_pieces())
    assert (status, error["freehold_code"]) == (413, "FH-REQUEST-003")
    assert error["message"].startswith(f"The body has {GIB} bytes, at most 16777216 are taken.")
    assert house.gateway.peak_bytes() - before < MEMORY_GROWTH_MAX_BYTES
    assert house.ask("hello").status_code == 200


def test_a_body_of_a_gibibyte_in_chunks_is_refused_at_the_limit(small_limit: Site) -> None:
    small_limit.ask("hello")
    before = small_limit.gateway.peak_bytes()
    status, error = send_endlessly(small_limit.gateway, "transfer-encoding: chunked", _chunked_pieces())
    assert (status, error["freehold_code"]) == (413, "FH-REQUEST-003")
    assert error["message"].startswith("The body has more than 1048576 bytes")
    growth = small_limit.gateway.peak_bytes() - before
    print(f"memory grew by {growth:,} bytes")
    assert growth < MEMORY_GROWTH_MAX_BYTES
    assert small_limit.ask("hello").status_code == 200


def test_a_body_at_the_limit_is_taken_and_one_byte_more_is_not(small_limit: Site) -> None:
    start, end = '{"model":"plain","messages":[{"role":"user","content":"', '"}],"max_tokens":1}'
    padding = " " * (1_048_576 - len(start) - len(end) - 2)
    with small_limit.gateway.http() as client:
        fits = client.post("/v1/chat/completions", content=(start + "hi" + end + padding).encode())
        over = client.post("/v1/chat/completions", content=(start + "hi" + end + padding + " ").encode())
    assert (fits.status_code, over.status_code) == (200, 413)


def _plain_pieces() -> Iterator[bytes]:
    piece = b" " * (1 << 20)
    return (piece for _ in range(GIB >> 20))


def _chunked_pieces() -> Iterator[bytes]:
    piece = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    return (piece for _ in range(GIB >> 20))


def send_endlessly(gateway: Gateway, framing: str, pieces: Iterator[bytes]) -> tuple[int, dict[str, str]]:
    """Send until the server closes, as a client that does not listen meanwhile; then read what it said."""
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {gateway.key}\r\n{framing}\r\n"
    )
    with socket.create_connection(gateway.address, timeout=30) as connection:
        connection.sendall(head.encode() + b"\r\n")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                connection.sendall(piece)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65_536):
                received += piece
    head_bytes, _, body = received.partition(b"\r\n\r\n")
    return int(head_bytes.split(b" ")[1]), json.loads(body)["error"]
