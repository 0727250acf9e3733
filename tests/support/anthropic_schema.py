"""A small schema of Anthropic's messages and events: what its own clients need, so that they can read what we write."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct


class Text(Struct, tag="text"):
    text: str
    citations: list[dict[str, Any]] | None = None


class Thinking(Struct, tag="thinking"):
    thinking: str
    signature: str


class Redacted(Struct, tag="redacted_thinking"):
    data: str


class ToolUse(Struct, tag="tool_use"):
    id: str
    name: str
    input: dict[str, Any]


Block = Text | Thinking | Redacted | ToolUse


class Usage(Struct):
    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


Reason = Literal[
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
]


class Message(Struct):
    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[Block]
    stop_reason: Reason | None
    stop_sequence: str | None
    usage: Usage


class MessageStart(Struct, tag="message_start"):
    message: Message


class BlockStart(Struct, tag="content_block_start"):
    index: int
    content_block: Block


class TextDelta(Struct, tag="text_delta"):
    text: str


class ThinkingDelta(Struct, tag="thinking_delta"):
    thinking: str


class SignatureDelta(Struct, tag="signature_delta"):
    signature: str


class JsonDelta(Struct, tag="input_json_delta"):
    partial_json: str


class BlockDelta(Struct, tag="content_block_delta"):
    index: int
    delta: TextDelta | ThinkingDelta | SignatureDelta | JsonDelta


class BlockStop(Struct, tag="content_block_stop"):
    index: int


class Ended(Struct):
    stop_reason: Reason
    stop_sequence: str | None


class Output(Struct):
    output_tokens: int


class MessageDelta(Struct, tag="message_delta"):
    delta: Ended
    usage: Output


class MessageStop(Struct, tag="message_stop"):
    """The end."""


class Ping(Struct, tag="ping"):
    """A sign of life."""


class Told(Struct):
    type: Literal[
        "invalid_request_error", "authentication_error", "billing_error", "permission_error", "not_found_error",
        "request_too_large", "rate_limit_error", "timeout_error", "api_error", "overloaded_error",
    ]  # fmt: skip
    message: str


class Error(Struct, tag="error"):
    error: Told
    request_id: str | None = None


Event = MessageStart | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop | Ping | Error


def checked_message(message: Any) -> Message:
    """The message; raises ``msgspec.ValidationError``."""
    return msgspec.convert(message, Message)


def checked_event(event: Any) -> Event:
    """The event; raises ``msgspec.ValidationError``."""
    return msgspec.convert(event, Event)
