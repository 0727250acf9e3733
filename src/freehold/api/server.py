"""The ASGI application: dispatch by the table, authenticate, render errors. Nothing escapes it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from starlette.routing import Route, Router

from freehold.api.asgi import FileBody, Receive, Scope, Send, decoded, header, read_body, reply, while_there
from freehold.api.asgi_exchange import AsgiExchange
from freehold.api.errors import unexpected
from freehold.api.exchange import ClientLeft, Headers
from freehold.api.inference import Hosts, Inference, credential_of, refusal
from freehold.api.routes import INFERENCE_ROUTES, VIEW_ROUTES, ViewRoute
from freehold.api.surfaces import CHAT
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.request import MethodNotAllowed, NotFound
from freehold.domain.identity import Principal
from freehold.domain.ports import IdSource
from freehold.gateway.pipeline import Pipeline
from freehold.identity.access import INFER, Access, authorise
from freehold.serving.overload import Door

Lifespan = Callable[[], contextlib.AbstractAsyncContextManager[None]]


class Api:
    """What uvicorn serves: everything over ASGI, inference also straight from the connection.

    Attributes:
        inference_paths: Raw paths that ``infer`` answers.
        end_revoked: As ``Inference.end_revoked``.
    """

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        views: Mapping[str, object],
        ids: IdSource,
        hosts: frozenset[str],
        body_limit_bytes: int,
        door: Door,
        refused: Callable[[str], None],
        lifespan: Lifespan,
    ) -> None:
        self._pipeline = pipeline
        self._hosts = Hosts(hosts)
        self._inference = Inference(
            pipeline=pipeline,
            ids=ids,
            hosts=self._hosts,
            routes={route.path: route.surface for route in INFERENCE_ROUTES},
            access=INFER,
            body_limit_bytes=body_limit_bytes,
            door=door,
            refused=refused,
        )
        self.inference_paths = frozenset(route.path for route in INFERENCE_ROUTES)
        self._router = Router([self._view_route(rows, views) for rows in _by_path(VIEW_ROUTES)], redirect_slashes=False)
        self._router.default = self._nothing_here
        self._ids = ids
        self._lifespan = lifespan
        self.infer = self._inference.infer
        self.end_revoked = self._inference.end_revoked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection event of ASGI: the server's life, or one request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["raw_path"] in self.inference_paths:
            await self._infer_over_asgi(AsgiExchange(scope, receive, send))
        else:
            await self._view(scope, receive, send)

    async def _infer_over_asgi(self, exchange: AsgiExchange) -> None:
        sending = asyncio.ensure_future(exchange.run())
        try:
            await self.infer(exchange)
        finally:
            exchange.close()
            await sending

    async def _view(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["request_id"] = request_id = self._ids.new_id()
        try:
            self._hosts.check(header(scope, b"host"))
            # Dispatched by what was sent: what stands in front and guards a path knows it in this form only.
            scope["path"] = scope["raw_path"].decode("latin-1")
            await self._router(scope, receive, send)
        except FreeholdError as error:
            status, body, headers = refusal(error, request_id=request_id, surface=scope.get("surface", CHAT))
            await reply(send, status, body, headers, head_only=scope["method"] == "HEAD")
        except ClientLeft:
            return
        except Exception as error:  # noqa: BLE001 - the outermost boundary: a fault of ours becomes a 500 with an id
            fault = unexpected(error, error_id=request_id)
            status, body, headers = refusal(fault, request_id=request_id, surface=scope.get("surface", CHAT))
            await reply(send, status, body, headers)

    def _authorise(self, scope: Scope, access: Access) -> Principal:
        principal = self._pipeline.authenticate(credential_of(lambda name: header(scope, name)))
        authorise(principal, access)
        return principal

    def _view_route(self, rows: Sequence[ViewRoute], views: Mapping[str, object]) -> Route:
        """One path; each of its rows is a method."""
        shown = {row.method: (row, _method_of(views, row.view)) for row in rows}
        if "GET" in shown:
            shown["HEAD"] = shown["GET"]
        allowed = ", ".join(row.method for row in rows)

        async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] not in shown:
                raise MethodNotAllowed(path=scope["path"], method=scope["method"], allowed=allowed)
            row, view = shown[scope["method"]]
            scope["surface"] = row.surface
            principal = self._authorise(scope, row.access) if row.access.scope else None
            scope["access"] = row.access
            scope["path_params"] = {name: decoded(value) for name, value in scope["path_params"].items()}
            if row.streams:
                scope["receive"] = receive
            elif row.body_bytes_max:
                scope["body"] = await read_body(scope, receive, limit_bytes=row.body_bytes_max)
            is_ended = row.asks or row.waits
            with self._inference.ending(principal.key_id) if is_ended and principal else contextlib.nullcontext():
                working = view(scope, principal)
                status, body, headers = await (while_there(receive, working) if row.waits else working)
            await reply(send, status, body, headers, head_only=scope["method"] == "HEAD")

        return Route(rows[0].path, _AsgiEndpoint(endpoint), name=rows[0].view)

    async def _nothing_here(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        raise NotFound(path=scope["path"])

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            context = self._lifespan()
            await context.__aenter__()
        except FreeholdError as error:
            await send({"type": "lifespan.startup.failed", "message": f"{error.code}: {error.message}"})
            return
        await send({"type": "lifespan.startup.complete"})
        try:
            await receive()
        finally:  # also where a second signal cancels the wait: engines and stores are closed in any case
            await context.__aexit__(None, None, None)
        await send({"type": "lifespan.shutdown.complete"})


def _by_path(rows: Iterable[ViewRoute]) -> list[list[ViewRoute]]:
    found: dict[str, list[ViewRoute]] = {}
    for row in rows:
        found.setdefault(row.path, []).append(row)
    return list(found.values())


def _method_of(
    views: Mapping[str, object], name: str
) -> Callable[[Scope, Any], Coroutine[Any, Any, tuple[int, bytes | FileBody, Headers]]]:
    group, _, method = name.partition(".")
    return getattr(views[group], method)


class _AsgiEndpoint:
    """Starlette wraps plain functions as request handlers; an object is taken for an ASGI application."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
