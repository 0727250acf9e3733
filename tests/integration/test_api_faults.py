"""The gateway as a process when something behind it, below it or around it fails: whole, visibly broken, or refused."""

from __future__ import annotations

import json
import resource
import signal
import socket
from collections.abc import Generator
from pathlib import Path

import httpx2
import openai
import pytest

from freehold.audit.keys import VERIFIER_KEY
from freehold.audit.verify import verify_folder
from tests.servers.http import Exchange
from tests.servers.openai_server import TEXT, OpenAIServer
from tests.support.server import eventually, refused_start, running
from tests.support.site import Site, site


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with site(tmp_path_factory.mktemp("faults")) as running:
        yield running


@pytest.fixture
def own_house(tmp_path: Path) -> Generator[Site]:
    """For tests that break something."""
    with site(tmp_path) as running:
        yield running


def chat(text: str, *, model: str = "plain", stream: bool = False) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}


def hits(server: OpenAIServer, text: str) -> int:
    return sum(1 for each in server.exchanges if text.encode() in each.raw)


@pytest.mark.parametrize("stream", [False, True])
def test_a_busy_upstream_is_told_at_once_with_its_own_pause(tmp_path: Path, stream: bool) -> None:
    with site(tmp_path) as house:
        with pytest.raises(openai.RateLimitError) as refused:
            house.ask("429", stream=stream)
        assert refused.value.response.headers["retry-after"] == "7"
        assert refused.value.body["code"] == "rate_limit_exceeded"
        assert refused.value.body["source"] == "small"
        assert hits(house.small, "429") == 1
        receipt = house.gateway.receipt(refused.value.response.headers["freehold-receipt"])
        assert len(receipt["attempts"]) == 1


def test_an_upstreams_own_failure_keeps_its_status(house: Site) -> None:
    with pytest.raises(openai.InternalServerError) as failed:
        house.ask("500")
    assert failed.value.status_code == 500
    assert failed.value.body["freehold_code"] == "FH-UPSTREAM-005"
    assert hits(house.small, "500") == 1


def test_a_page_instead_of_an_answer_is_a_bad_gateway(house: Site) -> None:
    with pytest.raises(openai.InternalServerError) as failed:
        house.ask("html")
    assert (failed.value.status_code, failed.value.body["freehold_code"]) == (502, "FH-UPSTREAM-002")


def test_a_prompt_that_is_too_long_keeps_both_numbers(house: Site) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        house.ask("context")
    assert refused.value.code == "context_length_exceeded"
    assert "12031" in refused.value.message
    assert "2048" in refused.value.message


def test_an_upstream_that_is_down_is_passed_over_or_told_without_its_address(house: Site) -> None:
    reply = house.ask("hello", model="fallback")
    assert reply.headers["freehold-deployment"] == "large"
    tried = [(attempt["deployment"], attempt["outcome"]) for attempt in house.receipt_of(reply)["attempts"]]
    assert tried[0] == ("nowhere", "failed")
    assert tried[-1] == ("large", "complete")

    with pytest.raises(openai.InternalServerError) as failed:
        house.ask("hello", model="nowhere")
    assert (failed.value.status_code, failed.value.body["freehold_code"]) == (502, "FH-UPSTREAM-001")
    assert "127.0.0.1" not in failed.value.response.text


@pytest.mark.parametrize("mode", ["cut", "error-event", "garbage", "no-end"])
def test_a_stream_that_breaks_looks_broken(house: Site, mode: str) -> None:
    client = house.gateway.openai()
    heard: list[str] = []
    with (
        pytest.raises(openai.APIError) as broken,
        client.chat.completions.create(stream=True, **_sdk(mode)) as stream,
    ):
        heard.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    told = broken.value.body
    if mode == "error-event":
        assert (told["message"], told["code"]) == ("out of memory", 500), "the upstream's own event is passed on"
    else:
        assert told["freehold_code"] in {"FH-UPSTREAM-003", "FH-UPSTREAM-002"}

    raw = _raw_post(house, chat(mode, stream=True))
    assert b"[DONE]" not in raw
    assert not raw.endswith(b"0\r\n\r\n"), "the transfer ended as if it were whole"
    last = json.loads(raw.split(b"data: ")[-1].split(b"\n\n")[0])
    assert raw.count(b'"error"') == 1, "a client is told once"
    if mode != "error-event":
        assert last["error"]["source"] == "small"
    receipt = house.gateway.receipt(raw.split(b"freehold-receipt: ")[1].split(b"\r\n")[0].decode())
    assert receipt["outcome"] == "broken"
    assert "Traceback" not in house.gateway.log


def _sdk(mode: str) -> dict[str, object]:
    return {"model": "plain", "messages": [{"role": "user", "content": mode}]}


