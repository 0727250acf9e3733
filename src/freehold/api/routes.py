"""The whole URL table on one screen: what is served, how, who may use it, and whose objects it reaches.

Inference routes are bare ASGI (the hot path) and take ``access.INFER``; everything else is a Starlette endpoint.
Authorisation looks at the dispatched row of this table, never at a rebuilt URL.
"""

from __future__ import annotations

from dataclasses import dataclass

from freehold.api.surfaces import (
    CHAT,
    COMPLETION,
    COUNT_TOKENS,
    EMBEDDING,
    INFILL,
    MESSAGES,
    OLLAMA_CHAT,
    OLLAMA_EMBED,
    OLLAMA_GENERATE,
    RERANK,
    RESPONSES,
    Surface,
)
from freehold.identity.access import ADMIN, INFER, MANAGE, OPEN, OWN, Access

_SMALL_BODY = 64 * 1024
_LARGE_BODY = 16 * 1024 * 1024
_TEXTS_BODY = 1024 * 1024
_QUERY_BODY = 512 * 1024
_EXAMPLES_BODY = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class InferenceRoute:
    """An inference route: ``POST`` only."""

    path: bytes
    surface: Surface


@dataclass(frozen=True, slots=True)
class ViewRoute:
    """Any other route.

    Attributes:
        method: One of HTTP's; ``GET`` serves ``HEAD`` too.
        path: With its parameters, as Starlette writes them.
        view: The group of views and the method of it that answers; it finds the row's access in ``scope["access"]``.
        access: Who may, and whose objects it reaches.
        body_bytes_max: Longest body, which the view finds in ``scope["body"]``; 0 where none is read.
        streams: The view reads the body itself, piece by piece, from ``scope["receive"]``.
        asks: The view makes requests in the caller's name, for as long as its key opens something.
        waits: What it does may take long, and ends with the key, or when its client leaves.
        surface: Whose clients ask, for how its errors are told.
    """

    method: str
    path: str
    view: str
    access: Access
    body_bytes_max: int = 0
    streams: bool = False
    asks: bool = False
    waits: bool = False
    surface: Surface = CHAT


INFERENCE_ROUTES = (
    InferenceRoute(b"/v1/chat/completions", CHAT),
    InferenceRoute(b"/v1/completions", COMPLETION),
    InferenceRoute(b"/v1/embeddings", EMBEDDING),
    InferenceRoute(b"/v1/rerank", RERANK),
    InferenceRoute(b"/v2/rerank", RERANK),
    InferenceRoute(b"/rerank", RERANK),
    InferenceRoute(b"/v1/responses", RESPONSES),
    InferenceRoute(b"/infill", INFILL),
    InferenceRoute(b"/v1/messages", MESSAGES),
    InferenceRoute(b"/v1/messages/count_tokens", COUNT_TOKENS),
    InferenceRoute(b"/api/chat", OLLAMA_CHAT),
    InferenceRoute(b"/api/generate", OLLAMA_GENERATE),
    InferenceRoute(b"/api/embed", OLLAMA_EMBED),
)

