"""The ASGI application: dispatch by the table, authenticate, render errors. Nothing escapes it."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from starlette.routing import Route, Router

from freehold.api.asgi import ClientLeft, Receive, Scope, Send, bearer, header, reply, reply_and_linger
from freehold.api.errors import unexpected
from freehold.api.inference import Inference, refusal
from freehold.api.routes import INFER, INFERENCE_ROUTES, VIEW_ROUTES, ViewRoute
from freehold.api.views import Views
from freehold.domain.errors.auth import ScopeMissing
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.request import BodyTooLarge, HostNotAllowed, MethodNotAllowed, NotFound
from freehold.domain.identity import Principal
from freehold.domain.ports import IdSource
from freehold.gateway.pipeline import Pipeline

Lifespan = Callable[[], contextlib.AbstractAsyncContextManager[None]]


class Api:
    """What uvicorn serves."""

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        views: Views,
        ids: IdSource,
        hosts: frozenset[str],
        body_limit_bytes: int,
        lifespan: Lifespan,
    ) -> None:
        self._pipeline = pipeline
        self._inference = Inference(pipeline=pipeline, body_limit_bytes=body_limit_bytes)
        self._inference_routes = {route.path: route for route in INFERENCE_ROUTES}
        self._router = Router([self._view_route(row, views) for row in VIEW_ROUTES], redirect_slashes=False)
        self._router.default = self._nothing_here
        self._ids = ids
        self._hosts = hosts
        self._lifespan = lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection event of ASGI: the server's life, or one request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        request_id = self._ids.new_id()
        try:
            self._check_host(scope)
            await self._dispatch(scope, receive, send, request_id)
        except ClientLeft:
            return
        except FreeholdError as error:
            status, body, headers = refusal(error, request_id=request_id)
            if isinstance(error, BodyTooLarge):
                await reply_and_linger(receive, send, status, body, headers)
            else:
                await reply(send, status, body, headers, head_only=scope["method"] == "HEAD")
        except Exception as error:  # noqa: BLE001 - the outermost boundary: a fault of ours becomes a 500 with an id
            status, body, headers = refusal(unexpected(error, error_id=request_id), request_id=request_id)
            await reply(send, status, body, headers)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        route = self._inference_routes.get(scope["raw_path"])
        if route is None:
            await self._router(scope, receive, send)
            return
        if scope["method"] != "POST":
            raise MethodNotAllowed(path=route.path.decode(), method=scope["method"], allowed="POST")
        principal = self._authorise(scope, INFER)
        await self._inference.serve(route.task, principal, scope, receive, send, request_id=request_id)

    def _authorise(self, scope: Scope, needed: str) -> Principal:
        principal = self._pipeline.authenticate(bearer(scope))
        if needed not in principal.scopes:
            raise ScopeMissing(scope=needed)
        return principal

    def _view_route(self, row: ViewRoute, views: Views) -> Route:
        view = getattr(views, row.view)

        async def endpoint(scope: Scope, _receive: Receive, send: Send) -> None:
            if scope["method"] not in (row.method, "HEAD"):
                raise MethodNotAllowed(path=scope["path"], method=scope["method"], allowed=row.method)
            principal = self._authorise(scope, row.scope) if row.scope else None
            status, body, headers = await view(scope, principal)
            await reply(send, status, body, headers, head_only=scope["method"] == "HEAD")

        return Route(row.path, _AsgiEndpoint(endpoint), name=row.view)

    async def _nothing_here(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        raise NotFound(path=scope["path"])

    def _check_host(self, scope: Scope) -> None:
        name = header(scope, b"host") or ""
        bare = name.rsplit(":", 1)[0] if not name.endswith("]") else name
        if bare.lower() not in self._hosts:
            raise HostNotAllowed(host=name)

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


class _AsgiEndpoint:
    """Starlette wraps plain functions as request handlers; an object is taken for an ASGI application."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
