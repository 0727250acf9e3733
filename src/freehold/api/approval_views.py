"""Calls of tools that wait for a human, for those who manage: ``/v1/admin/approvals``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

from freehold.api.asgi import JSON, Headers, Scope
from freehold.domain.errors.untrusted import ApprovalUnknown
from freehold.domain.errors.vault import VaultError
from freehold.domain.identity import Principal, reader_of
from freehold.domain.ports import ReceiptStore
from freehold.domain.vault_ports import VaultDesk
from freehold.identity.access import reached_tenant
from freehold.identity.approval_book import ApprovalBook
from freehold.wire.openai_response import encode_json

View = tuple[int, bytes, Headers]


class ApprovalViews:
    """One method a row of the URL table.

    What a call would be made with may be words of a document. A call in an answer from documents is therefore shown to,
    and decided by, who may read all of them now; for everybody else it is as if it were not there.

    Args:
        book: The calls.
        receipts: Tell which documents were found for a request.
        desk: Tells who may read them; ``None`` where there are no vaults.
    """

    def __init__(self, book: ApprovalBook, *, receipts: ReceiptStore, desk: VaultDesk | None) -> None:
        self._book = book
        self._receipts = receipts
        self._desk = desk

    async def list(self, scope: Scope, principal: Principal) -> View:
        """The calls that the caller reaches, the newest first."""
        found = await asyncio.to_thread(self._book.all, reached_tenant(principal, scope["access"]))
        return _json({"object": "list", "data": [each for each in found if await self._may_see(each, principal)]})

    async def show(self, scope: Scope, principal: Principal) -> View:
        """One of them, with exactly what would be called."""
        return _json(await self._seen(scope, principal))

    async def allow(self, scope: Scope, principal: Principal) -> View:
        """Let exactly this call be made, once."""
        return await self._decide(scope, principal, allow=True)

    async def deny(self, scope: Scope, principal: Principal) -> View:
        """Have it never made."""
        return await self._decide(scope, principal, allow=False)

    async def _decide(self, scope: Scope, principal: Principal, *, allow: bool) -> View:
        seen = await self._seen(scope, principal)
        found = await asyncio.to_thread(
            self._book.decide,
            str(seen["id"]),
            allow=allow,
            by=principal.key_id,
            tenant=reached_tenant(principal, scope["access"]),
        )
        return _json(found)

    async def _seen(self, scope: Scope, principal: Principal) -> dict[str, object]:
        held_id, reached = scope["path_params"]["approval_id"], reached_tenant(principal, scope["access"])
        found = await asyncio.to_thread(self._book.get, held_id, reached)
        if not await self._may_see(found, principal):
            raise ApprovalUnknown(id=held_id)
        return found

    async def _may_see(self, held: Mapping[str, object], principal: Principal) -> bool:
        receipt = await self._receipts.get(str(held["request"]), tenant=str(held["tenant"]))
        if receipt is None:
            return False  # as long as nothing says what was found for it
        retrieved = cast("Mapping[str, Any]", receipt.get("retrieved") or {"vault": "", "documents": []})
        return await self._may_read(retrieved["vault"], [each["id"] for each in retrieved["documents"]], principal)

    async def _may_read(self, vault: str, document_ids: Sequence[str], principal: Principal) -> bool:
        try:
            for each in document_ids:
                if self._desk is None or await self._desk.document(vault, each, reader=reader_of(principal)) is None:
                    return False
        except VaultError:
            return False
        return True


def _json(value: object) -> View:
    return 200, encode_json(value), [JSON]