def _raw_post(house: Site, body: dict[str, object]) -> bytes:
    """Everything that comes over the wire until the server closes."""
    payload = json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {house.gateway.key}\r\n"
        f"content-length: {len(payload)}\r\n\r\n"
    )
    with socket.create_connection(house.gateway.address, timeout=10) as connection:
        connection.sendall(head.encode() + payload)
        pieces = []
        while piece := connection.recv(65_536):
            pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize("stream", [False, True])
def test_a_held_answer_that_breaks_is_made_good_by_the_next(own_house: Site, stream: bool) -> None:
    house = own_house
    with house.gateway.http() as client:
        reply = client.post("/v1/chat/completions", json=chat("cut", model="auto", stream=stream))
    receipt = house.gateway.receipt(reply.headers["freehold-receipt"])
    tried = [(attempt["deployment"], attempt["outcome"]) for attempt in receipt["attempts"]]
    assert tried == [("small", "broken"), ("large", "complete")]
    assert reply.status_code == 200
    assert "scripted" in reply.text
    assert "error" not in reply.text


class WatchingServer(OpenAIServer):
    """Looks at the audit log's folder whenever a call arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.folder: Path | None = None
        self.recorded: list[bool] = []

    async def answer(self, exchange: Exchange) -> None:
        if self.folder is not None and exchange.method == "POST":
            written = b"".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())
            self.recorded.append(b"egress.intent" in written)
        await super().answer(exchange)


def test_the_intent_is_on_disk_before_the_upstream_sees_the_text(tmp_path: Path) -> None:
    server = WatchingServer()
    with site(tmp_path, small=server) as house:
        server.folder = house.gateway.audit_folder
        house.ask("hello")
    assert server.recorded == [True]


def test_a_full_disk_lets_nothing_leave_and_a_restart_goes_on(tmp_path: Path) -> None:
    with site(tmp_path) as house:
        gateway, config = house.gateway, house.gateway.config.read_text()
        house.ask("before")
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        for _ in range(3):
            with pytest.raises(openai.APIStatusError) as failed:
                house.ask("secret")
            assert failed.value.body["freehold_code"] in {"FH-AUDIT-001", "FH-POLICY-001"}
        assert hits(house.small, "secret") == 0
        assert not gateway.ready()
        gateway.stop()

        with running(config, tmp_path) as again:
            assert again.openai().chat.completions.create(**_sdk("after")).choices[0].message.content == TEXT
            vkey = (again.audit_folder / VERIFIER_KEY).read_text(encoding="ascii").strip()
            assert verify_folder(again.audit_folder, vkey).orphans == ()


def test_a_revoked_key_opens_nothing_within_seconds(house: Site) -> None:
    secret, key_id = house.gateway.new_key(tenant="other")
    with house.gateway.key_ring() as ring:
        ring.revoke(key_id)
    with house.gateway.http(secret) as client:
        refused = eventually(
            lambda: (reply := client.get("/v1/models")).status_code == 401 and reply, what="the revocation"
        )
    assert refused.json()["error"]["freehold_code"] == "FH-AUTH-002"
    assert refused.headers["www-authenticate"] == "Bearer"


def test_a_stop_ends_a_stream_that_does_not_end_by_itself(own_house: Site) -> None:
    gateway = own_house.gateway
    with (
        gateway.http() as client,
        client.stream("POST", "/v1/chat/completions", json=chat("stall", stream=True)) as reply,
    ):
        receipt_id = reply.headers["freehold-receipt"]
        lines = reply.iter_lines()
        next(lines)
        gateway.process.send_signal(signal.SIGTERM)
        rest: list[str] = []
        with pytest.raises(httpx2.RemoteProtocolError):
            rest.extend(lines)
    assert gateway.process.wait(10) == 0
    assert "FH-SERVER-010" in "".join(rest)
    assert "Traceback" not in gateway.log
    assert "completing response" not in gateway.log
    assert f"chat cancelled request_id={receipt_id}" in gateway.log


def test_a_second_gateway_on_the_same_folder_does_not_start(own_house: Site) -> None:
    gateway = own_house.gateway
    told = refused_start("[server]\nport = 0\n", gateway.data.parent)
    assert told["code"] == "FH-SERVER-002"
    assert str(gateway.pid) in told["message"]


def test_a_changed_configuration_comes_into_force_and_a_bad_one_does_not(own_house: Site) -> None:
    gateway = own_house.gateway
    text = gateway.config.read_text()
    gateway.config.write_text(text + '"gpt-5" = "large"\n')
    eventually(lambda: "gpt-5" in _names(own_house), what="the new alias")
    assert own_house.ask("hello", model="gpt-5").headers["freehold-deployment"] == "large"

    gateway.config.write_text(text + '"gpt-6" = "lareg"\n')
    eventually(lambda: "lareg" in gateway.log, what="the complaint")
    assert "did you mean" in gateway.log
    assert "gpt-5" in _names(own_house)
    assert TEXT in own_house.ask("hello", model="gpt-5").text


def _names(house: Site) -> set[str]:
    return {each["id"] for each in house.gateway.get("/v1/models")["data"]}
