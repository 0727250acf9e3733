"""One inference request on its connection and the way its answer takes: what the hot path sees of HTTP.

Two sources give the same contract: ``http1.FreeholdProtocol`` speaks it straight from the connection, and
``asgi_exchange.AsgiExchange`` over any ASGI server. ``tests/contract/test_exchange_contract.py`` holds both to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Headers = list[tuple[bytes, bytes]]
"""Fields of a head; names in lower case."""


class ClientLeft(Exception):  # noqa: N818 - not an error: the client's right
    """The client closed its connection."""


class Exchange(Protocol):
    """One request and its answer.

    An answer is either ``reply``, or ``start``, any number of ``write`` and one ``end``. A stream that is left without
    ``end`` is broken off: the connection closes without the end of its body, so that it never looks whole.
    Sending to a client that has left does nothing.
    """

    @property
    def method(self) -> str:
        """``POST``, as sent."""
        ...

    @property
    def raw_path(self) -> bytes:
        """The path as it was sent, not decoded, without the query."""
        ...

    def header(self, name: bytes) -> str | None:
        """First value of a request field, ``None`` where there is none. ``name`` in lower case."""
        ...

    async def body(self, *, limit_bytes: int) -> bytes:
        """The whole body.

        Raises:
            BodyTooLarge: Declared or sent more than ``limit_bytes``; nothing beyond the limit was kept.
            RequestTimeout: It came too slowly.
            ClientLeft: The client went before its end.
        """
        ...

    def on_gone(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once, in the tick in which the client's departure is seen; at once where it has left.

        Departures after the answer's end are not told. One callback at a time: a later one replaces it.
        """
        ...

    def reply(self, status: int, headers: Headers, body: bytes, *, close: bool = False) -> None:
        """One complete answer; ``content-length`` is added.

        Args:
            status: HTTP status.
            headers: Fields besides those of the connection.
            body: All of it.
            close: Close the connection behind it; a client that is still sending is read on for a moment, so that it
                gets the answer.
        """
        ...

    def start(self, status: int, headers: Headers) -> None:
        """Begin a streamed answer; the head leaves with the first piece or at the end of this tick at the latest."""
        ...

    def write(self, data: bytes) -> bool:
        """Send a piece of the body at once; never empty. What is over the connection's buffer is kept until drained.

        Returns:
            ``is_full``.
        """
        ...

    @property
    def is_full(self) -> bool:
        """Whether the client reads slower than we write: wait for ``drained`` before the next ``write``."""
        ...

    async def drained(self) -> None:
        """Wait until the client has caught up. Returns at once unless ``is_full``.

        A client that does not catch up for 30 s is disconnected, which ``on_gone`` tells.
        """
        ...

    def end(self, data: bytes = b"") -> None:
        """The last piece, and the regular end of a streamed answer."""
        ...

    def abort(self) -> None:
        """Break a begun answer off: what was written is still sent, the end of the body never. Idempotent."""
        ...
