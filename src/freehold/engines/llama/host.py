"""Where a llama.cpp server is: in a child of ours, or somewhere that is only called."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Protocol

from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.engine import EngineCrashed
from freehold.domain.errors.upstream import UpstreamError
from freehold.domain.ports import Clock, EngineState
from freehold.engines.base import Reply
from freehold.engines.health import CallHealth, Health
from freehold.engines.llama.child import LlamaChild
from freehold.engines.llama.infill import InfillForm
from freehold.engines.llama.seats import Seats
from freehold.engines.process.jail import Measure
from freehold.engines.process.life import Life
from freehold.engines.process.plan import Plan
from freehold.engines.process.supervisor import Supervisor
from freehold.net.client import HttpClient

_DEATH_NOTICED_S = 0.5


class Lease(Protocol):
    """Leave to call the server as it is now, by one request."""

    @property
    def client(self) -> HttpClient:
        """Connections to it."""
        ...

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What every request to it carries."""
        ...

    @property
    def seats(self) -> Seats | None:
        """Which of its slots holds whose prompt; ``None`` where that is not ours to say."""
        ...

    def begin_wait(self) -> None:
        """The request waits for output from here on."""
        ...

    def end_wait(self, *, progress: bool) -> None:
        """Output came, or it was given up."""
        ...

    async def explain(self, error: UpstreamError) -> FreeholdError:
        """What lies behind a failed call."""
        ...

    def over(self, *, answered: bool) -> None:
        """The call is over, whether it was answered to its end, failed, or was given up.

        Raises:
            EngineCrashed: What it answered does not count.
        """
        ...


class Host(Protocol):
    """A server that may have to be started first."""

    @property
    def origin(self) -> str:
        """Where it is called."""
        ...

    @property
    def plan(self) -> Plan | None:
        """What it runs with; ``None`` where that is not ours to say."""
        ...

    def process_id(self) -> int | None:
        """Of the process that answers; ``None`` where none of ours does."""
        ...

    def state(self) -> EngineState:
        """Current state."""
        ...

    def properties(self) -> Mapping[str, object]:
        """What it says of itself (``/props``); empty while unknown."""
        ...

    def infill_form(self) -> InfillForm | None:
        """How its prompts for fill-in-the-middle are written; ``None`` where that is not known."""
        ...

    def jail_report(self) -> tuple[Measure, ...]:
        """What it gave up; empty for one that is not ours."""
        ...

    async def start(self) -> None:
        """Make it ready."""
        ...

    async def unload(self) -> None:
        """End it, if it is ours; ``start`` begins anew."""
        ...

    async def close(self) -> None:
        """End it, if it is ours."""
        ...

    async def lease(self, *, wait_s: float) -> Lease:
        """Leave to call it, waiting ``wait_s`` at most for it to be ready.

        Raises:
            EngineNotReady: It is not.
        """
        ...


class ChildLease:
    """Leave to call one life of a child."""

    def __init__(self, life: Life[LlamaChild], *, name: str, is_spoilt: Callable[[], bool]) -> None:
        self._life = life
        self._name = name
        self._is_spoilt = is_spoilt
        self.client = life.child.client
        self.headers = life.child.headers
        self.seats = life.child.seats
        self.begin_wait = life.begin_wait
        self.end_wait = life.end_wait

    async def explain(self, error: UpstreamError) -> FreeholdError:
        """``EngineCrashed`` if the child ended; a broken connection shows a little before a process's end does."""
        try:
            death = await self._life.death(within_s=_DEATH_NOTICED_S)
        except TimeoutError:
            return error
        return EngineCrashed(source=self._name, deployment=self._name, how=death.how)

    def over(self, *, answered: bool) -> None:
        """Its process is watched, whatever becomes of single calls; not so the file that it has mapped.

        Raises:
            EngineCrashed: The file was written over meanwhile: what was answered is nobody's.
        """
        if answered and self._is_spoilt():
            how = "since its model file was written over"
            raise EngineCrashed(source=self._name, deployment=self._name, how=how)


