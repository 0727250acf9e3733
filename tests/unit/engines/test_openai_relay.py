"""A stream that passes through, and what it holds on to."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable

import pytest

from freehold.domain.errors.base import FreeholdError
from freehold.engines.ejection import Ejection
from freehold.engines.event_relay import EventRelay
from freehold.engines.health import CallHealth
from freehold.hostinfo.clock import SystemClock
from freehold.wire.openai_relay import StreamRelay
from tests.support.routing import deployment

EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


class Source:
    """Gives these pieces, then its end; or nothing more, for ever."""

    def __init__(self, *pieces: bytes, ends: bool) -> None:
        self._pieces = list(pieces)
        self._ends = ends

    async def next_piece(self) -> bytes:
        if not self._pieces and not self._ends:
            await asyncio.Event().wait()
        return self._pieces.pop(0) if self._pieces else b""

    async def pass_on(self, out: Callable[[bytes], bool]) -> bool:
        while piece := await self.next_piece():
            if out(piece):
                return False
        return True

    def abort(self) -> None:
        """Nothing to close."""


class Asker:
    """Who asked: its progress holds the relay, as the gateway's does."""

    def __init__(self, relay: EventRelay) -> None:
        self.relay = relay
        self.told = 0

    def progress(self) -> None:
        self.told += 1


async def passed(source: Source) -> weakref.ref[Asker]:
    """Pass it on for a moment, as if the client left then."""
    clock = SystemClock()
    health = CallHealth(clock, Ejection(jitter=lambda: 0.0))
    relay = EventRelay(
        source, StreamRelay(keep_usage=False), deployment=deployment("box"), health=health, credential=""
    )

    async def drained() -> None:
        await asyncio.sleep(0)

    asker = Asker(relay)
    try:
        async with asyncio.timeout(0):
            await relay.pass_on(lambda _: False, drained=drained, progress=asker.progress)
    except (TimeoutError, FreeholdError) as error:
        error.with_traceback(None)
    finally:
        relay.abort()
    assert asker.told == 1
    return weakref.ref(asker)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(Source(EVENT, STOP, ends=True), id="whole"),
        pytest.param(Source(EVENT, ends=True), id="cut"),
        pytest.param(Source(EVENT, ends=False), id="left"),
    ],
)
def test_a_stream_that_is_over_goes_with_who_asked_for_it(source: Source) -> None:
    """The cycle collector comes so seldom here that whole requests would pile up to tens of thousands of objects."""
    gc.disable()
    try:
        assert asyncio.run(passed(source))() is None
    finally:
        gc.enable()
