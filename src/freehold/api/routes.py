"""The whole URL table on one screen: what is served, how, and which scope it takes.

Inference routes are bare ASGI (the hot path); everything else is a Starlette endpoint. Authorisation looks at the
dispatched row of this table, never at a rebuilt URL.
"""

from __future__ import annotations

from dataclasses import dataclass

from freehold.api.surfaces import CHAT, COMPLETION, EMBEDDING, MESSAGES, Surface

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
    """Any other route. ``view`` names a method of ``api.views.Views``."""

    method: str
    path: str
    view: str
    scope: str


INFERENCE_ROUTES = (
    InferenceRoute(b"/v1/chat/completions", CHAT),
    InferenceRoute(b"/v1/completions", COMPLETION),
    InferenceRoute(b"/v1/embeddings", EMBEDDING),
    InferenceRoute(b"/v1/messages", MESSAGES),
)

VIEW_ROUTES = (
    ViewRoute("GET", "/v1/models", "models", INFER),
    ViewRoute("GET", "/v1/models/{name:path}", "model", INFER),
    ViewRoute("GET", "/v1/receipts", "receipts", INFER),
    ViewRoute("GET", "/v1/receipts/{receipt_id}", "receipt", INFER),
    ViewRoute("GET", "/healthz", "healthz", OPEN),
    ViewRoute("GET", "/readyz", "readyz", OPEN),
    ViewRoute("GET", "/metrics", "metrics", ADMIN),
)
