"""The gateway as a process with its real child and a real model: leaving, dying, and what is too long."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import statistics
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import openai
import pytest

from freehold.audit.keys import VERIFIER_KEY
from freehold.audit.verify import verify_folder
from tests.models import starter_model
from tests.support.processes import children_of
from tests.support.server import Gateway, eventually, running

pytestmark = pytest.mark.models

WORDS = ("river", "stone", "window", "market", "garden", "paper", "engine", "signal", "winter", "letter", "bridge")
CONFIG = """
[server]
port = 0
drain_s = 2
[deployments.small]
engine = "embedded"
model = "{model}"
context_tokens = 4096
slots = 1
threads = 1
[routes.auto]
deployments = ["small"]
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Generator[Gateway]:
    model = starter_model("smollm2-135m")
    with running(CONFIG.format(model=model), tmp_path_factory.mktemp("models")) as found:
        yield found


def chat(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "auto", "messages": [{"role": "user", "content": text}], "stream": True, **more}


class Stream:
    """One streamed request over a connection of its own, read line by line."""

    def __init__(self, gateway: Gateway, body: dict[str, Any]) -> None:
        payload = json.dumps(body).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {gateway.key}\r\n"
            f"content-length: {len(payload)}\r\n\r\n"
        )
        self.received = b""
        self.begun_s = time.monotonic()
        self.connection = socket.create_connection(gateway.address, timeout=60)
        self.connection.sendall(head.encode() + payload)

    def until(self, wanted: bytes) -> float:
        """Seconds from the request until ``wanted`` came."""
        while wanted not in self.received:
            piece = self.connection.recv(65_536)
            assert piece, self.received[-2000:]
            self.received += piece
        return time.monotonic() - self.begun_s

    def rest(self) -> bytes:
        with self.connection:
            while piece := self.connection.recv(65_536):
                self.received += piece
        return self.received

    def leave(self) -> float:
        self.connection.close()
        return time.monotonic()


FIRST_TEXT = b'"content":"'


def first_token_s(gateway: Gateway) -> float:
    """How long a short question takes to its first token."""
    stream = Stream(gateway, chat("Say hi.", max_tokens=1, temperature=0))
    took_s = stream.until(b"data: ")
    stream.leave()
    return took_s


def child_of(gateway: Gateway) -> int:
    (worker,) = children_of(gateway.pid, b"llama.worker")
    return worker


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_slot_of_a_client_that_left_while_tokens_came_is_free_soon(gateway: Gateway) -> None:
    base_s = statistics.median(first_token_s(gateway) for _ in range(5))
    took_ms: list[float] = []
    for _ in range(5):
        stream = Stream(gateway, chat("Tell a very long story.", max_tokens=2000))
        stream.until(FIRST_TEXT)
        stream.leave()
        took_ms.append((first_token_s(gateway) - base_s) * 1000)
    print(f"decoding: the only slot serves the next one {_shown(took_ms)} ms later than an idle one")
    # The bar is 250 ms on a quiet machine; ten times that still catches a slot that decodes on for nobody (10 s).
    assert statistics.median(took_ms) < 2500


def test_the_slot_of_a_client_that_left_while_its_prompt_was_read_is_free_soon(gateway: Gateway) -> None:
    base_s = statistics.median(first_token_s(gateway) for _ in range(3))
    child, dice = child_of(gateway), random.Random(1)
    took_ms: list[float] = []
    for _ in range(3):
        text = " ".join(dice.choice(WORDS) for _ in range(1_700))
        used_s = cpu_s(child)
        stream = Stream(gateway, chat(text, max_tokens=5))
        eventually(lambda used=used_s: cpu_s(child) - used > 0.3, within_s=20, what="reading the prompt")
        stream.leave()
        took_ms.append((first_token_s(gateway) - base_s) * 1000)
        assert FIRST_TEXT not in stream.received
    print(f"reading: the only slot serves the next one {_shown(took_ms)} ms later than an idle one")
    # The bar is 700 ms on a quiet machine; reading it all takes 8 s and more on one core.
    assert statistics.median(took_ms) < 4000


def test_a_prompt_that_the_tokenizer_finds_too_long_is_refused_with_both_numbers(gateway: Gateway) -> None:
    client = gateway.openai()
    with pytest.raises(openai.BadRequestError) as refused:
        # 25,000 bytes: not clearly too long before the tokenizer has counted.
        client.chat.completions.create(**{**chat("a b c d e " * 2_500), "stream": False})
    assert refused.value.code == "context_length_exceeded"
    assert "4096" in refused.value.message
    receipt = gateway.receipt(refused.value.response.headers["freehold-receipt"])
    assert receipt["outcome"] == "refused"
    assert receipt["attempts"][0]["error_code"] == "FH-REQUEST-005"


def test_a_child_that_is_killed_in_a_stream_is_told_at_once_and_replaced(gateway: Gateway) -> None:
    stream = Stream(gateway, chat("Tell a very long story.", max_tokens=2000))
    stream.until(FIRST_TEXT)
    killed_s = time.monotonic()
    os.kill(child_of(gateway), signal.SIGKILL)
    stream.until(b'"error"')
    told_s = time.monotonic() - killed_s
    received = stream.rest()
    assert b"[DONE]" not in received
    error = json.loads(received.rpartition(b"data: ")[2].partition(b"\n\n")[0])["error"]
    assert (error["freehold_code"], error["source"]) == ("FH-ENGINE-001", "small")

    reply = gateway.openai().chat.completions.with_raw_response.create(**{**chat("Say hi."), "stream": False})
    again_s = time.monotonic() - killed_s
    print(f"killed: told after {told_s * 1000:.0f} ms, the next request was answered after {again_s:.1f} s")
    assert told_s < 1

    broken, whole = gateway.receipt(error["error_id"]), gateway.receipt(reply.headers["freehold-receipt"])
    assert (broken["outcome"], whole["outcome"]) == ("broken", "complete")
    assert broken["attempts"][0]["usage"]["output_tokens"] > 0
    vkey = (gateway.audit_folder / VERIFIER_KEY).read_text(encoding="ascii").strip()
    both = (broken["audit_index"], whole["audit_index"])
    report = eventually(
        lambda: (found := verify_folder(gateway.audit_folder, vkey)).size > max(both) and found, what="the checkpoint"
    )
    assert report.pending == 0
    eventually(lambda: _booked(gateway) >= {broken["id"], whole["id"]}, what="both in the ledger")


def _booked(gateway: Gateway) -> set[str]:
    """Ids of the requests that the database has, with all that the ledger says of them."""
    with contextlib.closing(sqlite3.connect(f"file:{gateway.data / 'freehold.db'}?mode=ro", uri=True)) as database:
        return {row[0] for row in database.execute("SELECT id FROM receipts")}


def _shown(values: list[float]) -> list[int]:
    return [round(value) for value in values]