VIEW_ROUTES = (
    ViewRoute("GET", "/v1/models", "house.models", INFER),
    ViewRoute("GET", "/v1/models/{name:path}", "house.model", INFER),
    ViewRoute("GET", "/v1/receipts", "house.receipts", INFER),
    ViewRoute("GET", "/v1/receipts/{receipt_id}", "house.receipt", INFER),
    ViewRoute("GET", "/v1/admin/keys", "keys.listed", MANAGE),
    ViewRoute("POST", "/v1/admin/keys", "keys.made", MANAGE, body_bytes_max=_SMALL_BODY),
    ViewRoute("GET", "/v1/admin/keys/{key_id}", "keys.shown", MANAGE),
    ViewRoute("PATCH", "/v1/admin/keys/{key_id}", "keys.changed", MANAGE, body_bytes_max=_SMALL_BODY),
    ViewRoute("DELETE", "/v1/admin/keys/{key_id}", "keys.revoked", MANAGE),
    ViewRoute("POST", "/v1/admin/keys/{key_id}/rotate", "keys.rotated", MANAGE, body_bytes_max=_SMALL_BODY),
    ViewRoute("GET", "/v1/admin/releases", "releases.listed", MANAGE),
    ViewRoute("POST", "/v1/admin/releases", "releases.asked", MANAGE, body_bytes_max=_LARGE_BODY),
    ViewRoute("GET", "/v1/admin/releases/{release_id}", "releases.shown", MANAGE),
    ViewRoute("POST", "/v1/admin/releases/{release_id}/approve", "releases.approved", MANAGE, _LARGE_BODY),
    ViewRoute("POST", "/v1/admin/files/{file_id}/publish", "publish.published", OWN, body_bytes_max=_SMALL_BODY),
    ViewRoute("GET", "/v1/files", "files.list", INFER),
    ViewRoute("POST", "/v1/files", "files.create", INFER, streams=True),
    ViewRoute("GET", "/v1/files/{file_id}", "files.show", INFER),
    ViewRoute("DELETE", "/v1/files/{file_id}", "files.delete", INFER),
    ViewRoute("GET", "/v1/files/{file_id}/content", "files.content", INFER),
    ViewRoute("GET", "/v1/batches", "batches.list", INFER),
    ViewRoute("POST", "/v1/batches", "batches.create", INFER, body_bytes_max=_SMALL_BODY),
    ViewRoute("GET", "/v1/batches/{batch_id}", "batches.show", INFER),
    ViewRoute("POST", "/v1/batches/{batch_id}/cancel", "batches.cancel", INFER),
    ViewRoute("GET", "/v1/messages/batches", "message_batches.list", INFER, surface=MESSAGES),
    ViewRoute(
        "POST", "/v1/messages/batches", "message_batches.create", INFER, body_bytes_max=_LARGE_BODY, surface=MESSAGES
    ),
    ViewRoute("GET", "/v1/messages/batches/{batch_id}", "message_batches.show", INFER, surface=MESSAGES),
    ViewRoute("POST", "/v1/messages/batches/{batch_id}/cancel", "message_batches.cancel", INFER, surface=MESSAGES),
    ViewRoute("GET", "/v1/messages/batches/{batch_id}/results", "message_batches.results", INFER, surface=MESSAGES),
    ViewRoute("POST", "/v1/audio/{kind:path}", "house.audio", INFER),
    ViewRoute("POST", "/v1/classify", "classify.classify", INFER, body_bytes_max=_TEXTS_BODY, asks=True),
    ViewRoute("POST", "/v1/classifiers", "classify.create", INFER, body_bytes_max=_EXAMPLES_BODY, asks=True),
    ViewRoute("GET", "/v1/classifiers", "classify.listed", INFER),
    ViewRoute("GET", "/v1/classifiers/{name}", "classify.one", INFER),
    ViewRoute("DELETE", "/v1/classifiers/{name}", "classify.removed", INFER),
    ViewRoute("POST", "/v1/feedback", "learning.feedback", INFER, body_bytes_max=_SMALL_BODY),
    ViewRoute("POST", "/v1/gold", "learning.gold", INFER, body_bytes_max=_TEXTS_BODY, asks=True),
    ViewRoute("GET", "/v1/vault", "vault.listed", INFER),
    ViewRoute("POST", "/v1/vault/search", "vault.searched", INFER, body_bytes_max=_QUERY_BODY, waits=True),
    ViewRoute("GET", "/v1/vault/documents", "vault.documents", INFER),
    ViewRoute("POST", "/v1/vault/documents", "vault.added", INFER, streams=True),
    ViewRoute("GET", "/v1/vault/documents/{document_id}", "vault.shown", INFER),
    ViewRoute("PATCH", "/v1/vault/documents/{document_id}", "vault.changed", INFER, body_bytes_max=_SMALL_BODY),
    ViewRoute("DELETE", "/v1/vault/documents/{document_id}", "vault.removed", INFER),
    ViewRoute("GET", "/v1/vault/documents/{document_id}/content", "vault.content", INFER),
    ViewRoute("GET", "/v1/vector_stores", "vector_stores.listed", INFER),
    ViewRoute("POST", "/v1/vector_stores", "vector_stores.created", INFER),
    ViewRoute("GET", "/v1/vector_stores/{vault}", "vector_stores.shown", INFER),
    ViewRoute("POST", "/v1/vector_stores/{vault}/search", "vector_stores.searched", INFER, _QUERY_BODY, waits=True),
    ViewRoute("GET", "/v1/vector_stores/{vault}/files", "vector_stores.files", INFER),
    ViewRoute("POST", "/v1/vector_stores/{vault}/files", "vector_stores.attached", INFER, body_bytes_max=_SMALL_BODY),
    ViewRoute("GET", "/v1/vector_stores/{vault}/files/{document_id}", "vector_stores.file", INFER),
    ViewRoute("DELETE", "/v1/vector_stores/{vault}/files/{document_id}", "vector_stores.removed", INFER),
    ViewRoute("GET", "/v1/vector_stores/{vault}/files/{document_id}/content", "vector_stores.content", INFER),
    ViewRoute("POST", "/mcp", "mcp.answered", INFER, body_bytes_max=_QUERY_BODY, waits=True),
    ViewRoute("GET", "/api/tags", "house.ollama_tags", INFER, surface=OLLAMA_CHAT),
    ViewRoute("POST", "/api/show", "house.ollama_show", INFER, body_bytes_max=_SMALL_BODY, surface=OLLAMA_CHAT),
    ViewRoute("GET", "/api/version", "house.ollama_version", OPEN, surface=OLLAMA_CHAT),
    ViewRoute("GET", "/healthz", "house.healthz", OPEN),
    ViewRoute("GET", "/readyz", "house.readyz", OPEN),
    ViewRoute("GET", "/metrics", "house.metrics", ADMIN),
    ViewRoute("GET", "/openapi.json", "document.openapi", OPEN),
    ViewRoute("GET", "/v1/admin/limits", "limits.limits", MANAGE),
    ViewRoute("PUT", "/v1/admin/limits", "limits.set_limit", MANAGE, body_bytes_max=_SMALL_BODY),
    ViewRoute("DELETE", "/v1/admin/limits", "limits.remove_limit", MANAGE),
    ViewRoute("GET", "/v1/admin/tenants", "limits.tenants", MANAGE),
    ViewRoute("GET", "/v1/admin/usage", "limits.usage", MANAGE),
    ViewRoute("GET", "/v1/admin/queue", "queue.show", MANAGE),
    ViewRoute("GET", "/v1/admin/memory", "memory.show", ADMIN),
    ViewRoute("POST", "/v1/admin/memory/{name:path}/load", "memory.load", ADMIN),
    ViewRoute("POST", "/v1/admin/memory/{name:path}/unload", "memory.unload", ADMIN),
    ViewRoute("GET", "/v1/admin/approvals", "approvals.list", MANAGE),
    ViewRoute("GET", "/v1/admin/approvals/{approval_id}", "approvals.show", MANAGE),
    ViewRoute("POST", "/v1/admin/approvals/{approval_id}/allow", "approvals.allow", MANAGE),
    ViewRoute("POST", "/v1/admin/approvals/{approval_id}/deny", "approvals.deny", MANAGE),
    ViewRoute("GET", "/v1/admin/outcomes", "learning.outcomes", MANAGE),
    ViewRoute("DELETE", "/v1/admin/outcomes", "learning.erase", MANAGE),
    ViewRoute("POST", "/v1/admin/certificates", "learning.certify", MANAGE, body_bytes_max=_SMALL_BODY),
    ViewRoute("GET", "/v1/admin/standings", "learning.standings", MANAGE),
)
