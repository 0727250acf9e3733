"""What is answered, typed, for the OpenAPI document. Members that are not named here may be there as well."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from freehold.wire.openai_schema import Name


class ErrorBody(Struct, kw_only=True):
    """What went wrong, which value, what to do next."""

    message: str
    type: str
    param: str | None
    code: str | None
    freehold_code: str
    source: str
    error_id: str


class OpenAIError(Struct, kw_only=True):
    """An error in OpenAI's envelope; ``freehold_code``, ``source`` and ``error_id`` are ours."""

    error: ErrorBody


class MessagesErrorBody(Struct, kw_only=True):
    """What went wrong, as Anthropic's clients read it."""

    type: str
    message: str
    param: str | None
    freehold_code: str
    source: str


class MessagesError(Struct, kw_only=True):
    """An error in Anthropic's envelope."""

    type: Literal["error"]
    error: MessagesErrorBody
    request_id: str


class OllamaError(Struct, kw_only=True):
    """An error in Ollama's envelope."""

    error: str
    freehold_code: str
    source: str
    error_id: str


class TokenUsage(Struct, kw_only=True):
    """Tokens, as OpenAI counts them."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int = 0


class AnsweredFunction(Struct, kw_only=True):
    """Which function to call, and with what: JSON, as text."""

    name: str
    arguments: str


class AnsweredCall(Struct, kw_only=True):
    """One call of a tool."""

    id: str
    type: Literal["function"]
    function: AnsweredFunction


class AnsweredMessage(Struct, kw_only=True):
    """What the model said."""

    role: Literal["assistant"]
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[AnsweredCall] | None = None


class ChatChoice(Struct, kw_only=True):
    """The one answer."""

    index: int
    message: AnsweredMessage
    finish_reason: str | None
    logprobs: dict[str, Any] | None = None


class ChatAnswer(Struct, kw_only=True):
    """A chat, whole."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: TokenUsage | None = None


class TextChoice(Struct, kw_only=True):
    """The one answer."""

    index: int
    text: str
    finish_reason: str | None
    logprobs: dict[str, Any] | None = None


class CompletionAnswer(Struct, kw_only=True):
    """A completion, whole."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: TokenUsage | None = None


class Vector(Struct, kw_only=True):
    """One vector: numbers, or base64 of little-endian 32-bit floats."""

    index: int
    embedding: list[float] | str
    object: Literal["embedding"] = "embedding"


class EmbeddingAnswer(Struct, kw_only=True):
    """Vectors, in the order of the inputs."""

    object: Literal["list"]
    data: list[Vector]
    model: str
    usage: TokenUsage | None = None


class ResponseAnswer(Struct, kw_only=True):
    """A response of OpenAI's Responses API."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["completed", "incomplete"]
    model: str
    output: list[dict[str, Any]]
    usage: dict[str, Any] | None = None


class InfillAnswer(Struct, kw_only=True):
    """The text for a gap, in llama.cpp's shape; of all this only what ``response_fields`` names, where that is sent."""

    index: int = 0
    content: str = ""
    stop: bool = True
    model: str = ""
    stop_type: Literal["eos", "limit"] = "eos"
    truncated: bool = False
    tokens_evaluated: int = 0
    tokens_predicted: int = 0
    timings: dict[str, float] | None = None


class MessageAnswer(Struct, kw_only=True):
    """A message of Anthropic's API."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[dict[str, Any]]
    stop_reason: str | None
    stop_sequence: str | None
    usage: dict[str, Any]


class OllamaChatAnswer(Struct, kw_only=True):
    """A chat, whole, in Ollama's shape."""

    model: str
    created_at: str
    message: dict[str, Any]
    done: bool
    done_reason: str


class OllamaGenerateAnswer(Struct, kw_only=True):
    """A text, whole, in Ollama's shape."""

    model: str
    created_at: str
    response: str
    done: bool
    done_reason: str


class OllamaEmbedAnswer(Struct, kw_only=True):
    """Vectors in Ollama's shape."""

    model: str
    embeddings: list[list[float]]


class Ranked(Struct, kw_only=True):
    """How relevant one document is."""

    index: int
    relevance_score: float


class RerankAnswer(Struct, kw_only=True):
    """Documents by relevance, the most relevant first."""

    results: list[Ranked]


class CountBody(Struct, kw_only=True):
    """``POST /v1/messages/count_tokens``: a message that nobody is to answer."""

    model: Name
    messages: Annotated[list[dict[str, Any]], Meta(min_length=1)]


