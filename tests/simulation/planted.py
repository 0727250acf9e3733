"""Seven bugs that gateways have had, planted into the running program: the simulation must find each of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from unittest import mock

from freehold.api import http1
from freehold.api.http1_exchange import HttpExchange
from freehold.gateway.attempt import AttemptRun
from freehold.net.answer import Answer
from freehold.net.connection import Connection
from freehold.net.deadlines import Watchdog

_NEVER_S = 1e9


@contextlib.contextmanager
def clean_end_after_failure() -> Iterator[None]:
    """A stream whose upstream failed is ended as if it were whole."""
    with mock.patch.object(HttpExchange, "abort", lambda self: self.end()):
        yield


@contextlib.contextmanager
def no_cancel_on_disconnect() -> Iterator[None]:
    """Nobody is told that the client has left."""
    with mock.patch.object(HttpExchange, "on_gone", lambda self, callback: None):
        yield


@contextlib.contextmanager
def unfinished_connection_reused() -> Iterator[None]:
    """A connection whose answer was not read to its end goes back into the pool."""

    def drop(self: Connection, answer: Answer) -> None:
        if self._answer is answer:
            self._answer = None
            self._idle_until_s = self._loop.time() + 4.0
            self._owner.clean(self)

    with mock.patch.object(Connection, "drop", drop):
        yield


@contextlib.contextmanager
def no_header_deadline() -> Iterator[None]:
    """A client may take as long as it likes to send its request."""
    limits = replace(http1.FreeholdProtocol.limits, head_s=_NEVER_S)
    with mock.patch.object(http1, "ServerLimits", lambda **_: limits):
        yield


@contextlib.contextmanager
def usage_not_booked() -> Iterator[None]:
    """What the upstream reported is not looked at."""
    original: Callable[[AttemptRun], Any] = AttemptRun.usage
    with mock.patch.object(AttemptRun, "usage", lambda self: replace(original(self), input_tokens=0, output_tokens=0)):
        yield


@contextlib.contextmanager
def lost_wake_up() -> Iterator[None]:
    """The end of a connection does not wake who reads from it."""
    original = Connection._end_of_input

    def silent(self: Connection, exc: Exception | None) -> None:
        with mock.patch.object(Answer, "wake", lambda _: None):
            original(self, exc)

    with mock.patch.object(Connection, "_end_of_input", silent):
        yield


@contextlib.contextmanager
def timer_not_cancelled() -> Iterator[None]:
    """A deadline's timer outlives what it watches."""
    with mock.patch.object(Watchdog, "stop", lambda self: None):
        yield


BUGS: Mapping[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
    each.__name__: each
    for each in (
        clean_end_after_failure,
        no_cancel_on_disconnect,
        unfinished_connection_reused,
        no_header_deadline,
        usage_not_booked,
        lost_wake_up,
        timer_not_cancelled,
    )
}