class ChildHost:
    """A supervised child."""

    def __init__(self, supervisor: Supervisor[LlamaChild], *, client: HttpClient, name: str) -> None:
        self._supervisor = supervisor
        self._client = client
        self._name = name
        self._last_known: LlamaChild | None = None
        self.origin = client.origin
        self.start = supervisor.start

    @property
    def plan(self) -> Plan:
        """What the child runs with."""
        return self._supervisor.plan

    def process_id(self) -> int | None:
        """Of the child, while there is one."""
        child = self._supervisor.child
        return None if child is None else child.pid

    def state(self) -> EngineState:
        """Current state."""
        return self._supervisor.state()

    def properties(self) -> Mapping[str, object]:
        """What the child said of itself, the last one that did."""
        child = self._known()
        return child.properties if child else {}

    def infill_form(self) -> InfillForm | None:
        """What the child made of a trial; ``None`` before it was ready and for a model without tokens for it."""
        child = self._known()
        return child.infill_form if child else None

    def jail_report(self) -> tuple[Measure, ...]:
        """What the child gave up."""
        child = self._known()
        return child.jail if child else ()

    async def unload(self) -> None:
        """End the child; ``start`` begins anew."""
        await self._supervisor.close()

    async def close(self) -> None:
        """End the child and close the connections to it."""
        await self._supervisor.close()
        await self._client.close()

    def _known(self) -> LlamaChild | None:
        child = self._supervisor.child
        if child is not None and child.properties:
            self._last_known = child
        return self._last_known or child

    async def lease(self, *, wait_s: float) -> ChildLease:
        """Leave to call the child; raises ``EngineNotReady``."""
        life = await self._supervisor.ready(wait_s=wait_s)
        return ChildLease(life, name=self._name, is_spoilt=self._supervisor.is_spoilt)


class RemoteHost:
    """A llama.cpp server that somebody else runs. It is called when there is a request, never before."""

    def __init__(self, client: HttpClient, *, clock: Clock) -> None:
        self._client = client
        self._health = Health(clock)
        self.origin = client.origin
        self.plan: Plan | None = None

    def process_id(self) -> None:
        """It is not ours."""

    def state(self) -> EngineState:
        """Ready unless it is left alone since its last calls failed."""
        return self._health.state()

    def properties(self) -> Mapping[str, object]:
        """Nothing: asking would be a call without a request."""
        return {}

    def infill_form(self) -> InfillForm | None:
        """Not known; its own ``/infill`` is asked."""
        return None

    def jail_report(self) -> tuple[Measure, ...]:
        """Nothing: it is not our process."""
        return ()

    async def start(self) -> None:
        """Nothing is sent to somebody else's server without a request."""

    async def unload(self) -> None:
        """Nothing: it is not ours to end."""

    async def close(self) -> None:
        """Close the connections to it."""
        await self._client.close()

    async def lease(self, *, wait_s: float) -> RemoteLease:
        """Leave at once: there is nothing to wait for."""
        del wait_s
        return RemoteLease(self._client, self._health.call())


class RemoteLease:
    """Leave to call somebody else's server."""

    def __init__(self, client: HttpClient, health: CallHealth) -> None:
        self._health = health
        self._is_over = False
        self.client = client
        self.headers: tuple[tuple[str, str], ...] = ()
        self.seats = None

    def begin_wait(self) -> None:
        """Nobody watches somebody else's process."""

    def end_wait(self, *, progress: bool) -> None:
        """It answers."""
        if progress:
            self._health.answering()

    async def explain(self, error: UpstreamError) -> FreeholdError:
        """The error as it is."""
        if not self._is_over:
            self._is_over = True
            self._health.failed(error)
        return error

    def over(self, *, answered: bool) -> None:
        """Remember how it went."""
        if self._is_over:
            return
        self._is_over = True
        if answered:
            self._health.succeeded()
        else:
            self._health.abandoned()


class WatchedReply:
    """A reply whose every piece counts as a sign of life of the process that sends it."""

    def __init__(self, reply: Reply, lease: Lease) -> None:
        self._reply = reply
        self._lease = lease

    @property
    def status(self) -> int:
        """HTTP status."""
        return self._reply.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Header fields, names in lower case."""
        return self._reply.headers

    def abort(self) -> None:
        """Close the connection now."""
        self._reply.abort()

    async def read(self, *, limit_bytes: int) -> bytes:
        """The whole body."""
        progress = False
        self._lease.begin_wait()
        try:
            body = await self._reply.read(limit_bytes=limit_bytes)
            progress = True
            return body
        finally:
            self._lease.end_wait(progress=progress)

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The body as it arrives."""
        source = self._reply.pieces()
        try:
            while True:
                piece = None
                self._lease.begin_wait()
                try:
                    piece = await anext(source, None)
                finally:
                    self._lease.end_wait(progress=piece is not None)
                if piece is None:
                    return
                yield piece
        finally:
            await source.aclose()
