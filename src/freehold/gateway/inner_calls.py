"""Calls that an answer of ours needs: each is a request like any other, with its label, policy, limits and receipt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import msgspec

from freehold.domain.deployment import Deployment
from freehold.domain.errors.server import Internal
from freehold.domain.identity import Principal
from freehold.domain.place import Place
from freehold.domain.ports import Reservation
from freehold.domain.priority import Priority
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest, Purpose
from freehold.domain.response import EmbeddingResult, RerankResult, ResponseChunk, TokenCount
from freehold.gateway.pipeline import Pipeline
from freehold.wire.openai_request import decode_chat, decode_embedding
from freehold.wire.openai_whole import Aggregator

_ENCODER = msgspec.json.Encoder()


def _untold(_reservation: Reservation) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, and what the call that it made says of all calls made for it.

    Attributes:
        principal: Who.
        request_id: Id of the first call made for it.
        label_header: What it says of its text's label.
        traceparent: The trace that the calls belong to.
        client_request_id: Its own name of the request.
        priority: How urgent it is.
        limited: Is told what was set aside of its limits, by each call that has to.
    """

    principal: Principal
    request_id: str
    label_header: str | None = None
    traceparent: str = ""
    client_request_id: str = ""
    priority: Priority = Priority.NORMAL
    limited: Callable[[Reservation], object] = _untold


class KeptAnswer:
    """Keeps a whole answer for who asked. Implements ``gateway.answer.Sink``."""

    __slots__ = ("_limited", "_receipt", "answer", "result")

    dialect = None
    is_full = False

    def __init__(self, limited: Callable[[Reservation], object] = _untold) -> None:
        self._limited = limited
        self.answer = Aggregator()
        self.result = EmbeddingResult(payload={})
        self._receipt: Receipt | None = None

    @property
    def receipt(self) -> Receipt:
        """Its receipt, which is kept by now."""
        if self._receipt is None:
            raise Internal(error_id="an answer without a receipt")
        return self._receipt

    async def drained(self) -> None:
        """Returns at once."""

    def limited(self, reservation: Reservation) -> None:
        """Who asked will tell it, after the last of its calls."""
        self._limited(reservation)

    def waits(self, place: Place) -> None:
        """Nobody looks at it meanwhile."""

    def waited(self, queue_ms: float) -> None:
        """The receipt says so."""

    def started(self, deployment: Deployment) -> None:
        """The receipt will say who answered."""

    def chunk(self, chunk: ResponseChunk) -> None:
        """An event of a stream: none was asked for."""
        raise RuntimeError(f"an event for a whole answer: {chunk!r}")

    def events(self, data: bytes) -> bool:
        """Events as they came: none are taken."""
        raise RuntimeError(f"{len(data)} bytes of events for a whole answer")

    def whole(self, body: bytes) -> None:
        """An answer as it came: it is always looked into."""
        raise RuntimeError(f"{len(body)} bytes that nobody looked into")

    def collected(self, answer: Aggregator) -> None:
        """A whole answer."""
        self.answer = answer

    def vectors(self, result: EmbeddingResult) -> None:
        """The answer to an embedding request."""
        self.result = result

    def ranked(self, result: RerankResult) -> None:
        """The answer to a reranking request: none was asked for."""
        raise RuntimeError(f"a ranking that nobody asked for: {result.usage}")

    def counted(self, count: TokenCount) -> None:
        """The answer to a request to count: none was asked for."""
        raise RuntimeError(f"a count that nobody asked for: {count}")

    def finished(self, receipt: Receipt, *, end: bytes = b"") -> None:  # noqa: ARG002 - a stream's
        """Keep the receipt."""
        self._receipt = receipt


async def embed(
    pipeline: Pipeline, caller: Caller, *, model: str, texts: Sequence[str], request_id: str
) -> tuple[list[list[float]], Receipt]:
    """Vectors of texts, in their order."""
    body = _ENCODER.encode({"model": model, "input": list(texts)})
    request = decode_embedding(body, request_id=request_id, label_header=caller.label_header)
    kept = await _ask(pipeline, caller, request)
    rows = cast("list[dict[str, list[float]]]", kept.result.payload["data"])  # as wire.openai_embeddings makes them
    return [row["embedding"] for row in rows], kept.receipt


async def chat(
    pipeline: Pipeline, caller: Caller, *, members: Mapping[str, object], request_id: str
) -> tuple[Aggregator, Receipt]:
    """One whole answer of a chat."""
    request = decode_chat(_ENCODER.encode(members), request_id=request_id, label_header=caller.label_header)
    kept = await _ask(pipeline, caller, request)
    return kept.answer, kept.receipt


async def _ask(pipeline: Pipeline, caller: Caller, request: InferenceRequest) -> KeptAnswer:
    named = replace(
        request,
        traceparent=caller.traceparent,
        client_request_id=caller.client_request_id,
        priority=caller.priority,
        purpose=Purpose.LABELS,
        for_request=caller.request_id if caller.request_id != request.id else "",
    )
    kept = KeptAnswer(caller.limited)
    await pipeline.answer(named, caller.principal, kept)
    return kept