class CountAnswer(Struct, kw_only=True):
    """How long it is."""

    input_tokens: int


class FileForm(Struct, kw_only=True):
    """A file, as a form."""

    purpose: str
    file: str


class FileView(Struct, kw_only=True):
    """A file of a tenant."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    filename: str
    purpose: str


class FileList(Struct, kw_only=True):
    """Files."""

    object: Literal["list"]
    data: list[FileView]
    has_more: bool


class BatchBody(Struct, kw_only=True):
    """``POST /v1/batches``."""

    input_file_id: str
    endpoint: str
    completion_window: Literal["24h"]
    metadata: dict[str, str] | None = None


class BatchView(Struct, kw_only=True):
    """A batch, as OpenAI's clients know it."""

    id: str
    object: Literal["batch"]
    endpoint: str
    input_file_id: str
    completion_window: str
    status: str
    created_at: int
    output_file_id: str | None
    error_file_id: str | None
    request_counts: dict[str, int]


class BatchList(Struct, kw_only=True):
    """Batches, newest first."""

    object: Literal["list"]
    data: list[BatchView]
    has_more: bool


class BatchedMessage(Struct, kw_only=True):
    """One message of a batch, and the name of its result."""

    custom_id: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
    params: dict[str, Any]


class MessageBatchBody(Struct, kw_only=True):
    """``POST /v1/messages/batches``."""

    requests: Annotated[list[BatchedMessage], Meta(min_length=1)]


class MessageBatchView(Struct, kw_only=True):
    """A batch, as Anthropic's clients know it."""

    id: str
    type: Literal["message_batch"]
    processing_status: str
    request_counts: dict[str, int]
    created_at: str
    expires_at: str
    results_url: str | None


class MessageBatchList(Struct, kw_only=True):
    """Batches, newest first."""

    data: list[MessageBatchView]
    has_more: bool
    first_id: str | None
    last_id: str | None


class LimitBody(Struct, kw_only=True):
    """``PUT /v1/admin/limits``."""

    subject: str
    what: str
    window: str
    amount: int | str
    currency: str | None = None


class LimitView(Struct, kw_only=True):
    """A limit, with what is used of it."""

    subject: str
    what: str
    window: str
    amount: int | str
    currency: str | None
    used: int | str | None


class FeedbackView(Struct, kw_only=True):
    """What was said of an answer."""

    object: Literal["feedback"]
    receipt: str
    right: bool
    kind: Literal["feedback", "gold"]


class RpcMessage(Struct, kw_only=True):
    """A JSON-RPC message of the Model Context Protocol."""

    jsonrpc: Literal["2.0"]
    id: str | int | None = None
    method: str | None = None
    params: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


class SomeList(Struct, kw_only=True):
    """A list of objects."""

    object: Literal["list"]
    data: list[dict[str, Any]]


class ModelView(Struct, kw_only=True):
    """A name that can be sent as ``model``, and what it leads to."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    freehold: dict[str, Any]


class ModelList(Struct, kw_only=True):
    """All of them."""

    object: Literal["list"]
    data: list[ModelView]


class ReceiptView(Struct, kw_only=True):
    """Where a text went, why, and what it cost."""

    id: str


class ProvenReceipt(ReceiptView, kw_only=True):
    """One with the proof that its record is in the audit log."""

    proof: dict[str, Any] | None


class ReceiptList(Struct, kw_only=True):
    """Receipts, newest first."""

    object: Literal["list"]
    data: list[ReceiptView]


class OllamaTag(Struct, kw_only=True):
    """A name that can be sent as ``model``."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: dict[str, Any]


class OllamaTags(Struct, kw_only=True):
    """All of them."""

    models: list[OllamaTag]


class OllamaShown(Struct, kw_only=True):
    """A model, and what it can do."""

    details: dict[str, Any]
    model_info: dict[str, Any]
    capabilities: list[str]


class OllamaShow(Struct, kw_only=True):
    """``POST /api/show``."""

    model: Name


class Version(Struct, kw_only=True):
    """A version."""

    version: str


class Health(Struct, kw_only=True):
    """The process answers."""

    status: Literal["ok"]


class Readiness(Struct, kw_only=True):
    """Whether new requests are answered, and what that rests on."""

    ready: bool
    deployments_ready: int
    deployments: int
    audit: bool
    taking_requests: bool
