"""What each route takes and answers, for the OpenAPI document: one row a route, beside the table of routes.

A route without a row is in the document too, with its parameters and the words of its view, as one that takes and
answers some JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from freehold.wire import answers_schema as answers
from freehold.wire.classify import ClassifyBody, TrainBody
from freehold.wire.feedback import CertifyBody, FeedbackBody, GoldBody
from freehold.wire.infill import InfillBody
from freehold.wire.keys_schema import KeyList, KeyView, NewKeyBody, NewKeyView, ReadsBody, RotateBody
from freehold.wire.messages_schema import MessagesBody
from freehold.wire.ollama_schema import OllamaChat, OllamaEmbed, OllamaGenerate
from freehold.wire.openai_schema import INPUTS_MAX, ChatBody, CompletionBody, EmbeddingBody, RerankBody
from freehold.wire.releases_schema import (
    ApproveBody,
    PublicationView,
    PublishBody,
    ReleaseBody,
    ReleaseList,
    ReleaseView,
)
from freehold.wire.responses_schema import ResponsesBody
from freehold.wire.vault_schema import (
    DocumentChangeBody,
    DocumentDeleted,
    DocumentList,
    DocumentsAdded,
    DocumentView,
    NewDocumentForm,
    StoreFileBody,
    StoreFileView,
    StoreHits,
    StoreSearchBody,
    StoreView,
    VaultList,
    VaultSearchBody,
    VaultSearchView,
)

JsonObject = dict[str, Any]

EVENTS = "text/event-stream"
LINES = "application/x-ndjson"
TEXT = "text/plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What one route takes and answers.

    Attributes:
        body: What is sent; ``None`` for some JSON, or nothing where the row reads no body.
        media: How it is sent.
        body_required: Whether it must be.
        answer: What comes back when all went well; ``None`` for some JSON.
        status: With which status.
        answer_media: In which form; empty where nothing comes back.
        stream: In which form it comes in pieces, where it may.
        query: Schema of each parameter behind the question mark.
        more: What else may come back, by status.
        summary: One line; that of the view where it is empty.
    """

    body: type | None = None
    media: str = "application/json"
    body_required: bool = True
    answer: type | None = None
    status: int = 200
    answer_media: str = "application/json"
    stream: str = ""
    query: dict[str, JsonObject] = field(default_factory=dict[str, JsonObject])
    more: dict[int, type] = field(default_factory=dict[int, type])
    summary: str = ""


_FLAG: JsonObject = {"type": "string", "enum": ["true", "false"], "default": "false"}

_COUNT: JsonObject = {"type": "integer", "minimum": 1, "maximum": 100}
_PAGED: dict[str, JsonObject] = {"limit": _COUNT, "after": {"type": "string"}}
_PAGED_BY_ID: dict[str, JsonObject] = {"limit": _COUNT, "after_id": {"type": "string"}}
_PLACES: dict[str, JsonObject] = {name: {"type": "integer", "minimum": 0} for name in ("start", "end")}
_VAULT: dict[str, JsonObject] = {"vault": {"type": "string"}}
_LISTED: dict[str, JsonObject] = {
    name: {"type": "array", "items": {"type": "string"}} for name in ("source", "author", "media_type")
} | {name: {"type": "string", "format": "date"} for name in ("from", "to")}
_RANKED = Shape(body=RerankBody, answer=answers.RerankAnswer, summary="Documents by their relevance to a query.")

