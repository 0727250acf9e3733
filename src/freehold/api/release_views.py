"""Releases and publications over HTTP: asked for, approved and listed by those who may, each on what they reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from freehold.api.asgi import JSON, Headers, Scope
from freehold.api.surfaces import CHAT, COMPLETION, EMBEDDING, MESSAGES, RERANK, RESPONSES, Surface
from freehold.domain.errors.release import PublishRefused, ReleaseRequestInvalid
from freehold.domain.errors.request import NotFound
from freehold.domain.identity import Principal
from freehold.domain.labels import Label, Level
from freehold.domain.ports import Clock
from freehold.domain.releases import Release
from freehold.domain.request import InferenceRequest
from freehold.domain.zones import ZoneTree
from freehold.gateway.release_book import ReleaseBook, Wanted
from freehold.gateway.releasing import LiveReleases
from freehold.identity.access import reached_tenant
from freehold.policy.lattice import leq
from freehold.policy.text import DEVICE_ONLY_KIND, format_label, parse_label
from freehold.storage.files import SqliteFiles
from freehold.storage.keys import KeyEvent
from freehold.storage.releases import Publication, SqliteReleases
from freehold.wire.body import Document, decode_document
from freehold.wire.openai_invalid import field_invalid
from freehold.wire.openai_response import encode_json
from freehold.wire.releases_schema import (
    ALLOWED,
    ApproveBody,
    PublicationView,
    PublishBody,
    ReleaseBody,
    ReleaseList,
    ReleaseView,
)

T = TypeVar("T")
View = tuple[int, bytes, Headers]

_SURFACES: Mapping[str, Surface] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETION,
    "/v1/embeddings": EMBEDDING,
    "/v1/responses": RESPONSES,
    "/v1/messages": MESSAGES,
    "/v1/rerank": RERANK,
}


class ReleaseViews:
    """One method a row of the URL table.

    A caller with the scope ``manage`` reaches the releases of its own tenant, one with ``admin`` those of all. One out
    of reach is answered like one that does not exist.
    """

    def __init__(self, *, book: ReleaseBook, clock: Clock) -> None:
        self._book = book
        self._clock = clock

    async def listed(self, scope: Scope, principal: Principal) -> View:
        """The newest releases that the caller reaches, those that are over too."""
        found = await self._book.list(tenant=reached_tenant(principal, scope["access"]))
        return _json(ReleaseList(data=[self._shown(each) for each in found]))

    async def shown(self, scope: Scope, principal: Principal) -> View:
        """One of them."""
        return _json(self._shown(await self._reached(scope, principal)))

    async def asked(self, scope: Scope, principal: Principal) -> View:
        """Ask that one exact body may go to one deployment, once: that of a refused request, or one given here.

        It is good for nothing until somebody approves it.
        """
        document, body = _read(scope, ReleaseBody)
        if (body.receipt is None) == (body.body is None):
            raise ReleaseRequestInvalid(what="the body", value=body.receipt or "", reason="give a receipt or a body")
        wanted = Wanted(
            deployment=body.to,
            reason=body.reason,
            life_s=body.expires_s,
            receipt=body.receipt or "",
            request=None if body.body is None else _request(document, body.endpoint),
            label=body.label or "",
        )
        release = await self._book.ask(principal, wanted, reached=reached_tenant(principal, scope["access"]))
        return _json(self._shown(release), status=201)

    async def approved(self, scope: Scope, principal: Principal) -> View:
        """Approve a release. From level confidential on, somebody else than who asked must.

        With ``body`` it is approved only if it is for exactly that one.
        """
        document, body = _read(scope, ApproveBody)
        request = None if body.body is None else _request(document, body.endpoint)
        release = await self._reached(scope, principal)
        return _json(self._shown(await self._book.approve(principal, release, request=request)))

    async def _reached(self, scope: Scope, principal: Principal) -> Release:
        tenant = reached_tenant(principal, scope["access"])
        release = await self._book.get(scope["path_params"]["release_id"], tenant=tenant)
        if release is None:
            raise NotFound(path=scope["path"])
        return release

    def _shown(self, release: Release) -> ReleaseView:
        return ReleaseView(
            id=release.id,
            tenant=release.tenant,
            deployment=release.deployment,
            state=release.state(self._clock.unix_ms()),  # pyright: ignore[reportArgumentType] - one of these words
            label=release.label,
            rules=list(release.rules),
            reason=release.reason,
            receipt=release.receipt or None,
            requested_by=release.requested_by,
            requested_unix_ms=release.requested_unix_ms,
            expires_unix_ms=release.expires_unix_ms,
            approved_by=release.approved_by or None,
            approved_unix_ms=release.approved_unix_ms,
            used_by=release.used_by or None,
            used_unix_ms=release.used_unix_ms,
        )


class PublishViews:
    """The row that gives a stored file another label.

    Whoever has the scope ``manage`` in the file's own tenant is its owner; ``admin`` of another tenant is not.
    """

    def __init__(
        self,
        *,
        files: SqliteFiles,
        store: SqliteReleases,
        live: LiveReleases,
        tree: Callable[[], ZoneTree],
        clock: Clock,
    ) -> None:
        self._files = files
        self._store = store
        self._live = live
        self._tree = tree
        self._clock = clock

    async def published(self, scope: Scope, principal: Principal) -> View:
        """Give a file another label. One of level restricted waits until a second person asks for the same within a day."""
        _, body = _read(scope, PublishBody)
        tree, unix_ms = self._tree(), self._clock.unix_ms()
        tenant = reached_tenant(principal, scope["access"])
        file = await self._files.get(scope["path_params"]["file_id"], tenant=tenant, unix_ms=unix_ms)
        if file is None:
            raise NotFound(path=scope["path"])
        before, label = parse_label(file.label, tree), parse_label(body.label, tree, param="label")
        text = format_label(label)
        if DEVICE_ONLY_KIND in before.kinds - label.kinds:
            raise PublishRefused(file_id=file.id, label=text, reason="nothing takes the kind secret off a text")
        publication = Publication(
            file_id=file.id,
            before=file.label,
            label=text,
            requested_line=principal.line or principal.key_id,
            requested_unix_ms=unix_ms,
        )
        done = await self._store.publish(
            publication,
            alone=not _needs_two(before, label),
            event=self._event("publish", publication, principal, body.reason),
            asked=self._event("publish.request", publication, principal, body.reason),
        )
        if done is None:
            raise PublishRefused(file_id=file.id, label=text, reason="it has another label by now, or is gone")
        state = "published" if done else "waiting"
        shown = PublicationView(file_id=file.id, label=text, before=file.label, state=state)
        return _json(shown, status=200 if done else 202)

    def _event(self, event: str, publication: Publication, principal: Principal, reason: str) -> KeyEvent:
        """For the audit log: never the reason in words, which may hold anything."""
        detail: dict[str, object] = {
            "file": publication.file_id,
            "label_in": publication.before,
            "label_out": publication.label,
            "reason_commit": self._live.commit_text(reason),
        }
        return KeyEvent(
            unix_ms=publication.requested_unix_ms,
            event=event,
            key_id="",
            tenant=principal.tenant.name,
            by=principal.key_id,
            detail=detail,
        )


def _needs_two(before: Label, label: Label) -> bool:
    """Whether it takes two persons: where a restricted text is to be less than it was in any way."""
    return before.level is Level.RESTRICTED and not leq(before, label)


def _request(document: Document, endpoint: str) -> InferenceRequest:
    """The body that was given, with every member as it was sent."""
    raw = document.members["body"]
    return _SURFACES[endpoint].decode(raw, request_id="", label_header=None, include_receipt=False)


def _read(scope: Scope, kind: type[T]) -> tuple[Document, T]:
    """The body as one of ours; none is one without members."""
    document = decode_document(scope["body"] or b"{}")
    try:
        return document, msgspec.convert(document.values, kind)
    except msgspec.ValidationError as error:
        raise field_invalid(error, document.values, allowed=ALLOWED) from None


def _json(value: object, *, status: int = 200) -> View:
    return status, encode_json(value), [JSON]
