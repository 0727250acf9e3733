"""An answer that was given from documents, on its way to the client: it begins with what was found.

Stands before the surface's sink where passages went into a prompt, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Terms
from freehold.domain.identity import Scope
from freehold.domain.ids import uuid7_unix_ms
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest
from freehold.domain.response import FinishReason, ResponseChunk
from freehold.domain.vault import NOT_IN_DOCUMENTS, Found
from freehold.domain.zones import DEVICE
from freehold.gateway.answer import PassingSink, Sink
from freehold.gateway.citing import CitingOptions, CitingSink
from freehold.gateway.retrieving import Grounding
from freehold.vault.abstaining import AnswerSigns, should_abstain
from freehold.vault.cite import Cited, CiteOptions
from freehold.wire.openai_whole import Aggregator
from freehold.wire.vault_ask import VAULT

JsonObject = dict[str, Any]

ITSELF = Deployment(
    name=VAULT, engine=EngineKind.EMBEDDED, model=ModelCard(name=VAULT), zone=DEVICE, terms=Terms(trains=False)
)
"""What answers where no model is asked."""

_MS_PER_S = 1000
_HEAD = ("id", "created", "model", "system_fingerprint", "service_tier")
"""Of an event, what all events of one answer have alike."""


def found_sink(sink: Sink, request: InferenceRequest, grounding: Grounding) -> Sink:
    """The way of an answer that a model gives: what was found, then the answer with its quotes checked.

    Values that are taken out of answers would stand in passages and quotes too, which are not told then.
    """
    redacts = grounding.footing.route.redact_answers
    generation = grounding.found.generation if _sees_all(grounding) else 0
    found = replace(grounding.found, passages=grounding.passages, generation=generation)
    options = CitingOptions(
        cite=CiteOptions(question=grounding.question),
        quotes=not redacts,
        abstains=partial(_abstains, found),
        holds=not request.stream,
    )
    if redacts:
        grounding = replace(grounding, ask=replace(grounding.ask, tells_texts=False))
    return FoundSink(CitingSink(sink, found, request, options), request, grounding)


def _abstains(found: Found, cited: Cited, logprob: float | None) -> bool:
    """Whether it is said instead of an answer that the documents do not say."""
    signs = AnswerSigns(support=found.support, cited=cited, logprob=logprob, threshold=found.support_at)
    return should_abstain(signs)


def _sees_all(grounding: Grounding) -> bool:
    """Whether the index's generation is told: it rises with changes of documents that the caller may not read."""
    return Scope.ADMIN in grounding.asking.principal.scopes


def told_of(grounding: Grounding) -> JsonObject:
    """What an answer tells of what was found: the passages by the numbers with which they are cited."""
    return {
        "name": grounding.vault,
        **({"generation": grounding.found.generation} if _sees_all(grounding) else {}),
        "support": grounding.found.support,
        "abstained": grounding.abstains,
        "queries": [grounding.question],
        "passages": [
            {
                "number": number,
                "document_id": each.document.id,
                "title": each.document.title,
                "page": each.page,
                "heading": list(each.heading),
                "start": each.start,
                "end": each.end,
                "score": each.score,
                **({"text": each.text} if grounding.ask.tells_texts else {}),
            }
            for number, each in enumerate(() if grounding.abstains else grounding.passages, 1)
        ],
    }


def abstain(sink: Sink, request: InferenceRequest, grounding: Grounding, receipt: Receipt) -> None:
    """Answer that the documents do not say; no model was asked."""
    told = FoundSink(sink, request, grounding)
    told.started(ITSELF)
    end = _event(request, {"role": "assistant", "content": NOT_IN_DOCUMENTS}, finish=FinishReason.STOP)
    if request.stream:
        told.chunk(end)
    else:
        answer = Aggregator()
        answer.add(end)
        told.collected(answer)
    told.finished(receipt)


class FoundSink(PassingSink):
    """Passes an answer on; implements ``gateway.answer.Sink``.

    Args:
        sink: Where it goes.
        request: What the client asked.
        grounding: What was found.
    """

    __slots__ = ("_grounding", "_opens", "_request")

    def __init__(self, sink: Sink, request: InferenceRequest, grounding: Grounding) -> None:
        super().__init__(sink)
        self._request = request
        self._grounding = grounding
        self._opens = False

    def started(self, deployment: Deployment) -> None:
        """Told on; a stream says with its first event what was found."""
        self._sink.started(deployment)
        self._opens = self._request.stream

    def chunk(self, chunk: ResponseChunk) -> None:
        """One event; what an upstream says in a member of ours is not passed on."""
        payload = chunk.payload
        if payload is not None and VAULT in payload:
            chunk = replace(chunk, payload={name: each for name, each in payload.items() if name != VAULT})
        self._open(chunk.payload)
        self._sink.chunk(chunk)

    def _open(self, payload: Mapping[str, Any] | None) -> None:
        """Say what was found, once, as a part of the same answer as what follows: clients tell answers by their id."""
        if not self._opens:
            return
        self._opens = False
        opening = _event(self._request, {"role": "assistant", "content": ""}, told=told_of(self._grounding))
        head = {name: payload[name] for name in _HEAD if name in payload} if payload is not None else {}
        self._sink.chunk(replace(opening, payload={**(opening.payload or {}), **head}))

    def collected(self, answer: Aggregator) -> None:
        """A whole answer, with what was found."""
        answer.add(ResponseChunk(payload={VAULT: told_of(self._grounding)}))
        self._sink.collected(answer)

    def finished(self, receipt: Receipt, *, end: bytes = b"") -> None:
        """The end; of a stream without any event, what was found is told before it."""
        self._open(None)
        self._sink.finished(receipt, end=end)


def _event(
    request: InferenceRequest, delta: JsonObject, *, finish: FinishReason | None = None, told: JsonObject | None = None
) -> ResponseChunk:
    payload: JsonObject = {
        "id": f"chatcmpl-{request.id}",
        "object": "chat.completion.chunk",
        "created": uuid7_unix_ms(request.id) // _MS_PER_S,
        "model": request.model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": None if finish is None else finish.value}],
    }
    return ResponseChunk(
        payload=payload if told is None else {**payload, VAULT: told},
        text=str(delta.get("content") or ""),
        finish_reason=finish,
    )
