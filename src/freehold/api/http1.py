"""HTTP/1.1 as the server speaks it: uvicorn's protocol with deadlines and limits, and a fast lane for inference."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from freehold.api.errors import unexpected
from freehold.api.exchange import Exchange
from freehold.api.http1_exchange import ENDED, NEW, UNKNOWN_LENGTH, HttpExchange
from freehold.api.http1_limits import Head, ServerLimits, encode_refusal, fault_of
from freehold.api.sockets import reset_at_close, send_at_once
from freehold.domain.errors.admission import ConnectionsFull
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.request import HeadTooLarge, NotHttp, RequestTimeout

# Phases of a connection: of the request that comes in, then of its end.
IDLE = 0
HEAD = 1
BODY = 2
WHOLE = 3
"""The request is complete, its answer is not."""
LINGER = 4
"""A refusal was sent; what still comes is thrown away for a moment, since closing at once would destroy the answer."""
CLOSING = 5

_TIMER_SLACK_S = 0.002
"""Timers of uvloop count whole milliseconds and may fire up to one early."""

_RETRY_S = 5


class FreeholdProtocol(HttpToolsProtocol):
    """One connection of a client.

    The request line and fields go through the parser; then a ``POST`` to an inference path becomes an ``HttpExchange``
    that the application's ``infer`` serves, and everything else goes uvicorn's way as ASGI. On both lanes: a request is
    refused when it is ambiguous, too large or too slow, a client that leaves is noticed in the same tick, a client that
    does not read is disconnected, and a second request before the end of the first one ends both.

    A client that closes its sending side counts as one that has left.

    One timer watches all deadlines of a connection. It is armed anew only for an earlier moment; when it fires, it looks
    what is due. So a busy connection touches it once in some seconds.

    Subclasses made by ``protocol`` set the class attributes.
    """

    __slots__ = (
        "_body_begun_s", "_body_bytes", "_cycle_keeps", "_exchange", "_fields", "_head_bytes", "_infer", "_is_plain", "_is_reserve",
        "_is_stopping", "_lines", "_linger_left_bytes", "_paths", "_phase", "_repeated", "_since_piece_bytes",
        "_stalled_until_s", "_timer", "_timer_at_s", "_until_s",
    )  # fmt: skip

    parser: httptools.HttpRequestParser
    limits = ServerLimits()
    new_id: Callable[[], str]
    """Makes the ids of refusals that no application has seen."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # An application without a fast lane is served as ASGI throughout.
        app = cast("Any", self.app)  # pyright: ignore[reportUnknownMemberType]
        self._paths: frozenset[bytes] = getattr(app, "inference_paths", frozenset[bytes]())
        self._infer = cast("Callable[[Exchange], Awaitable[None]]", getattr(app, "infer", None))
        self._lines = tuple(b"POST %b HTTP/1.1\r\n" % path for path in self._paths)
        self.url = b""
        self._phase = IDLE
        self._is_plain = False
        self._is_reserve = False
        self._is_stopping = False
        self._cycle_keeps = False
        self._exchange: HttpExchange | None = None
        self._fields: dict[bytes, bytes] = {}
        self._repeated: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._body_bytes = 0
        self._body_begun_s = 0.0
        self._since_piece_bytes = 0
        self._linger_left_bytes = 0
        self._until_s = 0.0
        self._stalled_until_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_s = 0.0

    # Connection.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        send_at_once(transport)
        self._until_s = self.loop.time() + self.limits.head_s
        self._arm(self._until_s)
        over = len(self.connections) - self.limits.connections
        self._is_reserve = over > 0
        if over > self.limits.reserve:
            self.transport.write(encode_refusal(self._full(), error_id=self.new_id()))
            self._close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._phase = CLOSING
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._let_go()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def eof_received(self) -> None:
        """The client sends no more: it has left."""
        self._let_go()
        self._close()

    def data_received(self, data: bytes) -> None:
        """Bytes of a request."""
        before = self._phase
        if before >= LINGER:
            self._discard(len(data))
            return
        if before == IDLE:
            # Nothing of a request is with the parser: what begins here begins with its request line.
            self._is_plain = data.startswith(self._lines)
            self._head_bytes = len(data)
        elif before == HEAD:
            self._head_bytes += len(data)
        else:
            self._since_piece_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._parse_failed(error)
            return
        if IDLE < self._phase < WHOLE:
            self._unfinished(before, len(data))

    def pause_writing(self) -> None:
        """The client reads slower than we write."""
        super().pause_writing()
        self._stalled_until_s = self.loop.time() + self.limits.stall_s
        self._arm(self._stalled_until_s)

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        self._stalled_until_s = None

    def shutdown(self) -> None:
        """The server stops: end what is idle, and let what is running end."""
        self._is_stopping = True
        if self._phase == IDLE:
            self._close()
        elif self._phase < LINGER and self._exchange is None and self._cycle_is_open():
            self.cycle.keep_alive = False

    # Parser.

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        if self._phase != IDLE:
            self._refuse(NotHttp(reason="a second request came before the end of the first one"))
            raise _StopParsing
        self._phase = HEAD
        self.url = b""
        if self._fields or self._repeated:  # of the trailers before, or of the head
            self._fields = {}
            self._repeated = []

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head. A trailer comes this way too, and goes where nobody looks."""
        name = name.lower()
        if name in self._fields:
            self._repeated.append((name, value))
        else:
            self._fields[name] = value

    def on_headers_complete(self) -> None:
        """The head is complete: refuse, or choose the lane."""
        fields, self._fields = self._fields, {}
        limits = self.limits
        plain = (
            self._is_plain
            and not self._repeated
            and b"host" in fields
            and b"transfer-encoding" not in fields
            and b"upgrade" not in fields
            and self._head_bytes <= limits.head_bytes
            and len(fields) <= limits.fields
        )
        if plain:
            self._begin_exchange(self.url, fields, is_http_1_1=True)
        else:
            self._on_other_head(fields)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._since_piece_bytes = 0
        if self._exchange is not None:
            self._exchange.feed(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._phase = WHOLE
        exchange = self._exchange
        if exchange is None:
            super().on_message_complete()
            if not self.cycle.response_started:
                self.cycle.keep_alive = self._cycle_keeps and not self._is_stopping
            return
        exchange.feed_end()
        if exchange.task is None:
            self._serve(exchange)
        else:
            self.flow.resume_reading()  # to see a departure

    # Lanes.

    def _on_other_head(self, fields: dict[bytes, bytes]) -> None:
        head = Head(
            method=self.parser.get_method(),
            target=self.url,
            version=self.parser.get_http_version(),
            fields=fields,
            repeated=self._repeated,
        )
        fault = fault_of(head, self.limits)
        if fault is not None:
            self._refuse(fault)
            raise _StopParsing
        path = self.url.partition(b"?")[0]
        if head.method == b"POST" and path in self._paths:
            self._begin_exchange(path, fields, is_http_1_1=head.version == "1.1")
        else:
            self._begin_cycle(fields)

    def _begin_exchange(self, path: bytes, fields: dict[bytes, bytes], *, is_http_1_1: bool) -> None:
        self._phase = BODY
        if self._is_reserve:
            self._refuse(self._full())
            raise _StopParsing
        declared = fields.get(b"content-length", b"0")
        length = int(declared) if b"transfer-encoding" not in fields else UNKNOWN_LENGTH
        exchange = HttpExchange(self, path, fields, length, self.limits.whole_bytes)
        exchange.keep_alive = is_http_1_1 and self.parser.should_keep_alive()
        exchange.is_http_1_1 = is_http_1_1
        self._exchange = exchange
        if b"expect" in fields:
            exchange.expects_continue = is_http_1_1 and fields[b"expect"].lower() == b"100-continue"

    def _serve(self, exchange: HttpExchange) -> None:
        exchange.task = task = self.loop.create_task(self._run(exchange))
        self.tasks.add(task)

    async def _run(self, exchange: HttpExchange) -> None:
        try:
            await self._infer(exchange)
        finally:
            if exchange.state < ENDED:
                exchange.abort()
            task = exchange.task
            if task is not None:
                self.tasks.discard(task)
                exchange.task = None

    def _begin_cycle(self, fields: dict[bytes, bytes]) -> None:
        """Hand the request to uvicorn, which makes its scope and its task."""
        self._phase = BODY
        target = self.url
        super().on_message_begin()
        self.url = target
        self.headers.extend(fields.items())
        self.headers.extend(self._repeated)
        self.expect_100_continue = fields.get(b"expect", b"").lower() == b"100-continue"
        super().on_headers_complete()
        # An answer that begins before the body is whole says that the connection ends behind it.
        self._cycle_keeps = self.cycle.keep_alive and not self._is_reserve
        self.cycle.keep_alive = False
        wire = self.transport
        cycle_wire = SimpleNamespace(write=wire.write, is_closing=wire.is_closing, close=self._end_cycle)
        self.cycle.transport = cast("Any", cycle_wire)

    def _end_cycle(self) -> None:
        """Close as uvicorn's lane asks for it: an answer must not be lost to a body of which more is coming."""
        if self._phase < WHOLE and self.cycle.response_complete:
            self._linger()
        elif self._phase < LINGER:
            self._close()

    def on_response_complete(self) -> None:
        """Uvicorn's lane has sent the whole answer."""
        self.server_state.total_requests += 1
        if self._phase == WHOLE:
            self._phase = IDLE
            self._until_s = self.loop.time() + self.limits.idle_s
            self.flow.resume_reading()

    # What an exchange asks for.

    def may_keep(self, exchange: HttpExchange) -> bool:
        """Whether another request may follow on this connection."""
        return exchange.keep_alive and self._phase == WHOLE and not self._is_stopping

    def answered(self, exchange: HttpExchange, *, keep: bool) -> None:
        """The answer is complete: wait for the next request, or close."""
        self.server_state.total_requests += 1
        if self._exchange is exchange:
            self._exchange = None
            if keep:
                self._phase = IDLE
                self._until_s = self.loop.time() + self.limits.idle_s
            elif self._phase == WHOLE:
                self._close()
            else:
                self._linger()

    def broken_off(self, exchange: HttpExchange) -> None:
        """The answer will not be completed: close behind what was written, so that it does not look whole."""
        self.server_state.total_requests += 1
        self._exchange = None
        if exchange.is_http_1_1:
            self._close()
        else:
            self._reset()

    # Ends.

    def _close(self) -> None:
        """Send what was written, then close."""
        self._phase = CLOSING
        self._until_s = self.loop.time() + self.limits.stall_s
        self._arm(self._until_s)
        self.transport.close()

    def _reset(self) -> None:
        """Close so that the client cannot take what it got for a whole answer."""
        self._phase = CLOSING
        reset_at_close(self.transport)
        self.transport.abort()

    def _linger(self) -> None:
        self._phase = LINGER
        self._linger_left_bytes = self.limits.linger_bytes
        self._until_s = self.loop.time() + self.limits.linger_s
        self._arm(self._until_s)
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _discard(self, size_bytes: int) -> None:
        self._linger_left_bytes -= size_bytes
        if self._phase == LINGER and self._linger_left_bytes < 0:
            # What more it sends stays with it; it has until the end of the moment to read the answer.
            self.flow.pause_reading()

    def _let_go(self) -> None:
        """Tell whoever works on a request that nobody waits for its answer."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.leave()
        if self._cycle_is_open():
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _cycle_is_open(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete

    def _parse_failed(self, error: httptools.HttpParserError) -> None:
        if self._phase >= LINGER:  # refused in a callback, which stopped the parser
            return
        cause = error.__context__
        if cause is None or isinstance(cause, httptools.HttpParserError):
            self._refuse(NotHttp(reason=str(cause or error)))
        else:
            self._refuse(unexpected(cause, error_id=self.new_id()))

    def _refuse(self, error: FreeholdError) -> None:
        """Answer and close; where an answer has begun, break it off."""
        exchange = self._exchange
        begun = (exchange is not None and exchange.state != NEW) or (
            self._cycle_is_open() and self.cycle.response_started
        )
        self._let_go()
        if begun:
            self._close()
        else:
            self.transport.write(encode_refusal(error, error_id=self.new_id()))
            self._linger()

    def _full(self) -> ConnectionsFull:
        return ConnectionsFull(limit=self.limits.connections, retry_s=_RETRY_S, retry_after_s=_RETRY_S)

    # Deadlines.

    def _unfinished(self, before: int, size_bytes: int) -> None:
        """A request has come in part: bound what it may hold, and see that the rest comes in time."""
        limits = self.limits
        if self._phase == HEAD:
            if before != HEAD:
                self._until_s = self.loop.time() + limits.head_s
                self._arm(self._until_s)
            if self._head_bytes > limits.head_bytes:
                self._refuse(HeadTooLarge(part="bytes of head", limit=limits.head_bytes))
            return
        if before != BODY:
            self._begin_body()
            if self._exchange is not None and self._exchange.is_to_be_asked_first:
                self._serve(self._exchange)
                self._exchange.hold_back()
        self._body_bytes += size_bytes
        if self._since_piece_bytes > limits.head_bytes:
            self._refuse(HeadTooLarge(part="bytes of trailers", limit=limits.head_bytes))

    def _begin_body(self) -> None:
        self._body_bytes = 0
        self._since_piece_bytes = 0
        self._body_begun_s = self.loop.time()
        self._arm(self._body_begun_s + self.limits.body_grace_s)

    def _body_until_s(self) -> float:
        """When a body that sends nothing more has become too slow."""
        limits = self.limits
        enough_s = max(limits.body_grace_s, self._body_bytes / limits.body_bytes_per_s)
        return self._body_begun_s + min(enough_s, limits.upload_s if self._exchange is None else limits.body_s)

    def _arm(self, when_s: float) -> None:
        if self._timer is not None:
            if self._timer_at_s <= when_s:
                return
            self._timer.cancel()
        self._timer_at_s = when_s
        self._timer = self.loop.call_at(when_s, self._look)

    def _look(self) -> None:
        self._timer = None
        now_s = self.loop.time()
        if self._stalled_until_s is not None and self._stalled_until_s - now_s <= _TIMER_SLACK_S:
            self._reset()
            return
        if self._phase == WHOLE:
            until_s = now_s + self.limits.idle_s
        elif self._phase == BODY:
            if self.flow.read_paused:  # by us: the client is not slow
                self._begin_body()
            until_s = self._body_until_s()
        else:
            until_s = self._until_s
        if until_s - now_s <= _TIMER_SLACK_S:
            self._expire()
        else:
            self._arm(until_s if self._stalled_until_s is None else min(until_s, self._stalled_until_s))

    def _expire(self) -> None:
        limits = self.limits
        exchange = self._exchange
        if self._phase == CLOSING:
            self._reset()
        elif self._phase == LINGER or (self._phase == IDLE and self.url):
            self._close()
        elif self._phase < BODY:
            self._refuse(RequestTimeout(seconds=limits.head_s))
        elif exchange is not None and exchange.waits_for_body:
            exchange.fail(RequestTimeout(seconds=limits.body_s))
            self._begin_body()
        else:
            self._refuse(RequestTimeout(seconds=limits.body_s))


class _StopParsing(Exception):  # noqa: N818 - not an error: how a callback ends the parser's work
    """The request was refused inside a callback of the parser."""


def protocol(limits: ServerLimits, new_id: Callable[[], str]) -> type[FreeholdProtocol]:
    """The protocol class for uvicorn's configuration.

    Args:
        limits: Of every connection.
        new_id: Makes the ids of refusals that no application has seen.
    """
    return type(
        "FreeholdProtocol", (FreeholdProtocol,), {"__slots__": (), "limits": limits, "new_id": staticmethod(new_id)}
    )
