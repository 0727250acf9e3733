"""LoRA adapters with the real engine: seen in the answers of their own route, and never in another's."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from freehold.engines.llama import calls
from tests.integration.test_llama_engine import TINY, Bench, bench, chat
from tests.models import starter_model
from tests.support.adapters import PLAIN, lora_file
from tests.support.server import Gateway, eventually, running

pytestmark = pytest.mark.models

STRONG = 3.0
QUESTION = "Name three colours."
ADDED = """
[deployments.lists]
engine = "embedded"
model = "{model}"
context_tokens = 1024
adapters = ["{adapter}"]
adapter_digests = ["{sha256}"]

[routes.listing]
deployments = ["lists"]
"""


def ask(gateway: Gateway, route: str, **members: object) -> str:
    with gateway.http() as client:
        body = {"model": route, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 16, "temperature": 0}
        reply = client.post("/v1/chat/completions", json=body | members)
        assert reply.status_code == 200, reply.text
        return reply.json()["choices"][0]["message"]["content"]


def test_a_route_gets_an_adapter_without_a_restart_and_no_other_route_sees_it(tmp_path: Path) -> None:
    model, adapter = starter_model(TINY), lora_file(tmp_path, name="short.gguf", strength=STRONG)
    sha256 = hashlib.sha256(adapter.read_bytes()).hexdigest()
    with running(PLAIN.format(model=model), tmp_path) as gateway:
        plain = ask(gateway, "everyday")
        whole = PLAIN.format(model=model) + ADDED.format(model=model, adapter=adapter, sha256=sha256)
        gateway.config.write_text(whole, encoding="utf-8")
        gateway.process.send_signal(signal.SIGHUP)
        eventually(lambda: "lists is ready" in gateway.log, within_s=60, what="the new deployment")
        adapted = ask(gateway, "listing")
        assert adapted != plain
        named = gateway.newest_receipt()["attempts"][0]
        assert named["model"].endswith("+short@1")
        own = f"sha256:{hashlib.sha256(model.read_bytes()).hexdigest()}\nsha256:{sha256}@1"
        assert named["model_digest"] == f"sha256:{hashlib.sha256(own.encode()).hexdigest()}"
        # The same prompt in turn, of one tenant and label, so that each could find what the other read.
        for _ in range(2):
            assert ask(gateway, "everyday") == plain
            assert "+" not in gateway.newest_receipt()["attempts"][0]["model"]
            assert ask(gateway, "listing") == adapted
        assert ask(gateway, "listing", lora=[{"id": 0, "scale": 0.0}]) == adapted
        assert ask(gateway, "everyday", lora=[{"id": 0, "scale": 1.0}]) == plain
        assert gateway.log.count("plain is ready") == 1  # it went on as it was


def adapted_by(path: Path, scenario: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        async with bench(starter_model(TINY), context_tokens=1_024, adapters=((str(path), 1.0),)) as found:
            await found.engine.start()
            await scenario(found)

    asyncio.run(main())


async def answered(found: Bench, **members: object) -> tuple[str, int]:
    """The answer, and how many tokens of the prompt were known before."""
    got = await found.answer(chat(QUESTION, **members), cache_scope="acme")
    assert got.usage is not None
    return got.text, got.usage.cached_tokens


def test_a_client_cannot_switch_an_adapter_off(tmp_path: Path) -> None:
    async def scenario(found: Bench) -> None:
        mine, _ = await answered(found)
        assert (await answered(found, lora=[{"id": 0, "scale": 0.0}]))[0] == mine
        assert (await answered(found))[0] == mine

    adapted_by(lora_file(tmp_path, strength=STRONG), scenario)


def test_without_that_protection_the_client_would_switch_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_ENGINE_MEMBERS", ())

    async def scenario(found: Bench) -> None:
        mine, _ = await answered(found)
        assert (await answered(found, lora=[{"id": 0, "scale": 0.0}]))[0] != mine

    adapted_by(lora_file(tmp_path, strength=STRONG), scenario)


def test_one_worker_for_two_adapters_would_answer_from_what_the_other_read(tmp_path: Path) -> None:
    """The trap (ggml-org/llama.cpp#26207). Where this fails llama.cpp has closed it, and a worker could serve several."""

    async def scenario(found: Bench) -> None:
        await answered(found)
        lease = await found.lease()
        reply = await lease.client.request(
            method="POST",
            path="/lora-adapters",
            headers=(*lease.headers, ("content-type", "application/json")),
            body=json.dumps([{"id": 0, "scale": 0.0}]).encode(),
            permit=None,
            deadline_s=found.clock.monotonic_s() + 30,
        )
        assert reply.status == 200
        await reply.read(limit_bytes=1 << 16)
        switched, known = await answered(found)
        clean, _ = await answered(found, cache_prompt=False)
        assert known > 0
        assert switched != clean

    adapted_by(lora_file(tmp_path, strength=STRONG, blocks=range(10)), scenario)
