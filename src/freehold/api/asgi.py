"""The little of ASGI that the hot path needs: headers, bodies, replies, and noticing that a client has left."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, BinaryIO, NamedTuple, TypeVar

from freehold.api.exchange import ClientLeft, Headers
from freehold.domain.errors.request import BodyTooLarge, NotHttp, RequestTimeout

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

JSON = (b"content-type", b"application/json")
_BODY_S = 60.0
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_ONCE = {b"host", b"authorization", b"x-api-key"}
_PIECE_BYTES = 256 * 1024


class FileBody(NamedTuple):
    """A body that is too long for the memory.

    Attributes:
        file: Where it is read from, from its current place on; whoever sends it closes it.
        size_bytes: How much of it is sent.
    """

    file: BinaryIO
    size_bytes: int


def header(scope: Scope, name: bytes) -> str | None:
    """The value of a header, the first of several; ``None`` where it is not sent.

    Raises:
        NotHttp: It says for whom or from whom the request is, and is sent twice. Our own protocol refuses that
            before; another server may not.
    """
    found: list[bytes] = [value for key, value in scope["headers"] if key == name]
    if len(found) > 1 and name in _ONCE:
        raise NotHttp(reason=f"{name.decode()} is sent twice")
    return found[0].decode("latin-1") if found else None


def decoded(value: str) -> str:
    """A parameter of a path, its percent signs decoded once; what is no text then stands for nothing that exists."""
    if "%" not in value:
        return value
    return _ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), value.encode("latin-1")).decode("utf-8", "replace")


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


async def while_there(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What comes of some work for a client whose body is read; where it leaves before, the work is cancelled.

    Raises:
        ClientLeft: It did.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeft
        return working.result()
    finally:
        for each in (working, leaving):
            each.cancel()
        await asyncio.wait((working, leaving))


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("needs a task")
    return task


def _cancel_current(task: asyncio.Task[Any]) -> Callable[[], None]:
    def cancel() -> None:
        task.cancel()

    return cancel


async def reply(send: Send, status: int, body: bytes | FileBody, headers: Headers, *, head_only: bool = False) -> None:
    """One complete answer."""
    if isinstance(body, FileBody):
        with body.file:
            await _reply_file(send, status, body, headers, head_only=head_only)
        return
    sized = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, sized]})
    await send({"type": "http.response.body", "body": b"" if head_only else body})


async def _reply_file(send: Send, status: int, body: FileBody, headers: Headers, *, head_only: bool) -> None:
    """Piece by piece; ``send`` waits for a client that reads slowly. A file that is too short breaks the answer off."""
    left_bytes = body.size_bytes
    sized = (b"content-length", b"%d" % left_bytes)
    await send({"type": "http.response.start", "status": status, "headers": [*headers, sized]})
    while left_bytes and not head_only:
        piece = await asyncio.to_thread(body.file.read, min(left_bytes, _PIECE_BYTES))
        left_bytes -= len(piece)
        if not piece:
            return
        await send({"type": "http.response.body", "body": piece, "more_body": left_bytes > 0})
    if not body.size_bytes or head_only:
        await send({"type": "http.response.body", "body": b""})
