"""Calls of tools that wait for a human, for those who manage: ``/v1/admin/approvals``."""

from __future__ import annotations

import asyncio

from freehold.api.asgi import JSON, Headers, Scope
from freehold.domain.identity import Principal
from freehold.identity.access import reached_tenant
from freehold.identity.approval_book import ApprovalBook
from freehold.wire.openai_response import encode_json

View = tuple[int, bytes, Headers]


class ApprovalViews:
    """One method a row of the URL table.

    Args:
        book: The calls.
    """

    def __init__(self, book: ApprovalBook) -> None:
        self._book = book

    async def list(self, scope: Scope, principal: Principal) -> View:
        """The calls that the caller reaches, the newest first."""
        reached = reached_tenant(principal, scope["access"])
        return _json({"object": "list", "data": await asyncio.to_thread(self._book.all, reached)})

    async def show(self, scope: Scope, principal: Principal) -> View:
        """One of them, with exactly what would be called."""
        held_id, reached = scope["path_params"]["approval_id"], reached_tenant(principal, scope["access"])
        return _json(await asyncio.to_thread(self._book.get, held_id, reached))

    async def allow(self, scope: Scope, principal: Principal) -> View:
        """Let exactly this call be made, once."""
        return await self._decide(scope, principal, allow=True)

    async def deny(self, scope: Scope, principal: Principal) -> View:
        """Have it never made."""
        return await self._decide(scope, principal, allow=False)

    async def _decide(self, scope: Scope, principal: Principal, *, allow: bool) -> View:
        found = await asyncio.to_thread(
            self._book.decide,
            scope["path_params"]["approval_id"],
            allow=allow,
            by=principal.key_id,
            tenant=reached_tenant(principal, scope["access"]),
        )
        return _json(found)


def _json(value: object) -> View:
    return 200, encode_json(value), [JSON]
