"""Keys, managed over HTTP: made, rotated and revoked by those who may, each on what they reach."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import msgspec
from starlette.datastructures import QueryParams

from freehold.api.asgi import JSON, Headers, Scope
from freehold.audit.records import key_record
from freehold.domain.errors.auth import GrantRefused, KeyRequestInvalid
from freehold.domain.errors.request import FieldInvalid, NotFound
from freehold.domain.identity import Principal, Reads
from freehold.domain.labels import Level
from freehold.domain.ports import AuditLog, Clock
from freehold.identity.access import Access, check_end, check_grant, reached_tenant
from freehold.identity.keys import OVERLAP_S, KeyRing
from freehold.identity.readers import check_reads_grant
from freehold.policy.lattice import leq
from freehold.storage.keys import KeyRecord
from freehold.wire.body import decode_document
from freehold.wire.keys_schema import ALLOWED, KeyList, KeyView, NewKeyBody, NewKeyView, ReadsBody, RotateBody
from freehold.wire.openai_invalid import field_invalid
from freehold.wire.openai_response import encode_json

T = TypeVar("T")
View = tuple[int, bytes, Headers]

_NOT_STORED = (b"cache-control", b"no-store")


class KeyViews:
    """One method a row of the URL table.

    A caller with the scope ``manage`` reaches the keys of its own tenant, one with ``admin`` those of all. A key out
    of reach is answered like one that does not exist.
    """

    def __init__(self, *, keys: KeyRing, audit: AuditLog, clock: Clock) -> None:
        self._keys = keys
        self._audit = audit
        self._clock = clock

    async def listed(self, scope: Scope, principal: Principal) -> View:
        """Every key that the caller reaches, those that have ended too, oldest first."""
        tenant = reached_tenant(principal, scope["access"])
        shown = [self._shown(record) for record in self._keys.list() if tenant in {None, record.tenant}]
        return _json(KeyList(data=shown))

    async def shown(self, scope: Scope, principal: Principal) -> View:
        """One of them."""
        return _json(self._shown(await self._reached(scope, principal)))

    async def made(self, scope: Scope, principal: Principal) -> View:
        """Make a key; its secret is in this answer and nowhere else.

        Without ``tenant`` it is the caller's own tenant's, without ``scopes`` it has ``infer``. Nobody gives a scope that
        it does not have itself, a label that demands less than its own, or eyes for private documents (``user``, ``groups``,
        ``clearance``) that see more than its own; ``admin`` names any user and any groups.
        """
        body = _read(scope, NewKeyBody)
        tenant, scopes, label = body.tenant or principal.tenant.name, body.scopes or ["infer"], body.label or ""
        reached = reached_tenant(principal, scope["access"])
        if reached not in {None, tenant}:
            # Whether there is such a tenant is not told to whoever does not reach it.
            raise self._refused(principal, "", f"it reaches no tenant but {reached}")
        reads = Reads(
            user=body.user or "",
            groups=frozenset(body.groups or ()),
            clearance=principal.clearance if body.clearance is None else _level(body.clearance),
        )
        self._check_grant(principal, "", scopes, label, reads)
        secret, record = await asyncio.to_thread(
            self._keys.new,
            name=body.name,
            tenant=tenant,
            scopes=scopes,
            label=label,
            life_s=body.expires_s,
            reads=reads,
            by=principal.key_id,
        )
        return _json(self._told(record, secret), status=201)

    async def changed(self, scope: Scope, principal: Principal) -> View:
        """Have a key read private documents with other eyes; what is not said stays. Its next request does.

        As with making a key, nobody gives what it does not have; nor takes it from a key that has more.
        """
        body = _read(scope, ReadsBody)
        old = await self._reached(scope, principal)
        # Two programs that change one key at once: the last one wins, whole.
        reads = Reads(
            user=old.reads.user if body.user is None else body.user,
            groups=old.reads.groups if body.groups is None else frozenset(body.groups),
            clearance=old.reads.clearance if body.clearance is None else _level(body.clearance),
        )
        self._check_grant(principal, old.id, old.scopes, old.label, old.reads)
        self._check_grant(principal, old.id, old.scopes, old.label, reads)
        return _json(self._shown(await asyncio.to_thread(self._keys.change_reads, old.id, reads, by=principal.key_id)))

    async def rotated(self, scope: Scope, principal: Principal) -> View:
        """Make a key in place of another one; its secret is in this answer and nowhere else.

        The new one has the name, tenant, scopes, label and eyes of the old one, which stays good for ``overlap_s``: a day
        unless said, 0 for a key that leaked.
        """
        body = _read(scope, RotateBody)
        old = await self._reached(scope, principal)
        self._check_grant(principal, old.id, old.scopes, old.label, old.reads)
        secret, record = await asyncio.to_thread(
            self._keys.rotate,
            old.id,
            overlap_s=OVERLAP_S if body.overlap_s is None else body.overlap_s,
            life_s=body.expires_s,
            by=principal.key_id,
        )
        return _json(self._told(record, secret), status=201)

    async def revoked(self, scope: Scope, principal: Principal) -> View:
        """Revoke a key for good: it is refused at once, and what runs for it ends within seconds.

        Revoking one that was revoked before changes nothing. The last one of the scope ``admin`` needs ``force=true``.
        """
        force = QueryParams(scope["query_string"]).get("force", "false")
        if force not in {"true", "false"}:
            raise FieldInvalid(param="force", field="force", value=force, reason="true or false is taken")
        record = await self._reached(scope, principal)
        try:
            check_end(principal, scopes=record.scopes)
        except GrantRefused as error:
            self._note_refusal(principal, record.id, error)
            raise
        if record.revoked_unix_ms is None:
            await self._revoke(record.id, force=force == "true", by=principal.key_id)
        return _json(self._shown(await self._reached(scope, principal)))

    async def _revoke(self, key_id: str, *, force: bool, by: str) -> None:
        try:
            await asyncio.to_thread(self._keys.revoke, key_id, force=force, by=by)
        except KeyRequestInvalid:
            # Somebody else revoked it meanwhile, which is what was asked for.
            if (record := self._keys.find(key_id)) is None or record.revoked_unix_ms is None:
                raise

    async def _reached(self, scope: Scope, principal: Principal) -> KeyRecord:
        """The key that the path names, where the caller reaches it."""
        access: Access = scope["access"]
        key_id: str = scope["path_params"]["key_id"]
        if (record := self._keys.find(key_id)) is None:
            # Another worker may have made it a moment ago: who revokes it must not be told that there is none.
            await asyncio.to_thread(self._keys.reload)
            record = self._keys.find(key_id)
        if record is None or reached_tenant(principal, access) not in {None, record.tenant}:
            raise NotFound(path=scope["path"])
        return record

    def _check_grant(self, principal: Principal, key_id: str, scopes: Any, label: str, reads: Reads) -> None:
        lowers = not leq(principal.label, self._keys.label_of(label))
        try:
            check_grant(principal, scopes=scopes, lowers_label=lowers)
            check_reads_grant(principal, reads)
        except GrantRefused as error:
            self._note_refusal(principal, key_id, error)
            raise

    def _refused(self, principal: Principal, key_id: str, reason: str) -> GrantRefused:
        error = GrantRefused(reason=reason)
        self._note_refusal(principal, key_id, error)
        return error

    def _note_refusal(self, principal: Principal, key_id: str, error: GrantRefused) -> None:
        self._audit.append(
            key_record(
                event="key.refused",
                unix_ms=self._clock.unix_ms(),
                tenant=principal.tenant.name,
                key_id=key_id,
                by=principal.key_id,
                detail={"reason": str(error.values["reason"])},
            )
        )

    def _shown(self, record: KeyRecord) -> KeyView:
        return KeyView(**self._members(record))

    def _told(self, record: KeyRecord, secret: str) -> NewKeyView:
        return NewKeyView(key=secret, **self._members(record))

    def _members(self, record: KeyRecord) -> dict[str, Any]:
        return {
            "id": record.id,
            "name": record.name,
            "tenant": record.tenant,
            "scopes": sorted(record.scopes),
            "label": record.label or None,
            "state": self._keys.state(record),
            "created_unix_ms": record.created_unix_ms,
            "expires_unix_ms": record.expires_unix_ms,
            "revoked_unix_ms": record.revoked_unix_ms,
            "follows": record.follows or None,
            "line": record.line,
            "user": record.reads.user or None,
            "groups": sorted(record.reads.groups),
            "clearance": record.reads.clearance.word,
        }


def _level(word: str) -> Level:
    return Level[word.upper()]


def _read(scope: Scope, kind: type[T]) -> T:
    """The body as one of ours; none is one without members."""
    raw: bytes = scope["body"]
    if not raw:
        raw = b"{}"
    values = decode_document(raw).values
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise field_invalid(error, values, allowed=ALLOWED) from None


def _json(value: object, *, status: int = 200) -> View:
    return status, encode_json(value), [JSON, _NOT_STORED]
