"""Bugs that gateways have had, or ours could, planted into the running program: the simulation must find each of them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from unittest import mock

from freehold.api.http1_exchange import HttpExchange
from freehold.api.http1_limits import ServerLimits
from freehold.domain.decisions import Outcome
from freehold.domain.response import ResponseChunk
from freehold.gateway.attempt import AttemptRun
from freehold.gateway.ladder import Climb
from freehold.net.answer import Answer
from freehold.net.connection import Connection
from freehold.net.deadlines import Watchdog
from tests.simulation import house

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
    with mock.patch.object(house, "ServerLimits", functools.partial(ServerLimits, head_s=_NEVER_S)):
        yield


@contextlib.contextmanager
def usage_not_booked() -> Iterator[None]:
    """What the upstream reported is not looked at."""
    original: Callable[[AttemptRun, Outcome], Any] = AttemptRun.usage

    def unbooked(self: AttemptRun, outcome: Outcome) -> Any:
        return replace(original(self, outcome), input_tokens=0, output_tokens=0)

    with mock.patch.object(AttemptRun, "usage", unbooked):
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


@contextlib.contextmanager
def rejected_prefix_sent() -> Iterator[None]:
    """The first tokens are sent before they are judged."""
    original: Callable[[Climb, AttemptRun], bool] = Climb._lets_pass

    def leaky(self: Climb, run: AttemptRun) -> bool:
        self._begin(run)
        choice = {"index": 0, "delta": {"content": run.collected.text}, "finish_reason": None}
        payload = {"object": "chat.completion.chunk", "model": run.deployment.name, "choices": [choice]}
        self.sink.chunk(ResponseChunk(payload=payload))
        self.live = False
        return original(self, run)

    with mock.patch.object(Climb, "_lets_pass", leaky):
        yield


BUGS: Mapping[str, tuple[Callable[[], contextlib.AbstractContextManager[None]], str]] = {
    "clean end after a failure": (clean_end_after_failure, "I2 cannot be read"),
    "no cancel on disconnect": (no_cancel_on_disconnect, "I3"),
    "unfinished connection reused": (unfinished_connection_reused, "I3"),
    "no header deadline": (no_header_deadline, "I1 no outcome"),
    "usage not booked": (usage_not_booked, "I5 booked"),
    "lost wake-up": (lost_wake_up, "I1 no outcome"),
    "timer not cancelled": (timer_not_cancelled, "I6 timers"),
    "rejected prefix sent": (rejected_prefix_sent, "I9 a stream of"),
}
"""What to plant, and how the finding begins that tells of it."""
