"""What the request path hands to a surface, event by event."""

from __future__ import annotations

from dataclasses import dataclass

from freehold.domain.deployment import Deployment
from freehold.domain.receipt import Receipt
from freehold.domain.response import EmbeddingResult, ResponseChunk


@dataclass(frozen=True, slots=True)
class Started:
    """The answer of ``deployment`` is on its way; exactly one, before the first ``Delta``."""

    deployment: Deployment


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer."""

    chunk: ResponseChunk


@dataclass(frozen=True, slots=True)
class Vectors:
    """The whole answer of an embedding request."""

    result: EmbeddingResult


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is whole, recorded and priced; always the last event."""

    receipt: Receipt


AnswerEvent = Started | Delta | Vectors | Finished
