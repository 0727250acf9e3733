"""Streams that pass through as they came, from a server's connection to a client's, whatever the dialect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from freehold.domain.deployment import Deployment
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.upstream import UpstreamError
from freehold.domain.response import EngineTimings, FinishReason, Usage
from freehold.engines.health import CallHealth
from freehold.engines.reply_faults import broken, fault_of_event, protocol, without_secret
from freehold.wire.chunk_faults import ErrorEventError, InvalidChunkError
from freehold.wire.relay import EventCutter
from freehold.wire.sse import EventTooLongError

_LINGER_S = 0.1


class Source(Protocol):
    """What a relay reads from."""

    async def next_piece(self) -> bytes:
        """The next piece; empty at the end of an answer that is whole."""
        ...

    async def pass_on(self, out: Callable[[bytes], bool]) -> bool:
        """Hand each piece to ``out``; True once all is read, False once ``out`` wants a pause."""
        ...

    def abort(self) -> None:
        """Close the connection now."""
        ...


class EventRelay:
    """A stream that passes through; implements ``domain.ports.Relay``.

    Args:
        source: What is read.
        events: Cuts it, in its dialect.
        deployment: Whom errors name.
        health: Is told what becomes of the call.
        credential: Never shown in an error, should the server have quoted it.
    """

    __slots__ = (
        "_begun",
        "_credential",
        "_deployment",
        "_events",
        "_health",
        "_over",
        "_progress",
        "_source",
        "_too_long",
        "_write",
    )

    def __init__(
        self, source: Source, events: EventCutter, *, deployment: Deployment, health: CallHealth, credential: str
    ) -> None:
        self._source = source
        self._events = events
        self._deployment = deployment
        self._health = health
        self._credential = credential
        self._over = False
        self._begun = False
        self._too_long: EventTooLongError | None = None

    @property
    def begun(self) -> bool:
        """Whether a part of the answer was given out."""
        return self._events.begun

    @property
    def end(self) -> bytes:
        """The bytes by which the stream said that it is whole."""
        return self._events.end

    @property
    def events(self) -> int:
        """Events given out."""
        return self._events.events

    @property
    def usage(self) -> Usage | None:
        """As the upstream reported it."""
        return self._events.usage

    @property
    def timings(self) -> EngineTimings | None:
        """What the engine says of its own speed."""
        return self._events.timings

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why it ended."""
        return self._events.finish_reason

    async def pass_on(
        self, write: Callable[[bytes], bool], *, drained: Callable[[], Awaitable[None]], progress: Callable[[], None]
    ) -> None:
        """Pass the stream on to its end; see ``domain.ports.Relay``."""
        self._write, self._progress = write, progress
        events = self._events
        try:
            while not await self._source.pass_on(self._take):
                if self._too_long is not None:
                    raise protocol(self._deployment, str(self._too_long))
                if events.error is not None:
                    raise self._reported(events.error)
                if events.ended:
                    await self._run_out()
                    return
                await drained()
            self._close()
        except FreeholdError as error:
            raise self._failed(error) from None
        finally:
            # Who asked holds this relay: the garbage collector seldom looks, and would be needed to part them.
            del self._write, self._progress

    def _take(self, piece: bytes) -> bool:
        """A piece of the stream; whether no more is wanted for now."""
        events = self._events
        try:
            passed = events.feed(piece)
        except EventTooLongError as error:
            self._too_long = error
            return True
        if passed:
            if not self._begun:
                self._tell_of_progress()
            if self._write(passed):
                return True
        return events.ended or events.error is not None

    def _tell_of_progress(self) -> None:
        self._begun = self._events.begun
        self._health.answering()
        self._progress()

    def abort(self) -> None:
        """Close the connection now, unless the answer is whole."""
        self._source.abort()
        if not self._over:
            self._over = True
            self._health.abandoned()

    def _close(self) -> None:
        """The connection has nothing more: was that the end?"""
        events = self._events
        if rest := events.close():
            self._tell_of_progress()
            self._write(rest)
        if events.error is not None:
            raise self._reported(events.error)
        if not events.is_whole:
            raise broken(self._deployment, "it ended without saying why")
        self._over = True
        self._health.succeeded()

    async def _run_out(self) -> None:
        """Read to the end, so that the connection can serve again; a server that does not end is not waited for."""
        self._over = True
        self._events.close()
        self._health.succeeded()
        stop = asyncio.get_running_loop().call_later(_LINGER_S, self._source.abort)
        try:
            while await self._source.next_piece():
                pass
        except UpstreamError:
            return  # The answer is whole: what happens to the connection after it concerns nobody.
        finally:
            stop.cancel()

    def _reported(self, error: ErrorEventError | InvalidChunkError) -> FreeholdError:
        fault = fault_of_event(error, deployment=self._deployment, begun=self.begun)
        if isinstance(fault, UpstreamError) and isinstance(error, ErrorEventError):
            fault.told = self.begun
        return fault

    def _failed(self, error: FreeholdError) -> FreeholdError:
        self._over = True
        self._source.abort()
        self._health.failed(error)
        return without_secret(error, self._credential)
