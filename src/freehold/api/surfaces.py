"""The interfaces that clients speak: how each reads a request, writes an answer and tells an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from freehold.api.exchange import Exchange
from freehold.api.messages_sinks import ID_FIELD, MessagesStreamSink, MessagesWholeSink
from freehold.api.sinks import StreamSink, WholeSink
from freehold.domain.request import InferenceRequest
from freehold.wire.messages_request import decode_messages
from freehold.wire.messages_response import messages_error
from freehold.wire.openai_request import decode_chat, decode_completion, decode_embedding
from freehold.wire.openai_response import error_envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """One kind of call of one interface.

    Attributes:
        decode: Reads the body; called as ``wire.openai_request.decode_chat``.
        whole: Makes the sink of an answer that is sent whole.
        stream: Makes the sink of one that is streamed.
        envelope: Makes the object that tells an error; called as ``wire.openai_response.error_envelope``.
        id_field: Where its clients look for the id of a request, besides ``freehold-receipt``.
    """

    decode: Callable[..., InferenceRequest]
    whole: Callable[[Exchange, InferenceRequest], WholeSink] = WholeSink
    stream: Callable[[Exchange, InferenceRequest], StreamSink] = StreamSink
    envelope: Callable[..., dict[str, Any]] = error_envelope
    id_field: bytes = b""


CHAT = Surface(decode=decode_chat)
COMPLETION = Surface(decode=decode_completion)
EMBEDDING = Surface(decode=decode_embedding)
MESSAGES = Surface(
    decode=decode_messages,
    whole=MessagesWholeSink,
    stream=MessagesStreamSink,
    envelope=messages_error,
    id_field=ID_FIELD,
)
