"""An exchange over any ASGI server, for whoever serves Freehold with another one, and for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from freehold.api.asgi import Receive, Scope, Send, header, read_body
from freehold.api.exchange import Headers

_LINGER_S = 2.0
_LINGER_BYTES = 256 * 1024
_FULL_EVENTS = 16


class AsgiExchange:
    """Implements ``exchange.Exchange``. ``run`` must be awaited beside whoever answers, and ``close`` after it.

    ASGI's ``send`` waits; an exchange's calls do not. So events go through a queue of their own, which ``is_full``
    bounds, to a task that sends them.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._queue: asyncio.Queue[dict[str, object] | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()
        self._gone = False
        self._left: Callable[[], None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._linger = False
        self._over = False

    @property
    def method(self) -> str:
        """As sent."""
        return self._scope["method"]

    @property
    def raw_path(self) -> bytes:
        """As sent, without the query."""
        return self._scope["raw_path"]

    def header(self, name: bytes) -> str | None:
        """First value of a request field."""
        return header(self._scope, name)

    async def body(self, *, limit_bytes: int) -> bytes:
        """The whole body; see ``Exchange``."""
        return await read_body(self._scope, self._receive, limit_bytes=limit_bytes)

    def on_gone(self, callback: Callable[[], None]) -> None:
        """See ``Exchange``. Reading goes on after the request's end for exactly this purpose."""
        self._left = callback
        if self._gone:
            callback()
        elif self._watcher is None:
            self._watcher = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._room.set()
        if self._left is not None and not self._over:
            self._left()

    def reply(self, status: int, headers: Headers, body: bytes, *, close: bool = False) -> None:
        """See ``Exchange``."""
        sized = [*headers, (b"content-length", str(len(body)).encode())]
        if close:
            self._linger = True
            sized.append((b"connection", b"close"))
        self.start(status, sized)
        if body and close:
            self.write(body)
            self.end()
        else:
            self.end(body)

    def start(self, status: int, headers: Headers) -> None:
        """See ``Exchange``."""
        self._put({"type": "http.response.start", "status": status, "headers": headers})

    def write(self, data: bytes) -> bool:
        """See ``Exchange``."""
        self._put({"type": "http.response.body", "body": data, "more_body": True})
        return self.is_full

    def end(self, data: bytes = b"") -> None:
        """See ``Exchange``."""
        self._over = True
        self._put({"type": "http.response.body", "body": data, "more_body": False})

    def abort(self) -> None:
        """Returning without the last piece is how an ASGI application breaks off: the queue simply ends."""
        self._over = True

    @property
    def is_full(self) -> bool:
        """See ``Exchange``."""
        return not self._room.is_set()

    async def drained(self) -> None:
        """See ``Exchange``."""
        await self._room.wait()

    async def run(self) -> None:
        """Send what is put; ends with the answer, or after ``close``."""
        while (event := await self._queue.get()) is not None:
            if self._linger and event.get("more_body") is False:
                await self._read_on()
            await self._send(event)
            if self._queue.qsize() < _FULL_EVENTS:
                self._room.set()

    def close(self) -> None:
        """Nothing more will be put."""
        self._over = True
        if self._watcher is not None:
            self._watcher.cancel()
        self._queue.put_nowait(None)

    def _put(self, event: dict[str, object]) -> None:
        self._queue.put_nowait(event)
        if self._queue.qsize() >= _FULL_EVENTS and not self._gone:
            self._room.clear()

    async def _read_on(self) -> None:
        """Read a little of what a refused client still sends: closing at once would lose it the answer."""
        try:
            await asyncio.wait_for(self._discard(), _LINGER_S)
        except TimeoutError:
            return

    async def _discard(self) -> None:
        size_bytes = 0
        while size_bytes <= _LINGER_BYTES:
            event = await self._receive()
            if event["type"] == "http.disconnect" or not event.get("more_body", False):
                return
            size_bytes += len(event.get("body", b""))
