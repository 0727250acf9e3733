"""What the routes for keys take and show, typed, with every bound in this one place."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

DAY_S = 24 * 3600

Scopes = Annotated[list[Literal["infer", "manage", "admin"]], Meta(min_length=1, max_length=3)]
ReaderName = Annotated[str, Meta(min_length=1, max_length=64)]
Groups = Annotated[list[ReaderName], Meta(max_length=64)]
Clearance = Literal["public", "internal", "confidential", "restricted"]
LifeS = Annotated[int, Meta(ge=1, le=3660 * DAY_S)]


class NewKeyBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/admin/keys``. A member that is not known is refused: a mistyped limit would be none."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    tenant: Annotated[str, Meta(min_length=1)] | None = None
    scopes: Scopes | None = None
    label: Annotated[str, Meta(max_length=1_000)] | None = None
    expires_s: LifeS | None = None
    user: ReaderName | None = None
    groups: Groups | None = None
    clearance: Clearance | None = None


class ReadsBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """``PATCH /v1/admin/keys/{key_id}``: what is not said stays; an empty ``user`` is nobody."""

    user: Annotated[str, Meta(max_length=64)] | None = None
    groups: Groups | None = None
    clearance: Clearance | None = None


class RotateBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/admin/keys/{key_id}/rotate``."""

    overlap_s: Annotated[int, Meta(ge=0, le=30 * DAY_S)] | None = None
    expires_s: LifeS | None = None


class KeyView(Struct, kw_only=True):
    """A key as it is shown; the secret is stored nowhere."""

    object: Literal["api_key"] = "api_key"
    id: str
    name: str
    tenant: str
    scopes: list[str]
    label: str | None
    state: Literal["good", "revoked", "expired", "opens nothing"]
    created_unix_ms: int
    expires_unix_ms: int | None
    revoked_unix_ms: int | None
    follows: str | None
    line: str
    user: str | None
    groups: list[str]
    clearance: Clearance


class NewKeyView(KeyView, kw_only=True):
    """A key that was just made, with its secret, which is shown this once."""

    key: str


class KeyList(Struct, kw_only=True):
    """Keys, oldest first."""

    object: Literal["list"] = "list"
    data: list[KeyView]


ALLOWED = {"scopes": "infer, manage and admin", "clearance": "public, internal, confidential and restricted"}
"""What a closed list of values allows, by the path without its indices."""
