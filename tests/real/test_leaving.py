"""A client that leaves frees the real server, in the server's own words, and the receipt says so."""

from __future__ import annotations

import socket
import time
from typing import Any

from tests.real.house import House, Way, idle_after_s
from tests.real.report import Report
from tests.real.servers import RealServer
from tests.support.server import eventually

IDLE_WITHIN_S = 1.0
LONG: dict[str, Any] = {"max_tokens": 1500, "temperature": 0, "ignore_eos": True}
SHORT_PROMPT, LONG_PROMPT = "Count to a thousand.", "Name the colours of the rainbow. " * 120


def ask(house: House, way: Way, prompt: str, **body: Any) -> socket.socket:
    """Start a long answer on an idle server."""
    eventually(lambda: house.server(way).busy() == 0, within_s=90, what="an idle server")
    body = {"model": way.model, "messages": [{"role": "user", "content": prompt}], **LONG, **body}
    return house.send("/v1/chat/completions", body)


def at_work(server: RealServer) -> None:
    eventually(lambda: server.busy() == 1, within_s=60, what=f"a request at {server.name}")


def leave(house: House, way: Way, connection: socket.socket, newest: str) -> float:
    connection.close()
    took_s = idle_after_s(house.server(way))
    receipt = house.receipt_after(newest)
    assert receipt["outcome"] == "cancelled"
    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["cancelled"]
    return took_s


def test_in_the_middle_of_a_stream(real_house: House, way: Way, report: Report) -> None:
    newest = real_house.newest_id()
    connection = ask(real_house, way, SHORT_PROMPT, stream=True)
    received = b""
    while received.count(b'"content":"') < 5:
        piece = connection.recv(65_536)
        assert piece, received
        received += piece.replace(b'": "', b'":"')
    assert real_house.server(way).busy() == 1
    took_s = leave(real_house, way, connection, newest)
    report.note(f"{way.model}: server idle after a client left a stream, ms", took_s * 1000)
    assert took_s < IDLE_WITHIN_S


def test_while_waiting_for_a_whole_answer(real_house: House, way: Way, report: Report) -> None:
    newest = real_house.newest_id()
    connection = ask(real_house, way, SHORT_PROMPT)
    at_work(real_house.server(way))
    decodes(real_house.server(way))
    took_s = leave(real_house, way, connection, newest)
    report.note(f"{way.model}: server idle after a client left a whole answer, ms", took_s * 1000)
    assert took_s < IDLE_WITHIN_S


def test_while_the_prompt_is_read(real_house: House, way: Way, report: Report) -> None:
    """Measured, not held to a bar: llama-server looks at its socket only where it writes, vLLM between two steps."""
    newest = real_house.newest_id()
    connection = ask(real_house, way, f"{time.monotonic()} {LONG_PROMPT}", stream=True, max_tokens=50)
    at_work(real_house.server(way))
    took_s = leave(real_house, way, connection, newest)
    report.note(f"{way.model}: server idle after a client left while its prompt was read, ms", took_s * 1000)


def test_the_official_client_closes_a_stream(real_house: House, way: Way) -> None:
    eventually(lambda: real_house.server(way).busy() == 0, within_s=90, what="an idle server")
    newest = real_house.newest_id()
    extra = {name: value for name, value in LONG.items() if name == "ignore_eos"}
    client = real_house.gateway.openai()
    with client.chat.completions.create(
        model=way.model,
        messages=[{"role": "user", "content": SHORT_PROMPT}],
        max_tokens=1500,
        stream=True,
        extra_body=extra,
    ) as stream:
        for _, chunk in zip(range(4), stream, strict=False):
            assert chunk.choices
    assert idle_after_s(real_house.server(way)) < IDLE_WITHIN_S
    assert real_house.receipt_after(newest)["outcome"] == "cancelled"


def decodes(server: RealServer) -> None:
    """Wait until the prompt is read and tokens come."""
    before = server.tokens()
    eventually(lambda: server.tokens() > before + 4, within_s=20, what=f"tokens of {server.name}")
    assert server.busy() == 1
