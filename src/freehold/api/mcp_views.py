"""``/mcp``: the archive's tools for agents over HTTP, under the same key as everything else; nothing is kept between calls."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from freehold.api.asgi import Event, Headers, Scope
from freehold.api.mcp_server import JsonObject, archive_server, load_mcp
from freehold.api.vault_asked import NOT_STORED, View
from freehold.api.vault_counter import VaultCounter, document_list
from freehold.domain.errors.request import NotFound
from freehold.domain.identity import Principal, reader_of
from freehold.domain.vault import Filters, VaultQuery
from freehold.wire.mcp_tools import ListArguments, ReadArguments, ReadView, SearchArguments


class McpViews:
    """One method a row of the URL table: an agent's message in, the answer out.

    A server is made for each message and knows its caller alone, so that no session can be taken over and no caller's
    words can reach another's.
    """

    def __init__(self, counter: VaultCounter) -> None:
        self._counter = counter

    async def answered(self, scope: Scope, principal: Principal) -> View:
        """Answer one MCP message (streamable HTTP, stateless, JSON): tools search, read and list documents.

        What a tool sees is what the caller's key may read. Needs the extra ``mcp``, and a vault.
        """
        if not self._counter.names(principal):
            raise NotFound(path=scope["path"])
        session_manager = await asyncio.to_thread(load_mcp)
        server = archive_server(SeenArchive(self._counter, principal))
        manager = session_manager(server, json_response=True, stateless=True)
        exchange = _Exchange(scope["body"])
        async with manager.run():
            await manager.handle_request(dict(scope), exchange.receive, exchange.send)
        return exchange.status, bytes(exchange.body), [*exchange.headers, NOT_STORED]


class SeenArchive:
    """Private documents as one caller may read them. Implements ``api.mcp_server.Archive``."""

    def __init__(self, counter: VaultCounter, principal: Principal) -> None:
        self._counter = counter
        self._principal = principal

    async def search(self, arguments: SearchArguments) -> JsonObject:
        """See ``Archive.search``."""
        query = VaultQuery(
            vault=self._counter.vault_of(self._principal, arguments.vault),
            text=arguments.query,
            reader=reader_of(self._principal),
            limit=arguments.limit,
            filters=Filters(
                sources=tuple(arguments.sources),
                authors=tuple(arguments.authors),
                written_from=arguments.written_from or "",
                written_to=arguments.written_to or "",
            ),
        )
        found = await self._counter.search(self._principal, query)
        return msgspec.to_builtins(self._counter.shown_search(self._principal, query, found))

    async def read(self, arguments: ReadArguments) -> JsonObject:
        """See ``Archive.read``."""
        seen = await self._counter.find(self._principal, arguments.document_id)
        text = None if seen is None else await self._counter.text(self._principal, seen)
        if seen is None or text is None:
            raise NotFound(path=f"/v1/vault/documents/{arguments.document_id}")
        end = min(len(text), arguments.start + arguments.length)
        view = ReadView(
            document_id=seen.document.id,
            title=seen.document.title,
            source=seen.document.source,
            label=self._counter.label_of_all(self._principal, (seen.document,)),
            start=min(arguments.start, end),
            end=end,
            more=end < len(text),
            text=text[arguments.start : end],
        )
        return msgspec.to_builtins(view)

    async def documents(self, arguments: ListArguments) -> JsonObject:
        """See ``Archive.documents``."""
        vault = self._counter.vault_of(self._principal, arguments.vault)
        found = await self._counter.page(self._principal, vault, after=arguments.after, limit=arguments.limit)
        return msgspec.to_builtins(document_list(vault, found, limit=arguments.limit))


class _Exchange:
    """One request, already read, and its answer, gathered."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._never = asyncio.Event()
        self.status = 500
        self.headers: Headers = []
        self.body = bytearray()

    async def receive(self) -> Event:
        if self._body is None:
            await self._never.wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, event: Any) -> None:
        if event["type"] == "http.response.start":
            self.status = event["status"]
            self.headers = [(name, value) for name, value in event["headers"] if name.lower() != b"content-length"]
        else:
            self.body += event.get("body", b"")
