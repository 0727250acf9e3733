"""The interfaces that clients speak: how each reads a request, writes an answer and tells an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from freehold.api.exchange import Exchange
from freehold.api.sinks import StreamSink, WholeSink
from freehold.api.translated import (
    Counted,
    Events,
    NativeStream,
    NativeWhole,
    RankedDocuments,
    TranslatedLines,
    TranslatedStream,
    TranslatedVectors,
    TranslatedWhole,
)
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest
from freehold.wire.infill import InfillEvents, decode_infill, infill_of
from freehold.wire.messages_request import decode_count_tokens, decode_messages, with_betas
from freehold.wire.messages_response import MessageEvents, counted_of, message_of, messages_error
from freehold.wire.ollama_request import decode_ollama_chat, decode_ollama_embed, decode_ollama_generate
from freehold.wire.ollama_response import ChatLines, GenerateLines, chat_of, embeddings_of, generated_of, ollama_error
from freehold.wire.openai_request import decode_chat, decode_completion, decode_embedding, decode_rerank
from freehold.wire.openai_response import error_envelope
from freehold.wire.openai_whole import Aggregator
from freehold.wire.responses_request import decode_responses
from freehold.wire.responses_response import ResponseEvents, response_of

Decode = Callable[..., InferenceRequest]
Envelope = Callable[..., dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """One kind of call of one interface.

    Attributes:
        decode: Reads the body; called as ``wire.openai_request.decode_chat``.
        whole: Makes the sink of an answer that is sent whole.
        stream: Makes the sink of one that is streamed.
        envelope: Makes the object that tells an error; called as ``wire.openai_response.error_envelope``.
        id_field: Where its clients look for the id of a request, besides ``freehold-receipt``.
        field: A header that is part of the request; empty for none.
        with_field: Takes its value.
    """

    decode: Decode
    whole: Callable[[Exchange, InferenceRequest], WholeSink] = WholeSink
    stream: Callable[[Exchange, InferenceRequest], StreamSink] = StreamSink
    envelope: Envelope = error_envelope
    id_field: bytes = b""
    field: bytes = b""
    with_field: Callable[[InferenceRequest, str | None], InferenceRequest] = lambda request, _: request


def _translated(
    decode: Decode,
    render: Callable[[Aggregator, InferenceRequest, Receipt], dict[str, Any]],
    events: Callable[[InferenceRequest], Events],
    *,
    envelope: Envelope = error_envelope,
    id_field: bytes = b"",
    stream: type[TranslatedStream] = TranslatedStream,
    whole: type[TranslatedWhole] = TranslatedWhole,
) -> Surface:
    """A surface whose shape is not the one inside: ``render`` makes a whole answer, ``events`` writes a stream."""

    def streamed(exchange: Exchange, request: InferenceRequest) -> StreamSink:
        return stream(exchange, request, events=events(request), id_field=id_field)

    return Surface(
        decode=decode,
        whole=partial(whole, render=render, id_field=id_field),
        stream=streamed,
        envelope=envelope,
        id_field=id_field,
    )


CHAT = Surface(decode=decode_chat)
COMPLETION = Surface(decode=decode_completion)
EMBEDDING = Surface(decode=decode_embedding)
RERANK = Surface(decode=decode_rerank, whole=RankedDocuments)
RESPONSES = _translated(decode_responses, response_of, ResponseEvents)
INFILL = _translated(decode_infill, infill_of, InfillEvents)
MESSAGES = replace(
    _translated(
        decode_messages,
        message_of,
        MessageEvents,
        envelope=messages_error,
        id_field=b"request-id",
        stream=NativeStream,
        whole=NativeWhole,
    ),
    field=b"anthropic-beta",
    with_field=with_betas,
)
COUNT_TOKENS = Surface(
    decode=decode_count_tokens,
    whole=partial(Counted, render=counted_of, id_field=b"request-id"),
    envelope=messages_error,
    id_field=b"request-id",
    field=b"anthropic-beta",
    with_field=with_betas,
)
OLLAMA_CHAT = _translated(decode_ollama_chat, chat_of, ChatLines, envelope=ollama_error, stream=TranslatedLines)
OLLAMA_GENERATE = _translated(
    decode_ollama_generate, generated_of, GenerateLines, envelope=ollama_error, stream=TranslatedLines
)
OLLAMA_EMBED = Surface(
    decode=decode_ollama_embed, whole=partial(TranslatedVectors, render=embeddings_of), envelope=ollama_error
)
