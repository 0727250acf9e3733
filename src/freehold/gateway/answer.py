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
