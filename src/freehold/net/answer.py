"""One HTTP/1.1 answer while it arrives: the parser on one side, one waiting reader on the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

import httptools

from freehold.domain.errors.base import FreeholdError
from freehold.net.limits import HttpLimits

_INTERIM_MAX = 8
_BODILESS = (204, 304)
_BREAKS_ITS_PROMISE = "llama.cpp"
"""This server says that it keeps a connection for 5 s, and closes it after every stream of events. A request that goes
out in the meantime meets the end, and so does its repetition over the next connection."""


class ViolationError(Exception):
    """The answer breaks a rule; the text says which, for ``UpstreamProtocol``."""


class ToldError(Exception):
    """Whoever answers says itself why there will be no whole answer.

    Args:
        error: In our own words.
    """

    def __init__(self, error: FreeholdError) -> None:
        super().__init__(error.message)
        self.error = error


class Answer:
    """Head, unread pieces and end of one answer.

    The methods named ``on_…`` are called by httptools. What they raise reaches ``feed`` as the context of another
    exception, so they leave the reason in ``fault`` first.

    Attributes:
        status: Of the final head; 0 before it.
        headers: Names in lower case; several fields of one name are joined with ", ".
        begun: A first byte came.
        head_seen: The final head is here.
        ended: The parser saw the end; with ``by_close`` only the connection's end tells.
        whole: All of it arrived and nothing was wrong with it; set by the connection.
        by_close: Its length is not announced: it ends with the connection.
        keep_alive: The server lets the connection live on after it.
        error: Why it is not going to be whole.
        reused: It came over a connection that had served before.
        paused: The reader is behind, so the server is not being read.
        queued_bytes: Unread bytes.
        tap: Takes pieces as they arrive instead of the queue; returns whether it wants no more for now.
        stopped: It wanted no more.
        may_point: Whether a redirect is an answer. It is never followed here.
    """

    may_point: ClassVar[bool] = False

    __slots__ = (
        "_bodiless",
        "_dry_bytes",
        "_field_bytes",
        "_fields",
        "_interim",
        "_limits",
        "_loop",
        "_parser",
        "_pieces",
        "_waiter",
        "begun",
        "by_close",
        "ended",
        "error",
        "fault",
        "head_seen",
        "headers",
        "keep_alive",
        "paused",
        "queued_bytes",
        "reused",
        "status",
        "stopped",
        "tap",
        "whole",
    )

    def __init__(
        self, *, loop: asyncio.AbstractEventLoop, limits: HttpLimits, head_only: bool, reused: bool = False
    ) -> None:
        self._loop = loop
        self._limits = limits
        self._bodiless = head_only
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self._dry_bytes = 0
        self._fields = 0
        self._field_bytes = 0
        self._interim = 0
        self.status = 0
        self.headers: dict[str, str] = {}
        self.begun = False
        self.head_seen = False
        self.ended = False
        self.whole = False
        self.by_close = False
        self.keep_alive = False
        self.error: FreeholdError | None = None
        self.fault = ""
        self.reused = reused
        self.paused = False
        self.queued_bytes = 0
        self.tap: Callable[[bytes], bool] | None = None
        self.stopped = False

    # --- the connection's side -------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Take bytes from the connection.

        Raises:
            ToldError: Whoever answers says that it will not become whole.
            ViolationError: What was promised is not kept; the answer is no HTTP, too big a head, a second message…
            httptools.HttpParserError: The framing inside the body is malformed.
        """
        self.begun = True
        self._dry_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self.fault:
                raise ViolationError(self.fault) from error
            if self.ended:
                raise ViolationError("bytes came behind the end of its answer") from error
            if not self.head_seen:
                raise ViolationError(f"no HTTP answer ({error})") from error
            raise
        if self._dry_bytes > self._limits.head_bytes and not self.ended:
            # A body byte sets this to zero, so it bounds the head, and trailers and chunk extensions behind it.
            raise ViolationError(f"more than {self._limits.head_bytes} bytes without any of the body")

    def release_parser(self) -> None:
        """Break the cycle between parser and answer, so that both go without the garbage collector.

        Called once, when nothing more will be fed.
        """
        del self._parser

    def overfull(self) -> bool:
        """Whether so much is unread that the server should wait."""
        return self.queued_bytes > self._limits.queue_bytes or len(self._pieces) > self._limits.queue_pieces

    def wake(self) -> None:
        """Tell the reader that something changed."""
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    # --- the reader's side -----------------------------------------------------------------------

    def changed(self) -> asyncio.Future[None]:
        """Done at the next head, piece, end or error."""
        if self._waiter is not None and not self._waiter.done():
            raise RuntimeError("an answer has one reader at a time")
        waiter = self._waiter = self._loop.create_future()
        return waiter

    def take(self) -> bytes:
        """All that is unread, empty for nothing."""
        pieces = self._pieces
        if not pieces:
            return b""
        self._pieces = []
        self.queued_bytes = 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    # --- httptools -------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A status line begins: the first, one after an interim answer, or one that nobody asked for."""
        if self.ended:
            self._refuse("bytes came behind the end of its answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field of a head or, behind the body, of its trailers, which are counted and dropped."""
        self._fields += 1
        self._field_bytes += len(name) + len(value)
        limits = self._limits
        if self._fields > limits.head_fields or self._field_bytes > limits.head_bytes:
            self._refuse(f"more than {limits.head_fields} header fields or {limits.head_bytes} bytes of them")
        if self.head_seen:
            return
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        held = self.headers.get(key)
        self.headers[key] = text if held is None else f"{held}, {text}"

    def on_headers_complete(self) -> None:
        """The head is here: interim, to be refused, or the one that was waited for."""
        parser = self._parser
        self.status = parser.get_status_code()
        if self.status == 101:  # RFC 9110, section 15.2.2
            self._refuse("it wants to switch to another protocol")
        if self.status < 200:  # interim (RFC 9110, section 15.2)
            return
        headers = self.headers
        if parser.get_http_version() not in ("1.1", "1.0"):
            self._refuse(f"HTTP version {parser.get_http_version()}")
        if not 200 <= self.status < 600 or (300 <= self.status < 400 and not self.may_point):
            self._refuse(f"status {self.status}, and redirects are not followed")
        transfer = headers.get("transfer-encoding", "").strip().lower()
        if transfer not in ("", "chunked"):
            self._refuse(f"transfer-encoding {transfer!r}")
        if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            self._refuse(f"content-encoding {headers['content-encoding']!r} although identity was asked for")
        self._bodiless = self._bodiless or self.status in _BODILESS
        self.by_close = not self._bodiless and not transfer and "content-length" not in headers
        # What comes without a body never shows where it ends if it also announces a length.
        self.keep_alive = (
            parser.should_keep_alive()
            and not (self._bodiless and self._announces_body(transfer))
            and not (transfer and headers.get("server") == _BREAKS_ITS_PROMISE)
        )
        self.head_seen = True
        self.ended = self._bodiless

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        if self._bodiless:
            self.keep_alive = False
            return
        self._dry_bytes = 0
        self._pieces.append(data)
        self.queued_bytes += len(data)

    def on_message_complete(self) -> None:
        """The end of the answer, or of an interim one."""
        if self.head_seen:
            self.ended = True
            return
        self._interim += 1
        if self._interim > _INTERIM_MAX:
            self._refuse(f"more than {_INTERIM_MAX} interim answers")
        self.headers = {}

    def _announces_body(self, transfer: str) -> bool:
        return bool(transfer) or self.headers.get("content-length", "0") != "0"

    def _refuse(self, reason: str) -> None:
        self.fault = reason
        raise ViolationError(reason)


class PointingAnswer(Answer):
    """One that may point elsewhere, as a model hub's does; whether anybody goes there is for who asked."""

    may_point: ClassVar[bool] = True

    __slots__ = ()
