"""What a client asks for, decoded once at the door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Task(StrEnum):
    """The kinds of work that the request path knows."""

    CHAT = "chat"
    COMPLETION = "completion"
    EMBEDDING = "embedding"


class PartKind(StrEnum):
    """What one part of a message holds."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    FILE = "file"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    REASONING = "reasoning"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentPart:
    """One part of a message. ``text`` is empty for parts that are not text."""

    kind: PartKind
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation, as policy and routing look at it; the wire bytes are in ``fields``."""

    role: str
    parts: tuple[ContentPart, ...]

    @property
    def text(self) -> str:
        """All text of this message."""
        return "".join(part.text for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How to sample. ``None`` means that the client said nothing: the engine's default holds.

    Attributes:
        temperature: 0 to 2.
        top_p: 0 to 1.
        max_tokens: Most tokens to generate, at least 1.
        seed: Any signed 64-bit integer.
        stop: At most 16 stop texts.
        logprobs: Whether the client wants log-probabilities of the chosen tokens.
        top_logprobs: Alternatives per token that the client wants, 0 to 20.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    top_logprobs: int = 0


class ToolChoice(StrEnum):
    """Whether the model may, must or must not call a tool."""

    NONE = "none"
    AUTO = "auto"
    REQUIRED = "required"
    NAMED = "named"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that the model may call. ``parameters_json`` is its JSON schema as sent."""

    name: str
    description: str = ""
    parameters_json: bytes = b"{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceRequest:
    """One request in the OpenAI shape, whatever surface it came through.

    Attributes:
        id: UUIDv7, given at the door; also the receipt's id.
        task: What to do.
        model: Route, deployment or alias, as the client sent it.
        fields: Every top-level member of the body as raw JSON, unknown ones too: they reach the upstream as sent.
        messages: The conversation (chat).
        prompt: The text to continue (completion), or the part before the gap when ``suffix`` is given.
        suffix: Text after the gap (fill-in-the-middle); ``None`` where this is no fill-in.
        inputs: Texts to embed (embedding).
        sampling: How to sample.
        tools: Functions that the model may call.
        tool_choice: Whether a tool must be called.
        tool_name: The tool that must be called where ``tool_choice`` is ``NAMED``.
        response_schema_json: JSON schema that the answer must satisfy, as sent; ``None`` for free text.
        stream: Whether the client wants the answer as events.
        include_usage: Whether a stream ends with a usage event.
        include_receipt: Whether a stream ends with the receipt as a comment event.
        label_header: Value of the ``freehold-label`` header; it may only raise.
    """

    id: str
    task: Task
    model: str
    fields: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    messages: tuple[Message, ...] = ()
    prompt: str = ""
    suffix: str | None = None
    inputs: tuple[str, ...] = ()
    sampling: SamplingParams = field(default_factory=SamplingParams)
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice.AUTO
    tool_name: str | None = None
    response_schema_json: bytes | None = None
    stream: bool = False
    include_usage: bool = False
    include_receipt: bool = False
    label_header: str | None = None

    @property
    def has_images(self) -> bool:
        """Whether any message holds an image."""
        return any(part.kind is PartKind.IMAGE for message in self.messages for part in message.parts)

    @property
    def input_bytes(self) -> int:
        """Bytes of the body's text-bearing members: the basis of token estimates."""
        return sum(len(self.fields.get(name, b"")) for name in ("messages", "prompt", "suffix", "input", "tools"))