SHAPES: dict[tuple[str, str], Shape] = {
    ("POST", "/v1/chat/completions"): Shape(
        body=ChatBody, answer=answers.ChatAnswer, stream=EVENTS, summary="Chat, streamed or whole."
    ),
    ("POST", "/v1/completions"): Shape(
        body=CompletionBody,
        answer=answers.CompletionAnswer,
        stream=EVENTS,
        summary="Text completion; with ``suffix``, fill-in-the-middle.",
    ),
    ("POST", "/v1/embeddings"): Shape(body=EmbeddingBody, answer=answers.EmbeddingAnswer, summary="Vectors."),
    ("POST", "/v1/responses"): Shape(
        body=ResponsesBody,
        answer=answers.ResponseAnswer,
        stream=EVENTS,
        summary="Chat as OpenAI's Responses API has it, streamed or whole.",
    ),
    ("POST", "/infill"): Shape(
        body=InfillBody,
        answer=answers.InfillAnswer,
        stream=EVENTS,
        summary="The text for a gap, as editors ask llama.cpp's server.",
    ),
    ("POST", "/v1/messages"): Shape(
        body=MessagesBody,
        answer=answers.MessageAnswer,
        stream=EVENTS,
        summary="Chat as Anthropic's Messages API has it, streamed or whole.",
    ),
    ("POST", "/api/chat"): Shape(
        body=OllamaChat,
        answer=answers.OllamaChatAnswer,
        stream=LINES,
        summary="Chat as Ollama has it, streamed unless told otherwise.",
    ),
    ("POST", "/api/generate"): Shape(
        body=OllamaGenerate,
        answer=answers.OllamaGenerateAnswer,
        stream=LINES,
        summary="One prompt as Ollama has it; with ``raw`` or ``suffix``, a text to continue.",
    ),
    ("POST", "/api/embed"): Shape(
        body=OllamaEmbed, answer=answers.OllamaEmbedAnswer, summary="Vectors as Ollama has them."
    ),
    ("POST", "/v1/rerank"): _RANKED,
    ("POST", "/v2/rerank"): _RANKED,
    ("POST", "/rerank"): _RANKED,
    ("POST", "/v1/messages/count_tokens"): Shape(
        body=answers.CountBody, answer=answers.CountAnswer, summary="How many tokens a message has."
    ),
    ("GET", "/v1/files"): Shape(answer=answers.FileList, query=_PAGED),
    ("POST", "/v1/files"): Shape(body=answers.FileForm, media="multipart/form-data", answer=answers.FileView),
    ("GET", "/v1/files/{file_id}"): Shape(answer=answers.FileView),
    ("GET", "/v1/files/{file_id}/content"): Shape(answer_media="application/octet-stream"),
    ("GET", "/v1/batches"): Shape(answer=answers.BatchList, query=_PAGED),
    ("POST", "/v1/batches"): Shape(body=answers.BatchBody, answer=answers.BatchView),
    ("GET", "/v1/batches/{batch_id}"): Shape(answer=answers.BatchView),
    ("POST", "/v1/batches/{batch_id}/cancel"): Shape(answer=answers.BatchView),
    ("GET", "/v1/messages/batches"): Shape(answer=answers.MessageBatchList, query=_PAGED_BY_ID),
    ("POST", "/v1/messages/batches"): Shape(body=answers.MessageBatchBody, answer=answers.MessageBatchView),
    ("GET", "/v1/messages/batches/{batch_id}"): Shape(answer=answers.MessageBatchView),
    ("POST", "/v1/messages/batches/{batch_id}/cancel"): Shape(answer=answers.MessageBatchView),
    ("GET", "/v1/messages/batches/{batch_id}/results"): Shape(answer_media="application/x-jsonl"),
    ("POST", "/v1/classify"): Shape(body=ClassifyBody),
    ("POST", "/v1/classifiers"): Shape(body=TrainBody),
    ("GET", "/v1/classifiers"): Shape(answer=answers.SomeList),
    ("GET", "/v1/vault"): Shape(answer=VaultList),
    ("POST", "/v1/vault/search"): Shape(body=VaultSearchBody, answer=VaultSearchView),
    ("GET", "/v1/vault/documents"): Shape(answer=DocumentList, query={**_VAULT, **_PAGED, **_LISTED}),
    ("POST", "/v1/vault/documents"): Shape(
        body=NewDocumentForm, media="multipart/form-data", answer=DocumentsAdded, status=201
    ),
    ("GET", "/v1/vault/documents/{document_id}"): Shape(answer=DocumentView, query=_VAULT),
    ("PATCH", "/v1/vault/documents/{document_id}"): Shape(body=DocumentChangeBody, answer=DocumentView, query=_VAULT),
    ("DELETE", "/v1/vault/documents/{document_id}"): Shape(answer=DocumentDeleted, query=_VAULT),
    ("GET", "/v1/vault/documents/{document_id}/content"): Shape(answer_media=TEXT, query={**_VAULT, **_PLACES}),
    ("GET", "/v1/vector_stores"): Shape(answer=answers.SomeList),
    ("POST", "/v1/vector_stores"): Shape(status=400, answer=answers.OpenAIError),
    ("GET", "/v1/vector_stores/{vault}"): Shape(answer=StoreView),
    ("POST", "/v1/vector_stores/{vault}/search"): Shape(body=StoreSearchBody, answer=StoreHits),
    ("GET", "/v1/vector_stores/{vault}/files"): Shape(answer=answers.SomeList, query=_PAGED),
    ("POST", "/v1/vector_stores/{vault}/files"): Shape(body=StoreFileBody, answer=StoreFileView),
    ("GET", "/v1/vector_stores/{vault}/files/{document_id}"): Shape(answer=StoreFileView),
    ("POST", "/mcp"): Shape(body=answers.RpcMessage, answer=answers.RpcMessage),
    ("POST", "/v1/feedback"): Shape(body=FeedbackBody, answer=answers.FeedbackView),
    ("POST", "/v1/gold"): Shape(body=GoldBody),
    ("GET", "/v1/admin/outcomes"): Shape(
        answer=answers.SomeList,
        query={
            "tenant": {"type": "string"},
            "workload": {"type": "string"},
            "deployment": {"type": "string"},
            "since_unix_ms": {"type": "integer", "minimum": 0},
            "labelled": _FLAG,
            "limit": {"type": "integer", "minimum": 0, "maximum": 10_000, "default": 100},
        },
    ),
    ("DELETE", "/v1/admin/outcomes"): Shape(query={"tenant": {"type": "string"}}),
    ("POST", "/v1/admin/certificates"): Shape(body=CertifyBody, answer=answers.SomeList),
    ("GET", "/v1/admin/standings"): Shape(answer=answers.SomeList),
    ("GET", "/v1/admin/limits"): Shape(answer=answers.SomeList),
    ("PUT", "/v1/admin/limits"): Shape(body=answers.LimitBody, answer=answers.LimitView),
    ("DELETE", "/v1/admin/limits"): Shape(
        query={name: {"type": "string"} for name in ("subject", "what", "window", "currency")}
    ),
    ("GET", "/v1/admin/tenants"): Shape(answer=answers.SomeList),
    ("GET", "/v1/admin/usage"): Shape(
        query={
            "from": {"type": "string", "format": "date"},
            "to": {"type": "string", "format": "date"},
            "by": {"type": "string", "enum": ["key", "tenant", "deployment", "day"]},
            "format": {"type": "string", "enum": ["json", "csv"]},
        },
        stream="text/csv",
    ),
    ("GET", "/v1/models"): Shape(answer=answers.ModelList),
    ("GET", "/v1/models/{name:path}"): Shape(answer=answers.ModelView),
    ("GET", "/v1/receipts"): Shape(
        answer=answers.ReceiptList,
        query={
            "limit": {"type": "integer", "minimum": 1, "maximum": 200, "default": 20},
            "before": {"type": "string", "description": "Id of a receipt."},
        },
    ),
    ("GET", "/v1/receipts/{receipt_id}"): Shape(answer=answers.ProvenReceipt),
    ("GET", "/v1/admin/keys"): Shape(answer=KeyList),
    ("POST", "/v1/admin/keys"): Shape(body=NewKeyBody, answer=NewKeyView, status=201),
    ("GET", "/v1/admin/keys/{key_id}"): Shape(answer=KeyView),
    ("PATCH", "/v1/admin/keys/{key_id}"): Shape(body=ReadsBody, answer=KeyView),
    ("DELETE", "/v1/admin/keys/{key_id}"): Shape(answer=KeyView, query={"force": _FLAG}),
    ("POST", "/v1/admin/keys/{key_id}/rotate"): Shape(
        body=RotateBody, body_required=False, answer=NewKeyView, status=201
    ),
    ("GET", "/v1/admin/releases"): Shape(answer=ReleaseList),
    ("POST", "/v1/admin/releases"): Shape(body=ReleaseBody, answer=ReleaseView, status=201),
    ("GET", "/v1/admin/releases/{release_id}"): Shape(answer=ReleaseView),
    ("POST", "/v1/admin/releases/{release_id}/approve"): Shape(
        body=ApproveBody, body_required=False, answer=ReleaseView
    ),
    ("POST", "/v1/admin/files/{file_id}/publish"): Shape(
        body=PublishBody, answer=PublicationView, more={202: PublicationView}
    ),
    ("POST", "/v1/audio/{kind:path}"): Shape(status=501, answer=answers.OpenAIError),
    ("GET", "/api/tags"): Shape(answer=answers.OllamaTags),
    ("POST", "/api/show"): Shape(body=answers.OllamaShow, answer=answers.OllamaShown),
    ("GET", "/api/version"): Shape(answer=answers.Version),
    ("GET", "/healthz"): Shape(answer=answers.Health),
    ("GET", "/readyz"): Shape(answer=answers.Readiness, more={503: answers.Readiness}),
    ("GET", "/metrics"): Shape(answer_media=TEXT),
    ("GET", "/openapi.json"): Shape(),
}

_TEXT_OR_TEXTS: JsonObject = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1}]
}
_INPUTS: JsonObject = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "minItems": 1,
            "maxItems": INPUTS_MAX,
        },
    ]
}

NARROWED: dict[str, dict[str, JsonObject]] = {
    "CompletionBody": {"prompt": _TEXT_OR_TEXTS},
    "EmbeddingBody": {"input": _INPUTS},
    "OllamaEmbed": {"input": _INPUTS},
}
"""Members that are read by hand, by the name of their schema."""
