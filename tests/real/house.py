"""The gateway before the real servers, and the ways on which a request reaches them."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.real.servers import CONTEXT_TOKENS, LlamaServer, RealServer, VllmServer
from tests.support.server import Gateway, eventually, running
from tools.real_servers import MODEL

SERVER = """
[server]
port = 0
drain_s = 2

[tenants.default]
label = "internal"
"""

DEPLOYMENT = """
[deployments.{name}]
engine = "{engine}"
base_url = "{url}"
api_key = "file:{key}"
model = "{model}"
zone = "device"
context_tokens = {context_tokens}
slots = {slots}
tools = true
"""

JUDGED = """
[routes.{name}-judged]
deployments = ["{name}", "{name}-spare"]
stream = "commit"
uncalibrated = "accept"
"""


@dataclass(frozen=True)
class Way:
    """A name to ask for, and what becomes of the answer on its way.

    Attributes:
        server: Which server answers.
        model: What the client asks for.
        passes: The answer passes through as it came; otherwise Freehold looks into it.
    """

    server: str
    model: str
    passes: bool

    def __str__(self) -> str:
        return self.model


WAYS = (
    Way("vllm", "vllm", passes=True),
    Way("vllm", "vllm-judged", passes=False),
    Way("llama-server", "llama", passes=True),
    Way("llama-server", "llama-judged", passes=False),
    Way("llama-server", "llama-native", passes=False),
)


@dataclass
class House:
    """All that runs."""

    gateway: Gateway
    vllm: VllmServer
    llama: LlamaServer

    def server(self, way: Way) -> RealServer:
        return self.vllm if way.server == self.vllm.name else self.llama

    def post(self, path: str, body: dict[str, Any]) -> httpx2.Response:
        with self.gateway.http() as client:
            return client.post(path, json=body, timeout=120)

    def receipt_of(self, reply: httpx2.Response) -> dict[str, Any]:
        return self.gateway.receipt(reply.headers["freehold-receipt"])

    def newest_id(self) -> str:
        rows = self.gateway.get("/v1/receipts?limit=1")["data"]
        return rows[0]["id"] if rows else ""

    def receipt_after(self, old: str) -> dict[str, Any]:
        """The receipt of the one request that followed the one with the id ``old``."""
        eventually(lambda: self.newest_id() != old, what="the receipt")
        return self.gateway.newest_receipt()

    def send(self, path: str, body: dict[str, Any]) -> socket.socket:
        """Send a request over a connection of its own, and read nothing."""
        payload = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {self.gateway.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(payload)}\r\n\r\n"
        )
        connection = socket.create_connection(self.gateway.address, timeout=120)
        connection.sendall(head.encode() + payload)
        return connection


def idle_after_s(server: RealServer) -> float:
    """Seconds until the server runs nothing any more."""
    from_s = time.monotonic()
    eventually(lambda: server.busy() == 0, within_s=90, what=f"an idle {server.name}")
    return time.monotonic() - from_s


@contextmanager
def house(folder: Path, vllm: VllmServer, llama: LlamaServer) -> Generator[House]:
    """The gateway in front of servers that run."""
    secrets = {vllm.name: vllm.key, llama.name: llama.key, "wrong": "not-the-key-of-this-server"}
    for name, secret in secrets.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(secret, encoding="utf-8")
    # More context than there is: it is the servers' own refusal that is tested.
    context_tokens = CONTEXT_TOKENS * 4

    def deployment(name: str, server: RealServer, **other: Any) -> str:
        values = {
            "engine": "openai",
            "url": f"{server.url}/v1",
            "key": server.name,
            "model": MODEL,
            "context_tokens": context_tokens,
            "slots": server.slots,
        }
        return DEPLOYMENT.format(name=name, **(values | other))

    config = "".join(
        (
            SERVER,
            deployment("vllm", vllm),
            deployment("vllm-spare", vllm),
            deployment("vllm-unknown", vllm, model="no-such-model"),
            deployment("vllm-locked", vllm, key="wrong"),
            deployment("llama", llama),
            deployment("llama-spare", llama),
            deployment("llama-locked", llama, key="wrong"),
            deployment("llama-native", llama, engine="llama-server", url=llama.url),
            JUDGED.format(name="vllm"),
            JUDGED.format(name="llama"),
        )
    )
    with running(config, folder) as gateway:
        yield House(gateway, vllm, llama)
