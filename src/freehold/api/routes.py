"""The whole URL table on one screen: what is served, how, and which scope it takes.

Inference routes are bare ASGI (the hot path); everything else is a Starlette endpoint. Authorisation looks at the
dispatched row of this table, never at a rebuilt URL.
"""

from __future__ import annotations

from dataclasses import dataclass

from freehold.api.surfaces import (
    CHAT,
    COMPLETION,
    EMBEDDING,
    INFILL,
    MESSAGES,
    OLLAMA_CHAT,
    OLLAMA_EMBED,
    OLLAMA_GENERATE,
    RESPONSES,
    Surface,
)

INFER = "infer"
ADMIN = "admin"
OPEN = ""
"""No key needed: liveness only, nothing of anybody's is shown."""


@dataclass(frozen=True, slots=True)
class InferenceRoute:
    """An inference route: ``POST`` only."""

    path: bytes
    surface: Surface


@dataclass(frozen=True, slots=True)
class ViewRoute:
    """Any other route. ``view`` names a method of ``api.views.Views``; what it reads is ``scope["body"]``."""

    method: str
    path: str
    view: str
    scope: str
    reads_body: bool = False


INFERENCE_ROUTES = (
    InferenceRoute(b"/v1/chat/completions", CHAT),
    InferenceRoute(b"/v1/completions", COMPLETION),
    InferenceRoute(b"/v1/embeddings", EMBEDDING),
    InferenceRoute(b"/v1/responses", RESPONSES),
    InferenceRoute(b"/infill", INFILL),
    InferenceRoute(b"/v1/messages", MESSAGES),
    InferenceRoute(b"/api/chat", OLLAMA_CHAT),
    InferenceRoute(b"/api/generate", OLLAMA_GENERATE),
    InferenceRoute(b"/api/embed", OLLAMA_EMBED),
)

VIEW_ROUTES = (
    ViewRoute("GET", "/v1/models", "models", INFER),
    ViewRoute("GET", "/v1/models/{name:path}", "model", INFER),
    ViewRoute("GET", "/v1/receipts", "receipts", INFER),
    ViewRoute("GET", "/v1/receipts/{receipt_id}", "receipt", INFER),
    ViewRoute("POST", "/v1/audio/{kind:path}", "audio", INFER),
    ViewRoute("GET", "/api/tags", "ollama_tags", INFER),
    ViewRoute("POST", "/api/show", "ollama_show", INFER, reads_body=True),
    ViewRoute("GET", "/api/version", "ollama_version", OPEN),
    ViewRoute("GET", "/healthz", "healthz", OPEN),
    ViewRoute("GET", "/readyz", "readyz", OPEN),
    ViewRoute("GET", "/metrics", "metrics", ADMIN),
)
