"""Every kind of engine with the means to script it, behind one face, so that one suite can hold them all to account."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self

import pytest

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Terms, Upstream
from freehold.domain.errors.request import ContextTooLong
from freehold.domain.errors.upstream import UpstreamStatus
from freehold.domain.ports import Engine
from freehold.domain.request import InferenceRequest
from freehold.domain.response import FinishReason
from freehold.domain.zones import DEVICE, Zone
from freehold.engines.anthropic import AnthropicEngine
from freehold.engines.llama.engine import LlamaEngine
from freehold.engines.llama.settings import LlamaSettings
from freehold.engines.openai_compatible import OpenAICompatibleEngine
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.net.broker import Broker
from freehold.wire.messages_request import decode_count_tokens
from freehold.wire.openai_request import decode_chat, decode_completion, decode_embedding, decode_rerank
from tests.models import starter_model
from tests.servers import anthropic_server, openai_server
from tests.servers.http import ScriptedServer
from tests.support.fake_engine import FakeAnswer, FakeEngine

SECRET = "sk-very-secret-credential"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def chat(mode: str = "Hi", **members: Any) -> InferenceRequest:
    body = {"model": "auto", "messages": [{"role": "user", "content": mode}], "max_tokens": 24, **members}
    return decode_chat(json.dumps(body).encode(), request_id="r1")


def completion(prompt: str = "Hi", **members: Any) -> InferenceRequest:
    body = {"model": "auto", "prompt": prompt, "max_tokens": 8, **members}
    return decode_completion(json.dumps(body).encode(), request_id="r1")


def counting(mode: str = "Hi", **members: Any) -> InferenceRequest:
    body = {"model": "auto", "messages": [{"role": "user", "content": mode}], **members}
    return decode_count_tokens(json.dumps(body).encode(), request_id="r1")


def embedding(*texts: str, **members: Any) -> InferenceRequest:
    return decode_embedding(json.dumps({"model": "auto", "input": texts, **members}).encode(), request_id="r1")


def rerank(query: str, *documents: str, **members: Any) -> InferenceRequest:
    body = {"model": "auto", "query": query, "documents": documents, **members}
    return decode_rerank(json.dumps(body).encode(), request_id="r1")


class Harness:
    """One engine, started.

    Attributes:
        engine: What is tested.
        text: What it answers; ``None`` for a real model.
        modes: Scripts that it knows, in the words of ``tests.servers.openai_server``.
        has_logprobs: Whether it gives log-probabilities.
        tasks: What it serves.
    """

    kind = EngineKind.OPENAI
    text: str | None = openai_server.TEXT
    modes = frozenset(
        {"429", "500", "context", "cut", "no-end", "error-first", "error-event", "garbage", "stall", "tools", "html"}
    )
    has_logprobs = True
    tasks = frozenset({"chat", "completion", "embedding", "rerank"})
    engine: Engine

    def __init__(self, *, zone: Zone = DEVICE) -> None:
        does = {"embeds": "embedding" in self.tasks, "reranks": "rerank" in self.tasks}
        card = ModelCard(name="scripted-1", context_tokens=4096, tools=True, **does)
        self.deployment = Deployment(name="home", engine=self.kind, model=card, zone=zone, terms=Terms(), slots=2)
        self.clock = SystemClock()

    async def __aenter__(self) -> Self:
        self.engine = await self.open()
        await self.engine.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.close()

    async def open(self) -> Engine:
        raise NotImplementedError

    async def left(self) -> None:
        """Returns once the other side knows that nobody listens any more."""
        raise NotImplementedError

    def deadline_s(self, seconds: float = 30.0) -> float:
        return self.clock.monotonic_s() + seconds


class FakeHarness(Harness):
    kind = EngineKind.OPENAI
    modes = frozenset({"429", "500", "context", "cut", "tools", "stall"})

    async def open(self) -> FakeEngine:
        name = self.deployment.name
        busy = UpstreamStatus(
            source=name,
            deployment=name,
            upstream_status=429,
            reason="slow down",
            upstream_code="rate_limit_exceeded",
            retry_after_s=7.0,
        )
        hurt = UpstreamStatus(source=name, deployment=name, upstream_status=500, reason="it hurts")
        long = ContextTooLong(source=name, deployment=name, prompt_tokens=12_031, context_tokens=2048)
        call = ("weather", '{"city": "Paris"}')
        self.fake = FakeEngine(
            deployment=self.deployment,
            default=FakeAnswer(text=openai_server.TEXT),
            answers={
                "429": FakeAnswer(error=busy),
                "500": FakeAnswer(error=hurt),
                "context": FakeAnswer(error=long),
                "cut": FakeAnswer(text=openai_server.TEXT, cut_at=2),
                "stall": FakeAnswer(text=openai_server.TEXT, before_piece=self._stall),
                "tools": FakeAnswer(text="", tool_call=call, finish_reason=FinishReason.TOOL_CALLS),
            },
        )
        return self.fake

    async def left(self) -> None:
        assert (self.fake.open_calls, self.fake.aborted_calls) == (0, 1)

    @staticmethod
    async def _stall(place: int) -> None:
        if place == 2:
            await asyncio.Event().wait()


class RemoteHarness(Harness):
    server: ScriptedServer

    async def __aenter__(self) -> Self:
        self.broker = Broker(clock=self.clock, permit_key=b"k" * 32)
        await self.server.__aenter__()
        await super().__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        await self.broker.close()
        await self.server.__aexit__()

    @property
    def upstream(self) -> Upstream:
        return Upstream(base_url=self.server.base_url, credential=SECRET)

    async def left(self) -> None:
        await self.server.exchanges[-1].gone.wait()


class OpenAIHarness(RemoteHarness):
    def __init__(self, *, zone: Zone = DEVICE) -> None:
        super().__init__(zone=zone)
        self.server = openai_server.OpenAIServer()

    async def open(self) -> OpenAICompatibleEngine:
        return OpenAICompatibleEngine(
            deployment=self.deployment, upstream=self.upstream, broker=self.broker, clock=self.clock
        )


class AnthropicHarness(RemoteHarness):
    kind = EngineKind.ANTHROPIC
    text = anthropic_server.TEXT
    has_logprobs = False
    tasks = frozenset({"chat"})

    def __init__(self, *, zone: Zone = DEVICE) -> None:
        super().__init__(zone=zone)
        self.server = anthropic_server.AnthropicServer()

    async def open(self) -> AnthropicEngine:
        return AnthropicEngine(deployment=self.deployment, upstream=self.upstream, broker=self.broker, clock=self.clock)


class LlamaRemoteHarness(OpenAIHarness):
    """The llama.cpp adapter in front of a server that somebody else runs; the scripted one plays it."""

    kind = EngineKind.LLAMA_SERVER
    tasks = frozenset({"chat", "completion", "embedding"})

    async def open(self) -> LlamaEngine:
        settings = LlamaSettings(base_url=self.server.base_url, credential=SECRET)
        return LlamaEngine(
            deployment=self.deployment,
            settings=settings,
            broker=self.broker,
            clock=self.clock,
            ids=SystemIds(self.clock),
        )


class LlamaHarness(Harness):
    """A real child with a real model."""

    kind = EngineKind.EMBEDDED
    text = None
    modes = frozenset()
    tasks = frozenset({"chat", "completion"})

    def __init__(self) -> None:
        super().__init__()
        self.model = starter_model("smollm2-135m")

    async def open(self) -> LlamaEngine:
        self.broker = Broker(clock=self.clock, permit_key=b"k" * 32)
        settings = LlamaSettings(model_path=str(self.model), threads=1)
        return LlamaEngine(
            deployment=self.deployment,
            settings=settings,
            broker=self.broker,
            clock=self.clock,
            ids=SystemIds(self.clock),
        )

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        await self.broker.close()

    async def left(self) -> None:
        """The child tells nobody; ``tests/integration`` measures it."""


HARNESSES = [
    pytest.param(FakeHarness, id="fake"),
    pytest.param(OpenAIHarness, id="openai"),
    pytest.param(AnthropicHarness, id="anthropic"),
    pytest.param(LlamaRemoteHarness, id="llama-server"),
    pytest.param(LlamaHarness, id="embedded", marks=pytest.mark.models),
]
