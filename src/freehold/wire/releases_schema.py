"""What the routes for releases and publications take and show, typed, with every bound in this one place."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from freehold.domain.releases import RELEASE_S_MAX

RELEASE_S = 8 * 3600
"""Life of a release where nothing else is said: a working day."""

Reason = Annotated[str, Meta(min_length=1, max_length=500)]
LabelText = Annotated[str, Meta(min_length=1, max_length=1_000)]
LifeS = Annotated[int, Meta(ge=60, le=RELEASE_S_MAX)]
Endpoint = Literal[
    "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages", "/v1/rerank"
]


class ReleaseBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/admin/releases``: ``receipt`` or ``body``, and where to."""

    to: Annotated[str, Meta(min_length=1, max_length=200)]
    reason: Reason
    receipt: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    body: dict[str, Any] | None = None
    endpoint: Endpoint = "/v1/chat/completions"
    label: LabelText | None = None
    expires_s: LifeS = RELEASE_S


class ApproveBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/admin/releases/{release_id}/approve``; with ``body`` only if it is that one."""

    body: dict[str, Any] | None = None
    endpoint: Endpoint = "/v1/chat/completions"


class PublishBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/admin/files/{file_id}/publish``."""

    label: LabelText
    reason: Reason


class ReleaseView(Struct, kw_only=True):
    """A release as it is shown."""

    object: Literal["release"] = "release"
    id: str
    tenant: str
    deployment: str
    state: Literal["waiting", "approved", "used", "expired"]
    label: str
    rules: list[str]
    reason: str
    receipt: str | None
    requested_by: str
    requested_unix_ms: int
    expires_unix_ms: int
    approved_by: str | None
    approved_unix_ms: int | None
    used_by: str | None
    used_unix_ms: int | None


class ReleaseList(Struct, kw_only=True):
    """Releases, newest first."""

    object: Literal["list"] = "list"
    data: list[ReleaseView]


class PublicationView(Struct, kw_only=True):
    """What became of a publication."""

    object: Literal["publication"] = "publication"
    file_id: str
    label: str
    before: str
    state: Literal["published", "waiting"]


ALLOWED = {
    "endpoint": "/v1/chat/completions, /v1/completions, /v1/embeddings, /v1/responses, /v1/messages and /v1/rerank"
}
"""What a closed list of values allows, by the path without its indices."""
