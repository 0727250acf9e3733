"""One inference request that is served straight from its connection: no scope, no messages, one write for an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from freehold.api.exchange import ClientLeft, Headers
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.request import BodyTooLarge

UNKNOWN_LENGTH = -1

# States of an answer.
NEW = 0
STREAMING = 1
ENDED = 2
GONE = 3

_STATUS_LINES = {status: line.removesuffix(b"\r\n") for status, line in STATUS_LINE.items()}
_LINE_END = b"\r\n".join
_FIELD = b": ".join

_JOINED_BYTES = 64 * 1024
"""Up to this a head and a body are joined, which costs less than a second buffer."""


class Connection(Protocol):
    """What an exchange needs of its connection."""

    transport: asyncio.Transport
    flow: FlowControl
    loop: asyncio.AbstractEventLoop

    def may_keep(self, exchange: HttpExchange) -> bool:
        """Whether the connection can carry another request after this answer."""
        ...

    def answered(self, exchange: HttpExchange, *, keep: bool) -> None:
        """The answer is complete."""
        ...

    def broken_off(self, exchange: HttpExchange) -> None:
        """There will be no more of the answer."""
        ...


class HttpExchange:
    """See ``freehold.api.exchange.Exchange``.

    Args:
        connection: Where it came from and where the answer goes.
        raw_path: The path as sent.
        fields: Request fields; names in lower case.
        length: Declared size of the body, or ``UNKNOWN_LENGTH``.
        whole_bytes: How much body is kept before anybody asks for it.
    """

    __slots__ = (
        "_callback",
        "_connection",
        "_fault",
        "_fields",
        "_head",
        "_keep",
        "_length",
        "_limit_bytes",
        "_pieces",
        "_size_bytes",
        "_waiter",
        "expects_continue",
        "is_http_1_1",
        "is_whole",
        "keep_alive",
        "method",
        "raw_path",
        "state",
        "task",
    )

    def __init__(
        self, connection: Connection, raw_path: bytes, fields: dict[bytes, bytes], length: int, whole_bytes: int
    ) -> None:
        self._connection = connection
        self._fields = fields
        self._length = length
        self._limit_bytes = whole_bytes
        self.state = NEW
        self._pieces: list[bytes] = []
        self._size_bytes = 0
        self._callback: Callable[[], None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._fault: FreeholdError | None = None
        self._head = b""
        self.method = "POST"
        self.raw_path = raw_path
        self.is_whole = False
        self.is_http_1_1 = True
        self.keep_alive = True
        self.expects_continue = False
        self.task: asyncio.Task[None] | None = None

    # What the application sees.

    def header(self, name: bytes) -> str | None:
        """First value of a request field."""
        value = self._fields.get(name)
        return None if value is None else value.decode("latin-1").rstrip(" \t")

    async def body(self, *, limit_bytes: int) -> bytes:
        """The whole body."""
        if self._length > limit_bytes:
            self._pieces.clear()
            raise BodyTooLarge(size_bytes=self._length, limit_bytes=limit_bytes)
        self._limit_bytes = limit_bytes
        if not self.is_whole or self.state == GONE:
            await self._arrival()
        if self._size_bytes > limit_bytes:
            raise BodyTooLarge(size_bytes=f"more than {limit_bytes}", limit_bytes=limit_bytes)
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _arrival(self) -> None:
        if self.expects_continue and not self._size_bytes and self.state == NEW:
            self._connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._connection.flow.resume_reading()
        while not self.is_whole and self._fault is None and self.state != GONE:
            if self._size_bytes > self._limit_bytes:
                return
            self._waiter = self._connection.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self.state == GONE:
            raise ClientLeft
        if self._fault is not None:
            raise self._fault

    def on_gone(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the client leaves."""
        if self.state < ENDED:
            self._callback = callback
        elif self.state == GONE:
            callback()

    def reply(self, status: int, headers: Headers, body: bytes, *, close: bool = False) -> None:
        """One complete answer."""
        if self.state != NEW:
            self._refuse_unless_gone()
            return
        keep = not close and self._connection.may_keep(self)
        if keep:
            head = encode_head(status, headers, b"content-length: %d\r\n\r\n" % len(body), 2)
        else:
            head = encode_head(status, headers, b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body), 3)
        self.state = ENDED
        self._callback = None
        if len(body) <= _JOINED_BYTES:
            self._connection.transport.write(head + body)
        else:
            self._connection.transport.writelines((head, body))
        self._connection.answered(self, keep=keep)

    def start(self, status: int, headers: Headers) -> None:
        """Begin a streamed answer."""
        if self.state != NEW:
            self._refuse_unless_gone()
            return
        self._keep = self._connection.may_keep(self)
        end = b"\r\n" if self._keep else b"connection: close\r\n\r\n"
        if self.is_http_1_1:
            end = b"transfer-encoding: chunked\r\n" + end
        self._head = encode_head(status, headers, end, end.count(b"\n"))
        self.state = STREAMING
        self._connection.loop.call_soon(self._send_head)

    def write(self, data: bytes) -> bool:
        """Send a piece of the body."""
        if self.state != STREAMING:
            self._refuse_unless_gone()
            return False
        connection = self._connection
        if data:  # an empty chunk would be the end
            piece = b"%x\r\n%b\r\n" % (len(data), data) if self.is_http_1_1 else data
            if self._head:
                piece, self._head = self._head + piece, b""
            connection.transport.write(piece)
        return connection.flow.write_paused

    @property
    def is_full(self) -> bool:
        """Whether to wait for ``drained``."""
        return self._connection.flow.write_paused

    async def drained(self) -> None:
        """Wait until the client has caught up."""
        await self._connection.flow.drain()

    def end(self, data: bytes = b"") -> None:
        """The regular end of a streamed answer."""
        if self.state != STREAMING:
            self._refuse_unless_gone()
            return
        head, self._head = self._head, b""
        if not self.is_http_1_1:
            last = head + data
        elif data:
            last = b"%b%x\r\n%b\r\n0\r\n\r\n" % (head, len(data), data)
        else:
            last = head + b"0\r\n\r\n"
        self._finish()
        if last:
            self._connection.transport.write(last)
        # Asked again: the server may have been told to stop since the head was made.
        self._connection.answered(self, keep=self._keep and self._connection.may_keep(self))

    def abort(self) -> None:
        """Break the answer off."""
        if self.state >= ENDED:
            return
        self._send_head()
        self._finish()
        self._connection.broken_off(self)

    # What the connection does.

    @property
    def waits_for_body(self) -> bool:
        """Whether the application waits for the body now."""
        return self._waiter is not None

    def feed(self, piece: bytes) -> None:
        """A piece of the body has come."""
        self._size_bytes += len(piece)
        if self._size_bytes <= self._limit_bytes:
            self._pieces.append(piece)
        elif self._waiter is not None:
            self._pieces.clear()
            self._wake()
        elif self.state == NEW:
            self._pieces.append(piece)
            if self.task is not None:
                self.hold_back()

    @property
    def is_to_be_asked_first(self) -> bool:
        """Whether the body is only read once the application asks for it: it is long, or its sender waits for that."""
        return self.expects_continue or not 0 <= self._length <= self._limit_bytes

    def hold_back(self) -> None:
        """Where nobody has asked yet and much has come: what came is kept, the rest stays with the sender."""
        if self._size_bytes > self._limit_bytes:
            self._connection.flow.pause_reading()

    def feed_end(self) -> None:
        """The body is whole."""
        self.is_whole = True
        self._wake()

    def fail(self, error: FreeholdError) -> None:
        """The body will not become whole."""
        self._fault = error
        self._wake()

    def leave(self) -> None:
        """The client has left."""
        if self.state >= ENDED:
            return
        self.state = GONE
        self._pieces.clear()
        self._wake()
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _send_head(self) -> None:
        head, self._head = self._head, b""
        if head and self.state == STREAMING:
            self._connection.transport.write(head)

    def _finish(self) -> None:
        self.state = ENDED
        self._callback = None

    def _refuse_unless_gone(self) -> None:
        if self.state != GONE:
            raise RuntimeError("an answer is one reply, or one start, its pieces and one end")


def encode_head(status: int, headers: Headers, end: bytes, end_lines: int) -> bytes:
    """Status line and fields.

    Args:
        status: HTTP status.
        headers: Fields.
        end: What follows them: fields of the connection and the empty line.
        end_lines: How many lines that is.

    Raises:
        ValueError: A value would break the line: an upstream or a name must not write our head.
    """
    head = _LINE_END([_STATUS_LINES[status], *map(_FIELD, headers), end])
    if head.count(b"\n") + head.count(b"\r") != 2 * (1 + len(headers) + end_lines):
        raise ValueError("a field of the answer has a line break in it")
    return head
