"""What a client asks for, decoded once at the door."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from types import MappingProxyType
from typing import overload

from freehold.domain.priority import Priority
from freehold.domain.values import value
from freehold.domain.vault import VaultAsk

_TEXT_BEARING = ("messages", "prompt", "suffix", "input", "tools", "query", "documents")


class Task(StrEnum):
    """The kinds of work that the request path knows."""

    CHAT = "chat"
    COMPLETION = "completion"
    EMBEDDING = "embedding"
    COUNT = "count"
    RERANK = "rerank"


class Purpose(StrEnum):
    """What a request is asked for.

    Attributes:
        ANSWER: For its answer.
        SHADOW: To learn whether another answer was right.
        GOLD: To learn whether its own is: the right one is known.
        LABELS: For what classifying needs of it.
    """

    ANSWER = "answer"
    SHADOW = "shadow"
    GOLD = "gold"
    LABELS = "labels"


class Dialect(StrEnum):
    """The shapes in which an answer may pass from an upstream to a client as it came."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class PartKind(StrEnum):
    """What one part of a message holds."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    FILE = "file"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    REASONING = "reasoning"


@value
class ContentPart:
    """One part of a message. ``text`` is empty for parts that are not text."""

    kind: PartKind
    text: str = ""


@value
class Message:
    """One turn of a conversation, as policy and routing look at it; the wire bytes are in ``fields``."""

    role: str
    parts: tuple[ContentPart, ...]

    @property
    def text(self) -> str:
        """All text of this message."""
        return "".join(part.text for part in self.parts)


def kinds_of(messages: Iterable[Message]) -> frozenset[PartKind]:
    """Kinds of all parts."""
    return frozenset(part.kind for message in messages for part in message.parts)


class LazyMessages(Sequence[Message]):
    """Messages that are made when somebody looks at them: a text that stays on this device often nobody does.

    Args:
        make: Makes them; called at most once.
        kinds: Kinds of all their parts.
    """

    __slots__ = ("_made", "_make", "kinds")

    def __init__(self, make: Callable[[], tuple[Message, ...]], *, kinds: frozenset[PartKind]) -> None:
        self._make = make
        self._made: tuple[Message, ...] | None = None
        self.kinds = kinds

    def _all(self) -> tuple[Message, ...]:
        if self._made is None:
            self._made = self._make()
        return self._made

    @overload
    def __getitem__(self, place: int) -> Message: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Message]: ...
    def __getitem__(self, place: int | slice) -> Message | Sequence[Message]:
        return self._all()[place]

    def __len__(self) -> int:
        return len(self._all())

    def __eq__(self, other: object) -> bool:
        return self._all() == (tuple(other) if isinstance(other, LazyMessages) else other)

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return repr(self._all())


@value
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


@value
class Tool:
    """A function that the model may call. ``parameters_json`` is its JSON schema as sent."""

    name: str
    description: str = ""
    parameters_json: bytes = b"{}"


@value
class Ranking:
    """What a rerank request wants of its documents.

    Attributes:
        query: What they are to answer.
        top_n: Most documents in the answer; ``None`` for all.
        document_tokens_max: Where each is cut before it is read; ``None`` for nowhere.
        return_documents: Whether the answer repeats them.
    """

    query: str
    top_n: int | None = None
    document_tokens_max: int | None = None
    return_documents: bool = False


@value
class Untranslatable:
    """What of a request has no word in OpenAI's chat, and changes the answer.

    Attributes:
        field: Path of the member.
        shown: Its value, as messages show it.
        reason: Why, and what to do.
    """

    field: str
    shown: str
    reason: str


@value
class Native:
    """A request as it was sent, in another dialect than OpenAI's: what an upstream of that dialect gets.

    Attributes:
        dialect: Which.
        fields: Top-level members as raw JSON, unknown ones too.
        headers: Header fields that go with it.
        only: The first thing that only such an upstream can take; ``None`` where its chat says all that matters.
    """

    dialect: Dialect
    fields: Mapping[str, bytes]
    headers: tuple[tuple[str, str], ...] = ()
    only: Untranslatable | None = None


@value
class InferenceRequest:
    """One request in the OpenAI shape, whatever surface it came through.

    Attributes:
        id: UUIDv7, given at the door; also the receipt's id.
        task: What to do.
        model: Route, deployment or alias, as the client sent it.
        fields: Every top-level member of the body as raw JSON, unknown ones too: they reach the upstream as sent.
        body_bytes: Length of the whole body as it came; 0 where it is not known.
        messages: The conversation (chat, count); may be made when it is first looked at.
        prompt: The text to continue (completion), or the part before the gap when ``suffix`` is given.
        suffix: Text after the gap (fill-in-the-middle); ``None`` where this is no fill-in.
        inputs: Texts to embed (embedding), or documents to put in order (rerank).
        ranking: What the documents are to answer (rerank).
        cuts: Whether the end of an input that is too long may be left out (embedding, rerank).
        sampling: How to sample.
        tools: Functions that the model may call.
        tool_choice: Whether a tool must be called.
        tool_name: The tool that must be called where ``tool_choice`` is ``NAMED``.
        response_schema_json: JSON schema that the answer must satisfy, as sent; ``None`` for free text.
        stream: Whether the client wants the answer as events.
        include_usage: Whether a stream ends with a usage event.
        include_receipt: Whether a stream ends with the receipt as a comment event.
        label_header: Value of the ``freehold-label`` header; it may only raise.
        traceparent: Value of the ``traceparent`` header (W3C Trace Context), so that a trace goes on here.
        client_request_id: Value of the ``x-request-id`` header, where it is a plain word.
        priority: How urgent it is: who waits longer, and who is refused first, when there is too much to do.
        native: The request as it was sent, where that was not in OpenAI's dialect and an upstream may speak the same.
        left_out: Members as sent that ``fields`` have no word for and that change no answer.
        answer_paths: The only members of the answer that the client wants, ``a/b`` for ``b`` in ``a``; empty for all.
        purpose: What it is asked for.
        for_request: Id of the request for whose sake it is asked; empty for its own.
        is_external: The client says that there are words in it of somebody who is not trusted.
        vault: What is to be looked for in private documents before; ``None`` where the client asks for nothing.
    """

    id: str
    task: Task
    model: str
    fields: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    body_bytes: int = 0
    messages: Sequence[Message] = ()
    prompt: str = ""
    suffix: str | None = None
    inputs: tuple[str, ...] = ()
    ranking: Ranking | None = None
    cuts: bool = False
    sampling: SamplingParams = field(default_factory=SamplingParams)
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice.AUTO
    tool_name: str | None = None
    response_schema_json: bytes | None = None
    stream: bool = False
    include_usage: bool = False
    include_receipt: bool = False
    label_header: str | None = None
    traceparent: str = ""
    client_request_id: str = ""
    priority: Priority = Priority.NORMAL
    native: Native | None = None
    left_out: tuple[str, ...] = ()
    answer_paths: tuple[str, ...] = ()
    purpose: Purpose = Purpose.ANSWER
    for_request: str = ""
    is_external: bool = False
    vault: VaultAsk | None = None

    @property
    def is_generated(self) -> bool:
        """Whether the answer is a text, token by token; vectors and relevance are computed in one go."""
        task = self.task
        return task is Task.CHAT or task is Task.COMPLETION

    @property
    def content_kinds(self) -> frozenset[PartKind]:
        """Kinds of parts in ``messages``."""
        messages = self.messages
        return messages.kinds if isinstance(messages, LazyMessages) else kinds_of(messages)

    @property
    def has_images(self) -> bool:
        """Whether any message holds an image."""
        return PartKind.IMAGE in self.content_kinds

    @property
    def input_bytes(self) -> int:
        """Bytes of the body's text-bearing members: the basis of token estimates."""
        return sum(len(self.fields.get(name, b"")) for name in _TEXT_BEARING)

    @property
    def computed_bytes(self) -> int:
        """Bytes that are read where nothing is written: a query once more with each document; none to count."""
        if self.task is Task.COUNT:
            return 0
        again = 0 if self.ranking is None else len(self.ranking.query.encode()) * len(self.inputs)
        return self.input_bytes + again

    @property
    def text_bytes(self) -> int:
        """Bytes of the text that a model would read of a chat: its words, without images, and its tools."""
        said = sum(len(message.role) + len(message.text.encode()) for message in self.messages)
        tools = (tool.name + tool.description for tool in self.tools)
        return said + sum(len(text.encode()) for text in tools) + sum(len(tool.parameters_json) for tool in self.tools)
