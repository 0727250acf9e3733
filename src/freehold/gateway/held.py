"""Answers that are here: what is left to send of one, and which one is given when none was good enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from freehold.domain.decisions import Confidence
from freehold.domain.response import EmbeddingResult, RerankResult, ResponseChunk, TokenCount
from freehold.gateway.answer import Sink
from freehold.gateway.attempt import AttemptRun
from freehold.gateway.footing import NOT_LOOKED_AT
from freehold.routing.ladder import best_of


@dataclass(slots=True, kw_only=True)
class Held:
    """An answer that is here: what is left to send once its receipt is kept.

    Attributes:
        run: The attempt that gave it.
        live: It began to be sent while it came.
        vectors: What an embedding request gets.
        ranking: What a rerank request gets.
        counted: What a request to count gets.
        chunks: Events of a stream that are not sent yet.
        index: Its attempt's place in the receipt, once that is closed.
        judged: How sure we are of it.
        failed: Which gate it failed; empty for none.
    """

    run: AttemptRun
    live: bool = False
    vectors: EmbeddingResult | None = None
    ranking: RerankResult | None = None
    counted: TokenCount | None = None
    chunks: Sequence[ResponseChunk] = ()
    index: int = 0
    judged: Confidence = NOT_LOOKED_AT
    failed: str = ""

    def send(self, sink: Sink) -> bytes:
        """Send the rest; returns how the upstream's own stream ended, where it passed through."""
        run = self.run
        if not self.live:
            sink.started(run.deployment)
        if self.vectors is not None:
            sink.vectors(self.vectors)
        elif self.ranking is not None:
            sink.ranked(self.ranking)
        elif self.counted is not None:
            sink.counted(self.counted)
        elif run.replied is not None:
            sink.whole(run.replied.body)
        elif run.relayed is not None:
            return run.relayed.end
        elif run.draft.request.stream:
            for chunk in self.chunks:
                sink.chunk(chunk)
        else:
            sink.collected(run.collected)
        return b""


def best_held(answers: Sequence[Held]) -> Held:
    """The answer to give when none was good enough; one that is being sent already is."""
    last = answers[-1]
    return last if last.live else answers[best_of([(each.judged, each.failed) for each in answers])]
