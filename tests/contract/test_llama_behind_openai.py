"""llama-server as any OpenAI server: it computes a whole answer to its end for a client that left, so none is asked for."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.contract.harnesses import OpenAIHarness, chat
from tests.servers.http import Exchange
from tests.servers.openai_server import TEXT, OpenAIServer, whole


class NamedServer(OpenAIServer):
    """Says in whole answers what it is."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    async def _whole(self, exchange: Exchange, mode: str) -> None:
        await exchange.reply_json(200, whole(exchange.body, mode), server=self._name)


async def ask_twice(harness: OpenAIHarness) -> list[dict[str, Any]]:
    """Two whole answers."""
    answers: list[dict[str, Any]] = []
    async with harness:
        for _ in range(2):
            call = harness.engine.prepare(chat(), want_logprobs=0, as_it_comes=True)
            reply = await harness.engine.relay_whole(call, permit=None, deadline_s=harness.deadline_s())
            answers.append(json.loads(reply.body))
            assert reply.usage is not None
    return answers


def harness_for(name: str) -> OpenAIHarness:
    harness = OpenAIHarness()
    harness.server = NamedServer(name)
    return harness


def test_a_server_that_notices_only_where_it_writes_is_asked_for_streams() -> None:
    harness = harness_for("llama.cpp")
    answers = asyncio.run(ask_twice(harness))
    assert [bool(exchange.body.get("stream")) for exchange in harness.server.exchanges] == [False, True]
    for answer in answers:
        assert answer["choices"][0]["message"]["content"] == TEXT
        assert answer["object"] == "chat.completion"
        assert answer["usage"]["completion_tokens"] == 6


def test_every_other_server_is_asked_as_the_client_asked() -> None:
    harness = harness_for("uvicorn")
    first, second = asyncio.run(ask_twice(harness))
    assert not any(exchange.body.get("stream") for exchange in harness.server.exchanges)
    assert first == second
