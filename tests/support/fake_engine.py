"""An engine that answers from a script: in this process, without network, the same every time. For tests and demos."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from freehold.domain.deployment import Deployment
from freehold.domain.egress import EgressPermit
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.upstream import UpstreamBroken
from freehold.domain.ports import EngineState, Relaying, UpstreamCall
from freehold.domain.request import InferenceRequest, Task
from freehold.domain.response import EmbeddingResult, FinishReason, RerankResult, ResponseChunk, Usage
from freehold.engines.ability import refuse_unable
from freehold.wire.openai_embeddings import render_embeddings
from freehold.wire.openai_request import encode_body
from freehold.wire.openai_response import chunk_of
from freehold.wire.openai_usage import render_usage
from freehold.wire.rerank import ranked

_CREATED_UNIX_S = 1_700_000_000
_VECTOR_LENGTH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeAnswer:
    """One scripted answer.

    Attributes:
        text: What it says; cut into one piece a word.
        probability: Of every token, for the log-probabilities; between 0 and 1.
        tool_call: Name and JSON arguments of a tool to call instead of, or after, the text.
        finish_reason: Why it ends.
        usage: Tokens reported; ``None`` means that words are counted.
        reports_usage: Whether usage is reported.
        error: Raised before piece ``error_at``; 0 refuses the whole call.
        error_at: See ``error``.
        cut_at: Ends without an end before this piece, as a connection that broke.
        before_piece: Awaited before each piece with its number: a test holds the answer here.
    """

    text: str = "ok"
    probability: float = 0.9
    tool_call: tuple[str, str] | None = None
    finish_reason: FinishReason = FinishReason.STOP
    usage: Usage | None = None
    reports_usage: bool = True
    error: FreeholdError | None = None
    error_at: int = 0
    cut_at: int | None = None
    before_piece: Callable[[int], Awaitable[None]] | None = None


@dataclass(slots=True)
class FakeEngine:
    """Implements ``domain.ports.Engine``.

    Attributes:
        deployment: What it claims to be.
        answers: Answers by the text of the last user message (or the prompt).
        default: The answer to everything else.
        ready: What ``state`` says.
        tokens: What it counts; ``None`` where it does not.
        origin: Where its calls claim to go.
        calls: Every call that was run, in order.
        permits: The permit of each of ``calls``.
        open_calls: Calls that run now.
        aborted_calls: Calls that were left before their end.
        alternative: The other token at every place, with what the chosen one's probability leaves.
    """

    deployment: Deployment
    answers: Mapping[str, FakeAnswer] = field(default_factory=dict[str, FakeAnswer])
    default: FakeAnswer = field(default_factory=FakeAnswer)
    ready: bool = True
    tokens: int | None = 17
    origin: str = "fake://engine:0"
    calls: list[UpstreamCall] = field(default_factory=list[UpstreamCall])
    permits: list[EgressPermit | None] = field(default_factory=list["EgressPermit | None"])
    open_calls: int = 0
    aborted_calls: int = 0
    alternative: str = "…"

    def state(self) -> EngineState:
        """As scripted."""
        return EngineState(ready=self.ready, detail="ready" if self.ready else "scripted not to be ready")

    async def start(self) -> None:
        """Become ready."""
        self.ready = True

    async def close(self) -> None:
        """Stop being ready."""
        self.ready = False

    @property
    def relaying(self) -> Relaying | None:
        """It is always looked into."""
        return None

    def prepare(
        self, request: InferenceRequest, *, want_logprobs: int, as_it_comes: bool = False, cache_scope: str = ""
    ) -> UpstreamCall:
        """Build the call as an OpenAI-compatible engine would."""
        refuse_unable(request, self.deployment)
        body = encode_body(
            request,
            model=self.deployment.model.name,
            overrides={"stream": True},
            rebuild=not self.deployment.is_on_device,
        )
        return UpstreamCall(
            origin=self.origin,
            path="/",
            body=body,
            headers=(),
            request=request,
            want_logprobs=want_logprobs,
            cache_scope=cache_scope,
        )

    async def stream(
        self,
        call: UpstreamCall,
        *,
        permit: EgressPermit | None,
        deadline_s: float,
    ) -> AsyncGenerator[ResponseChunk]:
        """Play the script."""
        answer = self._begin(call, permit)
        try:
            for place, payload in enumerate(_payloads(answer, call, self.alternative)):
                if answer.before_piece is not None:
                    await answer.before_piece(place)
                self._fail_where_scripted(answer, place)
                yield chunk_of(payload, call.request, model=self.deployment.name)
        except BaseException:
            self.aborted_calls += 1
            raise
        finally:
            self.open_calls -= 1

    async def embed(
        self,
        call: UpstreamCall,
        *,
        permit: EgressPermit | None,
        deadline_s: float,
    ) -> EmbeddingResult:
        """A vector made from each text's characters."""
        answer = self._begin(call, permit)
        self.open_calls -= 1
        if answer.error is not None:
            raise answer.error
        data = [
            {"object": "embedding", "index": index, "embedding": _vector(text)}
            for index, text in enumerate(call.request.inputs)
        ]
        tokens = sum(len(text.split()) for text in call.request.inputs)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return render_embeddings({"data": data, "usage": usage}, call.request, model=self.deployment.name)

    async def rerank(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> RerankResult:
        """Relevance is the share of the query's words that a document has."""
        answer = self._begin(call, permit)
        self.open_calls -= 1
        if answer.error is not None:
            raise answer.error
        request = call.request
        assert request.ranking is not None
        wanted = set(request.ranking.query.lower().split())
        found = [
            (place, len(wanted & set(text.lower().split())) / len(wanted)) for place, text in enumerate(request.inputs)
        ]
        tokens = sum(len(text.split()) for text in request.inputs)
        return RerankResult(ranked=ranked(found, request), usage=Usage(input_tokens=tokens))

    @property
    def counts(self) -> bool:
        """As scripted."""
        return self.tokens is not None

    async def count(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> int | None:
        """As scripted."""
        answer = self._begin(call, permit)
        self.open_calls -= 1
        if answer.error is not None:
            raise answer.error
        return self.tokens

    def _fail_where_scripted(self, answer: FakeAnswer, place: int) -> None:
        if answer.error is not None and answer.error_at == place:
            raise answer.error
        if answer.cut_at == place:
            name = self.deployment.name
            raise UpstreamBroken(deployment=name, source=name, reason="the script cuts it here")

    def _begin(self, call: UpstreamCall, permit: EgressPermit | None) -> FakeAnswer:
        self.calls.append(call)
        self.permits.append(permit)
        self.open_calls += 1
        return self.answers.get(asked(call.request), self.default)


def asked(request: InferenceRequest) -> str:
    """What a script is looked up by: the last user message, the prompt, the query, or the first text to embed."""
    if request.ranking is not None:
        return request.ranking.query
    if request.task is Task.EMBEDDING:
        return request.inputs[0]
    users = [message.text for message in request.messages if message.role == "user"]
    return users[-1] if users else request.prompt


def _payloads(answer: FakeAnswer, call: UpstreamCall, alternative: str) -> list[dict[str, Any]]:
    """The events of an answer as an OpenAI-compatible server would send them."""
    chat = call.request.task is Task.CHAT
    words = answer.text.split(" ") if answer.text else []
    pieces = [word if place == 0 else f" {word}" for place, word in enumerate(words)]
    deltas: list[dict[str, Any]] = [{"content": piece} if chat else {"text": piece} for piece in pieces]
    logprobs = bool(call.want_logprobs or call.request.sampling.logprobs)
    choices = [_choice(delta, chat=chat) for delta in deltas]
    if logprobs:
        choices = [
            {**choice, "logprobs": {"content": [_logprob(piece, answer.probability, alternative)]}}
            for choice, piece in zip(choices, pieces, strict=True)
        ]
    if answer.tool_call is not None:
        name, arguments = answer.tool_call
        call_id = f"call_{call.request.id}"
        function = {"name": name, "arguments": arguments}
        tool = {"index": 0, "id": call_id, "type": "function", "function": function}
        choices.append(_choice({"tool_calls": [tool]}, chat=True))
    end = _choice({} if chat else {"text": ""}, chat=chat)
    end["finish_reason"] = answer.finish_reason.value
    head = {
        "id": f"fake-{call.request.id}",
        "object": "chat.completion.chunk" if chat else "text_completion",
        "created": _CREATED_UNIX_S,
    }
    events: list[dict[str, Any]] = [{**head, "choices": [choice]} for choice in [*choices, end]]
    if answer.reports_usage:
        counted = Usage(input_tokens=len(asked(call.request).split()), output_tokens=len(pieces))
        events.append({**head, "choices": [], "usage": render_usage(answer.usage or counted)})
    return events


def _choice(delta: dict[str, Any], *, chat: bool) -> dict[str, Any]:
    return {"index": 0, "finish_reason": None, **({"delta": delta} if chat else delta)}


def _logprob(token: str, probability: float, alternative: str) -> dict[str, Any]:
    chosen: dict[str, Any] = {"token": token, "logprob": math.log(probability)}
    other = {"token": alternative, "logprob": math.log(max(1 - probability, 1e-9))}
    return {**chosen, "top_logprobs": [chosen, other]}


def _vector(text: str) -> list[float]:
    return [float(sum(ord(character) for character in text[start::_VECTOR_LENGTH])) for start in range(_VECTOR_LENGTH)]
