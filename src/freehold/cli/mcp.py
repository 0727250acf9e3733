"""``freehold mcp``: the archive's tools for an agent on this machine, over its standard input and output."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from freehold.cli import output
from freehold.cli.options import Json, KeyFile, Url
from freehold.cli.server_call import RunningServer, find_server, json_of, not_running
from freehold.domain.errors.upstream import UpstreamUnreachable
from freehold.net.fetch import LocalAnswer, call_local
from freehold.wire.mcp_tools import ListArguments, ReadArguments, ReadView, SearchArguments
from freehold.wire.openai_response import encode_json

_ANSWER_S = 60.0
_OK = 200
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_DOCUMENTS = "/v1/vault/documents"


def mcp(*, url: Url = "", key_file: KeyFile = "", as_json: Json = False) -> int:
    """Serve the archive's tools to an agent that starts this program: MCP over standard input and output.

    What the tools see is what the key may read at the running server. Needs the extra "mcp". Why it could not begin is said
    as JSON with --json; all else on standard output is the protocol's.
    """
    del as_json  # what an error is told as, the command line decides
    from freehold.api.mcp_server import archive_server, load_mcp  # lazy: the extra is slow to load

    load_mcp()
    from mcp.server.stdio import stdio_server

    server = archive_server(FarArchive(find_server(url=url, key_file=key_file)))

    async def serve() -> None:
        async with stdio_server() as (heard, said):
            await server.run(heard, said, server.create_initialization_options())

    asyncio.run(serve())
    return output.OK


class FarArchive:
    """Private documents as a running server shows them to a key. Implements ``api.mcp_server.Archive``."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server

    async def search(self, arguments: SearchArguments) -> dict[str, object]:
        """See ``Archive.search``."""
        filters = {
            "sources": arguments.sources,
            "authors": arguments.authors,
            "written_from": arguments.written_from,
            "written_to": arguments.written_to,
        }
        body = {"query": arguments.query, "vault": arguments.vault, "limit": arguments.limit, "filters": filters}
        return self._json(await self._call("POST", "/v1/vault/search", encode_json(body)))

    async def read(self, arguments: ReadArguments) -> dict[str, object]:
        """See ``Archive.read``."""
        path, end = f"{_DOCUMENTS}/{_quoted(arguments.document_id)}", arguments.start + arguments.length
        about = self._json(await self._call("GET", path))
        # One character more than wanted tells whether there is more.
        answer = await self._call("GET", f"{path}/content{_query(start=arguments.start, end=end + 1)}")
        if answer.status != _OK:
            return self._json(answer)
        text = answer.body.decode("utf-8", "replace")
        shown = text[: arguments.length]
        view = ReadView(
            document_id=str(about["id"]),
            title=str(about["title"]),
            source=str(about["source"]),
            label=str(dict(answer.headers).get("freehold-label") or about["label"]),
            start=arguments.start,
            end=arguments.start + len(shown),
            more=len(text) > len(shown),
            text=shown,
        )
        found: dict[str, object] = json.loads(encode_json(view))
        return found

    async def documents(self, arguments: ListArguments) -> dict[str, object]:
        """See ``Archive.documents``."""
        query = _query(vault=arguments.vault, after=arguments.after or None, limit=arguments.limit)
        return self._json(await self._call("GET", _DOCUMENTS + query))

    async def _call(self, method: str, path: str, body: bytes = b"") -> LocalAnswer:
        server = self._server
        try:
            return await call_local(
                server.url,
                method=method,
                path=path,
                headers=server.headers,
                body=body,
                timeout_s=_ANSWER_S,
                ca_file=server.ca_file,
            )
        except UpstreamUnreachable as error:
            raise not_running(server.url, error) from error

    def _json(self, answer: LocalAnswer) -> dict[str, object]:
        from freehold.api.mcp_server import ToolError

        try:
            return json_of(self._server.url, answer)
        except output.AnsweredWithError as error:
            told = error.envelope["error"]
            raise ToolError(f"{told.get('freehold_code') or told.get('code')}: {told.get('message')}") from None


def _query(**values: object) -> str:
    said: Sequence[str] = [f"{name}={_quoted(str(value))}" for name, value in values.items() if value is not None]
    return "?" + "&".join(said) if said else ""


def _quoted(text: str) -> str:
    """A text as a part of an address."""
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in text.encode("utf-8", "replace"))
