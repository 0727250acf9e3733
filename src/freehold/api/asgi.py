"""The little of ASGI that the hot path needs: headers, bodies, replies, and noticing that a client has left."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import Any

from freehold.domain.errors.request import BodyTooLarge, RequestTimeout
from freehold.domain.errors.server import Stopping

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
_LINGER_S = 2.0
_BODY_S = 60.0
_RESTART_S = 5


class ClientLeft(Exception):  # noqa: N818 - not an error: the client's right
    """The client closed its connection."""


def header(scope: Scope, name: bytes) -> str | None:
    """First value of a header, or ``None``."""
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return None


def bearer(scope: Scope) -> str | None:
    """The credential of ``Authorization: Bearer``, or of ``x-api-key``, as clients of either kind send it."""
    value = header(scope, b"authorization")
    if value is not None:
        scheme, _, credential = value.partition(" ")
        return credential.strip() if scheme.lower() == "bearer" else None
    return header(scope, b"x-api-key")


async def read_body(scope: Scope, receive: Receive, *, limit_bytes: int) -> bytes:
    """The whole body.

    Raises:
        BodyTooLarge: Declared or sent more than ``limit_bytes``; nothing beyond the limit was kept.
        RequestTimeout: It did not arrive within a minute.
        ClientLeft: The client went before the end.
    """
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdecimal() and int(declared) > limit_bytes:
        raise BodyTooLarge(size_bytes=int(declared), limit_bytes=limit_bytes)
    timer = asyncio.get_running_loop().call_later(_BODY_S, _cancel_current(task := _this_task()))
    pieces: list[bytes] = []
    size_bytes = 0
    try:
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise ClientLeft
            piece: bytes = event.get("body", b"")
            size_bytes += len(piece)
            if size_bytes > limit_bytes:
                raise BodyTooLarge(size_bytes=f"more than {limit_bytes}", limit_bytes=limit_bytes)
            pieces.append(piece)
            if not event.get("more_body", False):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)
    except asyncio.CancelledError:
        if timer.when() > asyncio.get_running_loop().time():
            raise
        task.uncancel()
        raise RequestTimeout(seconds=_BODY_S) from None
    finally:
        timer.cancel()


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("needs a task")
    return task


def _cancel_current(task: asyncio.Task[Any]) -> Callable[[], None]:
    def cancel() -> None:
        task.cancel()

    return cancel


@contextlib.asynccontextmanager
async def leaving_client_cancels(receive: Receive) -> AsyncGenerator[None]:
    """Cancel the body of this context in the tick in which the client's departure is seen.

    Reading goes on after the request's end for exactly that purpose, on streaming and plain calls alike: a server
    that only notices when it writes keeps an engine busy for nobody.

    Raises:
        ClientLeft: The client is gone.
        Stopping: Somebody else cancelled: the server stops, and the time for running requests is over.
    """
    task = _this_task()
    left = False

    async def watch() -> None:
        nonlocal left
        while (await receive())["type"] != "http.disconnect":
            pass
        left = True
        task.cancel()

    watcher = asyncio.ensure_future(watch())
    try:
        yield
    except asyncio.CancelledError:
        task.uncancel()
        if left:
            raise ClientLeft from None
        raise Stopping(retry_after_s=_RESTART_S, retry_s=_RESTART_S) from None
    finally:
        watcher.cancel()


async def reply(send: Send, status: int, body: bytes, headers: Headers, *, head_only: bool = False) -> None:
    """One complete answer."""
    sized = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, sized]})
    await send({"type": "http.response.body", "body": b"" if head_only else body})


async def reply_and_linger(receive: Receive, send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Answer a client that is still sending, then read on for a moment.

    Closing at once would reset the connection, and the client would lose the answer that says why.
    """
    sized = [*headers, (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": sized})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(_discard(receive), _LINGER_S)
    await send({"type": "http.response.body", "body": b""})


async def _discard(receive: Receive) -> None:
    while True:
        event = await receive()
        if event["type"] == "http.disconnect" or not event.get("more_body", False):
            return
