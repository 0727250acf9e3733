"""What every answer's head tells, whatever its shape: whose it is, how its caller stands, and how long it waited."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from freehold.api.exchange import Exchange, Headers
from freehold.api.inference import refusal
from freehold.api.routes import INFERENCE_ROUTES
from freehold.domain.errors.limits import LimitReached
from freehold.domain.limits import Limit, Measure, Standing, Subject, SubjectKind, Window
from freehold.domain.place import Place
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest, Task
from freehold.domain.response import EmbeddingResult, RerankResult, TokenCount
from freehold.wire.openai_whole import Aggregator
from tests.support.receipts import make_receipt
from tests.unit.gateway.test_pipeline import REQUEST_ID, engine

INFERENCE = {route.path: route.surface for route in INFERENCE_ROUTES}
STANDING = Standing(
    limit=Limit(subject=Subject(SubjectKind.TENANT, "acme"), measure=Measure.TOKENS, window=Window.DAY, amount=100),
    used=10,
    reserved=5,
    reset_s=7,
)
TOLD = {
    b"freehold-receipt": REQUEST_ID.encode(),
    b"x-ratelimit-limit-tokens": b"100",
    b"x-ratelimit-remaining-tokens": b"85",
    b"x-ratelimit-reset-tokens": b"7s",
    b"freehold-queue-position": b"2",
    b"freehold-queue-wait-ms": b"1500",
}
BODY: dict[str, Any] = {
    "model": "auto", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}], "input": "Hi", "prompt": "Hi",
    "query": "Hi", "documents": ["a"], "input_prefix": "a",
}  # fmt: skip


class Reserved:
    """Implements ``domain.ports.Reservation``."""

    def settle(self, receipt: Receipt | None) -> None: ...

    def standings(self) -> tuple[Standing, ...]:
        return (STANDING,)


@dataclass
class Written:
    """An exchange that keeps heads."""

    heads: list[Headers] = field(default_factory=list[Headers])

    def start(self, status: int, headers: Headers) -> None:
        assert status == 200
        self.heads.append(headers)

    def reply(self, status: int, headers: Headers, body: bytes, *, close: bool = False) -> None:
        assert (status, close) == (200, False)
        assert json.loads(body)
        self.heads.append(headers)


def asked(path: bytes, *, stream: bool) -> InferenceRequest:
    body = {name: value for name, value in BODY.items() if path != b"/v1/responses" or name != "prompt"}
    return INFERENCE[path].decode(json.dumps({**body, "stream": stream}).encode(), request_id=REQUEST_ID)


def head_of(path: bytes, *, stream: bool) -> dict[bytes, bytes]:
    async def scenario() -> Written:
        exchange, request = Written(), asked(path, stream=stream)
        surface, answers = INFERENCE[path], engine("small").deployment
        make: Any = surface.stream if stream else surface.whole
        sink = make(cast("Exchange", exchange), request)
        sink.limited(Reserved())
        sink.waits(Place(position=2, expected_s=1.0))
        sink.waited(1_500.0)
        sink.started(answers)
        if stream:
            sink.close()
            return exchange
        give = {
            Task.EMBEDDING: lambda: sink.vectors(EmbeddingResult(payload={"data": []})),
            Task.RERANK: lambda: sink.ranked(RerankResult(ranked=((0, 0.5),))),
            Task.COUNT: lambda: sink.counted(TokenCount(tokens=1)),
        }
        give.get(request.task, lambda: sink.collected(Aggregator()))()
        sink.finished(make_receipt(id=REQUEST_ID))
        return exchange

    (head,) = asyncio.run(scenario()).heads
    assert len(dict(head)) == len(head), "a field stands there twice"
    return dict(head)


@pytest.mark.parametrize("path", INFERENCE)
def test_a_whole_answer(path: bytes) -> None:
    head = head_of(path, stream=False)
    assert {name: head.get(name) for name in TOLD} == TOLD
    assert {b"freehold-label", b"freehold-deployment", b"freehold-zone"} <= head.keys()
    assert head.get(b"request-id") == (REQUEST_ID.encode() if path.startswith(b"/v1/messages") else None)


@pytest.mark.parametrize("path", [path for path in INFERENCE if asked(path, stream=False).is_generated])
def test_a_stream(path: bytes) -> None:
    head = head_of(path, stream=True)
    assert {name: head.get(name) for name in TOLD} == TOLD
    assert (head[b"freehold-deployment"], head[b"freehold-zone"]) == (b"small", b"device")


@pytest.mark.parametrize("path", INFERENCE)
def test_a_refusal(path: bytes) -> None:
    error = LimitReached(
        retry_after_s=90, retry_s=90, subject="s", used=1, limit=1, window="day", resets="", reserved=1, wanted=1
    )
    error.standings = (STANDING,)
    status, body, headers = refusal(error, request_id=REQUEST_ID, surface=INFERENCE[path])
    told = {name: value for name, value in TOLD.items() if b"queue" not in name}
    assert (status, {name: dict(headers).get(name) for name in told}) == (429, told)
    assert (dict(headers)[b"retry-after"], dict(headers)[b"x-should-retry"]) == (b"90", b"false")
    assert REQUEST_ID in body.decode()
