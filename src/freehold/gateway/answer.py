"""Where an answer goes: what the request path tells a surface, which renders it for its client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from freehold.domain.deployment import Deployment
from freehold.domain.place import Place
from freehold.domain.ports import Reservation
from freehold.domain.receipt import Receipt
from freehold.domain.request import Dialect
from freehold.domain.response import EmbeddingResult, RerankResult, ResponseChunk, TokenCount
from freehold.wire.openai_whole import Aggregator


class Sink(Protocol):
    """One answer's way to its client.

    ``started`` comes once and first, but for ``limited``, ``waits`` and ``waited``. For a client that streams, ``chunk``
    and ``events`` follow in any number; for one that does not, exactly one of ``whole``, ``collected``, ``vectors``,
    ``ranked`` and ``counted``. ``finished`` comes last, and only for an answer that is whole and on record. An answer
    that fails ends without it: the surface sees the error.
    """

    @property
    def dialect(self) -> Dialect | None:
        """In which dialect an answer may pass through as it came; ``None`` for a client of yet another shape."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether the client reads more slowly than it is written to: await ``drained`` before going on."""
        ...

    async def drained(self) -> None:
        """Wait until the client has caught up."""
        ...

    def limited(self, reservation: Reservation) -> None:
        """Its caller has limits: how it stands with them is told in the head. Before anything else, if at all."""
        ...

    def waits(self, place: Place) -> None:
        """It waits for a slot: before anything else, and only where there is something to wait for."""
        ...

    def waited(self, queue_ms: float) -> None:
        """It waits no longer: its turn came after so long."""
        ...

    def started(self, deployment: Deployment) -> None:
        """The answer of ``deployment`` is on its way."""
        ...

    def chunk(self, chunk: ResponseChunk) -> None:
        """One event of a stream, decoded."""
        ...

    @property
    def events(self) -> Callable[[bytes], bool]:
        """Takes whole events of a stream, as they came; returns ``is_full``."""
        ...

    def whole(self, body: bytes) -> None:
        """A whole answer, as it came."""
        ...

    def collected(self, answer: Aggregator) -> None:
        """A whole answer, put together from events."""
        ...

    def vectors(self, result: EmbeddingResult) -> None:
        """The answer to an embedding request."""
        ...

    def ranked(self, result: RerankResult) -> None:
        """The answer to a rerank request."""
        ...

    def counted(self, count: TokenCount) -> None:
        """The answer to a request to count."""
        ...

    def finished(self, receipt: Receipt, *, end: bytes = b"") -> None:
        """The answer is whole and its receipt is kept.

        Args:
            receipt: Where it came from, why, and what it cost.
            end: How the upstream's own stream ended, where that passed through.
        """
        ...


class PassingSink:
    """Passes an answer on, event by event: the base of whatever looks into one on its way. Implements ``Sink``.

    Args:
        sink: Where it goes.
    """

    __slots__ = ("_sink",)

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    @property
    def dialect(self) -> Dialect | None:
        """None: nothing passes as it came."""
        return None

    @property
    def is_full(self) -> bool:
        """Whether the client is behind."""
        return self._sink.is_full

    async def drained(self) -> None:
        """Wait for it."""
        await self._sink.drained()

    def limited(self, reservation: Reservation) -> None:
        """Told on."""
        self._sink.limited(reservation)

    def waits(self, place: Place) -> None:
        """Told on."""
        self._sink.waits(place)

    def waited(self, queue_ms: float) -> None:
        """Told on."""
        self._sink.waited(queue_ms)

    def started(self, deployment: Deployment) -> None:
        """Told on."""
        self._sink.started(deployment)

    def chunk(self, chunk: ResponseChunk) -> None:
        """Told on."""
        self._sink.chunk(chunk)

    @property
    def events(self) -> Callable[[bytes], bool]:
        """Nothing passes as it came."""
        raise RuntimeError("an answer that is looked into came as it was")

    def whole(self, body: bytes) -> None:
        """Nothing passes as it came."""
        raise RuntimeError(f"an answer of {len(body)} bytes that is looked into came as it was")

    def collected(self, answer: Aggregator) -> None:
        """Told on."""
        self._sink.collected(answer)

    def vectors(self, result: EmbeddingResult) -> None:
        """Told on."""
        self._sink.vectors(result)

    def ranked(self, result: RerankResult) -> None:
        """Told on."""
        self._sink.ranked(result)

    def counted(self, count: TokenCount) -> None:
        """Told on."""
        self._sink.counted(count)

    def finished(self, receipt: Receipt, *, end: bytes = b"") -> None:
        """Told on."""
        self._sink.finished(receipt, end=end)
