"""What a model answers: chunks, usage, log-probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from freehold.domain.values import value


class FinishReason(StrEnum):
    """Why generation ended, in OpenAI's words."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


@value
class Usage:
    """Tokens of one answer. ``input_tokens`` is the total, cached ones included.

    ``measured`` is False where the upstream reported nothing and the numbers are estimates from bytes.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    measured: bool = True

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            measured=self.measured and other.measured,
        )


@value
class TokenLogprob:
    """One generated token with the natural-log probabilities that the engine gave it.

    Attributes:
        token: The token's text.
        logprob: Of the chosen token, at most 0.
        alternatives: (text, log-probability) of the likeliest tokens at this place, the chosen one among them.
    """

    token: str
    logprob: float
    alternatives: tuple[tuple[str, float], ...] = ()


@value
class EngineTimings:
    """What the engine says about its own speed. Zero where it says nothing."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    prompt_ms: float = 0.0
    generated_tokens: int = 0
    generation_ms: float = 0.0

    @property
    def generation_tok_per_s(self) -> float | None:
        """Tokens a second while decoding; ``None`` where unknown."""
        return self.generated_tokens / self.generation_ms * 1000 if self.generation_ms > 0 else None


@value
class ResponseChunk:
    """One event of an answer.

    ``payload`` is the OpenAI chunk object (``chat.completion.chunk`` for chat, ``text_completion`` for
    completions) with unknown members kept and with what Freehold asked for on its own account (log-probabilities,
    usage, progress) removed where the client did not ask. ``None`` means that nothing goes to the client.

    ``native`` is the event as it came, for a client that speaks the upstream's dialect where that is not OpenAI's; it
    stands for ``payload`` then. Empty for any other.
    """

    payload: Mapping[str, object] | None
    text: str = ""
    tool_call: bool = False
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    timings: EngineTimings | None = None
    native: bytes = b""


@value
class EmbeddingResult:
    """Vectors in the order of the inputs, as the upstream's OpenAI ``embedding`` reply."""

    payload: Mapping[str, object]
    usage: Usage = field(default_factory=Usage)


@value
class RerankResult:
    """How well documents answer a query.

    Attributes:
        ranked: Number and relevance of documents, the most relevant first; not all where the client wants few.
        usage: Tokens that were read.
    """

    ranked: tuple[tuple[int, float], ...]
    usage: Usage = field(default_factory=Usage)


@value
class TokenCount:
    """How many tokens a prompt has.

    ``measured`` is False where nobody who knows the model's tokens could be asked: then it is an estimate from bytes.
    """

    tokens: int
    measured: bool = True
