"""A real server that dies is never mistaken for one that has finished, and is used again when it is back."""

from __future__ import annotations

import json
import time

import httpx2
import pytest

from tests.real.house import House, Way
from tests.real.report import Report
from tests.support.server import eventually

NATIVE = Way("llama-server", "llama-native", passes=False)
DEATHS = (Way("llama-server", "llama", passes=True), NATIVE, Way("vllm", "vllm", passes=True))


@pytest.mark.parametrize("dying", DEATHS, ids=str)
def test_a_server_killed_in_mid_stream(real_house: House, dying: Way, report: Report) -> None:
    server = real_house.server(dying)
    newest = real_house.newest_id()
    body = {
        "model": dying.model,
        "messages": [{"role": "user", "content": "Count to a thousand."}],
        "stream": True,
        "max_tokens": 1500,
        "ignore_eos": True,
    }
    received = b""
    try:
        with (
            pytest.raises(httpx2.RemoteProtocolError),  # the transfer does not end in good order either
            real_house.gateway.http() as client,
            client.stream("POST", "/v1/chat/completions", json=body, timeout=60) as reply,
        ):
            assert reply.status_code == 200
            for piece in reply.iter_raw():
                received += piece
                if received.count(b"data:") >= 5 and server.alive:
                    server.kill()
        _ends_in_an_error(received, dying.model)
        receipt = real_house.receipt_after(newest)
        assert receipt["outcome"] == "broken"
        assert receipt["attempts"][-1]["error_code"] == "FH-UPSTREAM-003"
        _is_refused_at_once(real_house, dying)
    finally:
        if not server.alive:
            server.start()
    took_s = _is_used_again(real_house, dying)
    report.note(f"{dying.model}: used again after its server was back, s", took_s)


def _ends_in_an_error(received: bytes, name: str) -> None:
    assert b"[DONE]" not in received
    last = received.strip().rpartition(b"\n\n")[2]
    error = json.loads(last.removeprefix(b"data:"))["error"]
    assert error["freehold_code"] == "FH-UPSTREAM-003"
    assert error["source"] == name


def _is_refused_at_once(house: House, way: Way) -> None:
    reply = house.post("/v1/chat/completions", {"model": way.model, "messages": [{"role": "user", "content": "Hello"}]})
    assert reply.status_code in (502, 503), reply.text
    assert reply.json()["error"]["source"] in (way.model, "freehold")


def _is_used_again(house: House, way: Way) -> float:
    began_s = time.monotonic()

    def works() -> bool:
        reply = house.post(
            "/v1/chat/completions",
            {"model": way.model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2},
        )
        return reply.status_code == 200

    eventually(works, within_s=60, what=f"an answer of {way.model}")
    return time.monotonic() - began_s
