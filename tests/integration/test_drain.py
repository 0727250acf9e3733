"""Stopping and reloading while streams run: nobody is cut off who had time, and nobody is left without a word."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.servers.http import Exchange
from tests.servers.openai_server import TEXT, OpenAIServer, event, payloads
from tests.support.server import Gateway, eventually, running
from tests.support.upstream import in_thread

STREAMS = 50
CONFIG = """
[server]
port = 0
drain_s = {drain_s}

[deployments.one]
engine = "openai"
model = "{model}"
zone = "lan"
base_url = "{base_url}"
clearance = "internal"
slots = {slots}

[routes.plain]
deployments = ["one"]
signals = false
"""


class GatedServer(OpenAIServer):
    """Streams two pieces, and the rest once its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    def open_gate(self) -> None:
        self._loop.call_soon_threadsafe(self.gate.set)

    async def _stream(self, exchange: Exchange, mode: str) -> None:
        await exchange.start()
        for place, payload in enumerate(payloads(exchange.body, mode)):
            if place == 2:
                await self.gate.wait()
            await exchange.send(event(payload))
        await exchange.send(b"data: [DONE]\n\n")
        await exchange.end()


@dataclass
class Client:
    """One streaming request on a connection of its own, read as bytes."""

    connection: socket.socket
    heard: bytearray = field(default_factory=bytearray)

    @classmethod
    def ask(cls, gateway: Gateway) -> Client:
        body = json.dumps({"model": "plain", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}).encode()
        connection = socket.create_connection(gateway.address, timeout=30)
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {gateway.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        return cls(connection)

    def hear(self, until: bytes) -> None:
        """Read until ``until`` was heard, or to the end."""
        while until not in self.heard and (piece := self.connection.recv(65_536)):
            self.heard += piece

    @property
    def is_whole(self) -> bool:
        return b"data: [DONE]" in self.heard and self.heard.endswith(b"0\r\n\r\n")

    @property
    def text(self) -> str:
        chunks = re.findall(rb"data: (\{.*\})", self.heard)
        choices = [choice for each in chunks for choice in json.loads(each).get("choices", [])]
        return "".join(choice["delta"].get("content") or "" for choice in choices)

    @property
    def receipt_id(self) -> str:
        found = re.search(rb"freehold-receipt: (\S+)", self.heard)
        assert found is not None, self.heard
        return found[1].decode()


@dataclass
class Scene:
    """A gateway with streams that run."""

    gateway: Gateway
    server: GatedServer
    clients: list[Client]


@contextmanager
def scene(folder: Path, *, drain_s: int = 20, streams: int = STREAMS, slots: int = 64) -> Generator[Scene]:
    with ExitStack() as stack:
        server = stack.enter_context(in_thread(GatedServer()))
        config = CONFIG.format(drain_s=drain_s, model="first", base_url=server.base_url, slots=slots)
        gateway = stack.enter_context(running(config, folder))
        clients = [Client.ask(gateway) for _ in range(min(streams, slots))]
        for client in clients:
            client.hear(b"data: ")
        eventually(lambda: len(server.exchanges) == len(clients), what="all streams at the upstream")
        # Only now: of two that ask at once nobody knows which one waits for the other.
        clients += [Client.ask(gateway) for _ in range(slots, streams)]
        eventually(lambda: waiting(gateway) == max(0, streams - slots), what="the others in the queue")
        for client in clients:
            stack.callback(client.connection.close)
        yield Scene(gateway, server, clients)


def waiting(gateway: Gateway) -> int:
    """How many wait for a slot."""
    with gateway.http() as client:
        depths = re.findall(r"^freehold_queue_depth\{.*\} (\d+)$", client.get("/metrics").text, re.MULTILINE)
    return sum(int(depth) for depth in depths)


def refused_from_now_on(gateway: Gateway) -> None:
    """``/readyz`` says no and new requests are told when to come back, on a new connection each."""

    def unready() -> bool:
        with gateway.http("") as client:
            return client.get("/readyz").status_code == 503

    eventually(unready, within_s=2, what="not being ready")
    with gateway.http() as client:
        assert client.get("/healthz").status_code == 200
        reply = client.post("/v1/chat/completions", json={"model": "plain", "messages": []})
    assert reply.status_code == 503
    assert reply.json()["error"]["freehold_code"] == "FH-ADMIT-003"
    assert 5 <= int(reply.headers["retry-after"]) <= 7
    assert reply.headers["connection"] == "close"


def test_a_stop_lets_streams_end_and_takes_nothing_new(tmp_path: Path) -> None:
    with scene(tmp_path, slots=STREAMS - 5) as found:
        gateway = found.gateway
        gateway.process.send_signal(signal.SIGTERM)
        refused_from_now_on(gateway)
        found.server.open_gate()
        for client in found.clients:  # those that waited for a slot among them
            client.hear(b"0\r\n\r\n")
            assert client.is_whole
            assert client.text == TEXT
        assert gateway.process.wait(10) == 0
        assert "Traceback" not in gateway.log
        told = {client.receipt_id for client in found.clients}
        assert len(told) == STREAMS
        assert all(f"chat complete request_id={each}" in gateway.log for each in told)


def broken_off(found: Scene) -> None:
    for client in found.clients:
        client.hear(b"never")
        assert b"FH-SERVER-010" in client.heard
        assert b"[DONE]" not in client.heard
        assert not client.heard.endswith(b"0\r\n\r\n")
        assert client.text == TEXT.split(" ")[0]
    assert found.gateway.process.wait(10) == 0
    log = found.gateway.log
    assert "Traceback" not in log
    assert all(f"chat cancelled request_id={client.receipt_id}" in log for client in found.clients)


def test_streams_that_do_not_end_in_time_are_told_so(tmp_path: Path) -> None:
    with scene(tmp_path, drain_s=1) as found:
        found.gateway.process.send_signal(signal.SIGTERM)
        broken_off(found)


def test_a_second_signal_ends_them_at_once(tmp_path: Path) -> None:
    with scene(tmp_path, drain_s=600) as found:
        found.gateway.process.send_signal(signal.SIGTERM)
        refused_from_now_on(found.gateway)
        found.gateway.process.send_signal(signal.SIGTERM)
        broken_off(found)


def test_a_stop_with_nothing_to_do_is_quick(tmp_path: Path) -> None:
    with scene(tmp_path, drain_s=600, streams=0) as found:
        found.gateway.process.send_signal(signal.SIGTERM)
        assert found.gateway.process.wait(5) == 0


@pytest.mark.parametrize("streams", [20])
def test_streams_survive_a_reload_that_replaces_their_deployment(tmp_path: Path, streams: int) -> None:
    with scene(tmp_path, streams=streams) as found, in_thread(OpenAIServer()) as second:
        gateway = found.gateway
        config = CONFIG.format(drain_s=20, model="second", base_url=second.base_url, slots=64)
        gateway.config.write_text(config, encoding="utf-8")
        gateway.process.send_signal(signal.SIGHUP)

        def answered_by_second() -> bool:
            fresh = Client.ask(gateway)
            fresh.hear(b"data: ")
            fresh.connection.close()
            return bool(second.exchanges)

        eventually(answered_by_second, what="the new deployment")
        found.server.open_gate()
        for client in found.clients:
            client.hear(b"0\r\n\r\n")
            assert client.is_whole
            assert client.text == TEXT
        assert "Traceback" not in gateway.log
