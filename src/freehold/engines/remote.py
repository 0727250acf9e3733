"""What every deployment behind an address shares: one client, health, and aborting what nobody waits for."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import TypeVar

from freehold.domain.deployment import Deployment, EngineFingerprint, Upstream
from freehold.domain.egress import EgressPermit
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.upstream import UpstreamStatus
from freehold.domain.ports import Clock, EngineState, Relaying, UpstreamCall
from freehold.domain.request import InferenceRequest
from freehold.domain.response import EmbeddingResult, RerankResult, ResponseChunk
from freehold.engines.base import Reply, StepReply
from freehold.engines.counting import token_count
from freehold.engines.health import CallHealth, Health
from freehold.engines.reply_faults import without_secret
from freehold.net.broker import Broker
from freehold.net.client import HttpReply
from freehold.net.origin import Origin

_T = TypeVar("_T")
_UNKNOWN = EngineFingerprint(engine="")

NO_COUNT_S = 300.0
"""How long a server that said that it counts no tokens is not asked to: it may have been upgraded, or begun to."""

HEADERS = (("content-type", "application/json"), ("accept", "text/event-stream, application/json"))


class RemoteEngine(ABC):
    """A deployment at an address that configuration fixed.

    Log-probabilities are asked for where wanted, until the server says that it has none; that call fails with
    ``about`` = ``logprobs`` among the values of its ``UpstreamStatus``, and may be prepared anew without them.

    Args:
        deployment: What it is.
        upstream: Its address and credential.
        broker: The only way out.
        clock: Time.
        headers: Sent with every call, the credential among them.

    Attributes:
        health: What its calls say of it.
    """

    def __init__(
        self,
        *,
        deployment: Deployment,
        upstream: Upstream,
        broker: Broker,
        clock: Clock,
        headers: tuple[tuple[str, str], ...],
    ) -> None:
        self._deployment = deployment
        self._credential = upstream.credential
        self._base_path = Origin.parse(upstream.base_url).base_path
        self._client = broker.client(
            name=deployment.name,
            base_url=upstream.base_url,
            zone=deployment.zone,
            connections_max=max(deployment.slots, 1),
            headers=headers,
            ca_file=upstream.ca_file or None,
        )
        self.health = Health(clock)
        self._has_logprobs = True
        self._clock = clock
        self._counts_from_s = 0.0

    @property
    def deployment(self) -> Deployment:
        """What this engine serves."""
        return self._deployment

    def state(self) -> EngineState:
        """Ready unless its last calls failed."""
        return self.health.state()

    async def start(self) -> None:  # noqa: B027 - not abstract: starting calls nobody
        """Nothing to do: an upstream is not called before it is asked something."""

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()

    @property
    def relaying(self) -> Relaying | None:
        """What passes its answers through as they came; see ``domain.ports.Engine``."""
        return None

    @abstractmethod
    def prepare(
        self, request: InferenceRequest, *, want_logprobs: int, as_it_comes: bool = False, cache_scope: str = ""
    ) -> UpstreamCall:
        """Build the exact call; see ``domain.ports.Engine``."""

    async def stream(
        self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float
    ) -> AsyncGenerator[ResponseChunk]:
        """Run the call; see ``domain.ports.Engine``."""
        health = self.health.call()
        try:
            reply = await self._opened(call, permit, deadline_s)
            try:
                async with contextlib.aclosing(self._events(reply, call)) as events:
                    knows = False
                    async for chunk in events:
                        health.answering()
                        knows = knows or self._learns(reply, chunk)
                        yield chunk
            except BaseException:
                reply.abort()
                raise
        except FreeholdError as error:
            self._failed(error, call, health)
            raise without_secret(error, self._credential) from None
        except BaseException:
            health.abandoned()
            raise
        health.succeeded()

    async def embed(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> EmbeddingResult:
        """Run an embedding call; see ``domain.ports.Engine``."""
        return await self._computed(call, permit, deadline_s, self._vectors)

    async def rerank(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> RerankResult:
        """Run a rerank call; see ``domain.ports.Engine``."""
        return await self._computed(call, permit, deadline_s, self._ranking)

    async def _computed(
        self,
        call: UpstreamCall,
        permit: EgressPermit | None,
        deadline_s: float,
        read: Callable[[Reply, UpstreamCall], Awaitable[_T]],
    ) -> _T:
        """Send, and read an answer that is one object."""
        health = self.health.call()
        try:
            reply = await self._opened(call, permit, deadline_s)
            try:
                result = await read(reply, call)
            except BaseException:
                reply.abort()
                raise
        except FreeholdError as error:
            self._failed(error, call, health)
            raise without_secret(error, self._credential) from None
        except BaseException:
            health.abandoned()
            raise
        health.succeeded()
        return result

    @property
    def counts(self) -> bool:
        """Whether it can tell how many tokens a prompt has: not for a while after it said that it cannot."""
        return self._clock.monotonic_s() >= self._counts_from_s

    async def count(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> int | None:
        """Tokens of a prompt; see ``domain.ports.Engine``."""
        tokens = await self._computed(call, permit, deadline_s, self._token_count)
        if tokens is None:
            self._counts_from_s = self._clock.monotonic_s() + NO_COUNT_S
        return tokens

    async def _token_count(self, reply: Reply, call: UpstreamCall) -> int | None:  # noqa: ARG002 - as its like have it
        return await token_count(reply, deployment=self._deployment)

    async def _relayed(
        self,
        call: UpstreamCall,
        permit: EgressPermit | None,
        deadline_s: float,
        health: CallHealth,
        read: Callable[[StepReply], Awaitable[_T]],
    ) -> _T:
        """Send, and read what comes; what fails closes the connection and is told to the deployment's health."""
        try:
            reply = await self._opened(call, permit, deadline_s)
            self._heard(reply)
            try:
                return await read(reply)
            except BaseException:
                reply.abort()
                raise
        except FreeholdError as error:
            raise self._told(error, call, health) from None
        except BaseException:
            health.abandoned()
            raise

    def fingerprint(self) -> EngineFingerprint:
        """What its answers said of it; unknown before the first one, and for a server that says nothing."""
        return _UNKNOWN

    def _learns(self, reply: Reply, chunk: ResponseChunk) -> bool:  # noqa: ARG002 - most have nothing to learn of it
        """An event of an answer that is looked into is here; whether those after it need not be looked at."""
        return True

    def _heard(self, reply: Reply) -> None:  # noqa: B027 - not abstract: most have nothing to learn of it
        """The head of an answer that passes through is here."""

    @abstractmethod
    def _events(self, reply: Reply, call: UpstreamCall) -> AsyncGenerator[ResponseChunk]:
        """The answer in the dialect of this engine."""

    @abstractmethod
    async def _vectors(self, reply: Reply, call: UpstreamCall) -> EmbeddingResult:
        """The answer to an embedding call."""

    @abstractmethod
    async def _ranking(self, reply: Reply, call: UpstreamCall) -> RerankResult:
        """The answer to a rerank call."""

    def _opened(
        self, call: UpstreamCall, permit: EgressPermit | None, deadline_s: float
    ) -> Coroutine[object, object, HttpReply]:
        """Send the call; its reply once the head is here."""
        return self._client.request(
            method="POST", path=call.path, headers=call.headers, body=call.body, permit=permit, deadline_s=deadline_s
        )

    def _call(self, path: str, body: bytes, request: InferenceRequest, *, want_logprobs: int = 0) -> UpstreamCall:
        return UpstreamCall(
            origin=self._client.origin,
            path=f"{self._base_path}{path}",
            body=body,
            headers=HEADERS,
            request=request,
            want_logprobs=want_logprobs,
        )

    def _told(self, error: FreeholdError, call: UpstreamCall, health: CallHealth) -> FreeholdError:
        """The error without the credential, after the health was told."""
        self._failed(error, call, health)
        return without_secret(error, self._credential)

    def _failed(self, error: FreeholdError, call: UpstreamCall, health: CallHealth) -> None:
        if isinstance(error, UpstreamStatus) and error.values.get("about") == "logprobs" and call.want_logprobs:
            self._has_logprobs = False
            health.abandoned()
        else:
            health.failed(error)
