"""The hub's client library without a network: its requests go to the broker's process, which reads in its place.

The library finds files and knows the hub's errors, as ever (``net.hub``); only the connections are taken from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import httpx2
from huggingface_hub import set_async_client_factory, set_client_factory
from huggingface_hub.utils._http import (
    async_hf_request_event_hook,
    async_hf_response_event_hook,
    default_async_client_factory,
    default_client_factory,
    hf_request_event_hook,
)

from freehold.domain.egress import EgressIntent
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.errors.upstream import UpstreamError, UpstreamTimeout, UpstreamUnreachable
from freehold.domain.ports import Clock, IdSource
from freehold.domain.zones import Zone
from freehold.net.brokered.reads import HUB_LABEL, asked_line, hub_place_name
from freehold.net.brokered.way import BrokeredClient, Way
from freehold.net.client import HttpReply
from freehold.net.limits import HttpLimits
from freehold.net.origin import Origin
from freehold.net.permits import OpenGate

_TENANT: Final = "freehold"
_RULES: Final = ("hub",)
_CONNECTIONS_MAX: Final = 8
_SILENCE_S: Final = 60.0
"""Where the library gives no deadline of its own."""

_WHOLE_S: Final = 86_400.0
"""For one answer: what is slower is asked for again from where it ended."""


@asynccontextmanager
async def through_broker(
    place: str, addresses: Sequence[str], zone: Zone, *, clock: Clock, ids: IdSource
) -> AsyncGenerator[None]:
    """While the body runs, the hub's client library asks the broker and connects to nothing.

    Args:
        place: The broker's socket, ``unix:///…``.
        addresses: The hub's, then its storage's: as the broker's own configuration has them.
        zone: Where they are.
        clock: Time.
        ids: Ids of the reads, for the broker's record.

    Raises:
        BaseUrlInvalid: An address cannot be read.
    """
    way = Way(place, clock=clock, limits=HttpLimits())
    clients: dict[str, BrokeredClient] = {}
    for number, address in enumerate(addresses):
        origin = Origin.parse(address)
        if origin.text not in clients:
            clients[origin.text] = way.client(
                name=hub_place_name(number),
                origin=origin,
                zone=zone,
                connections_max=_CONNECTIONS_MAX,
                headers=(),
                gate=OpenGate(),
            )
    reader = _Reader(clients, clock=clock, ids=ids)
    set_client_factory(lambda: _client(reader))
    set_async_client_factory(lambda: _async_client(reader))
    try:
        yield
    finally:
        set_client_factory(default_client_factory)
        set_async_client_factory(default_async_client_factory)
        for client in clients.values():
            await client.close()
        await way.close()


class _Reader:
    """Makes an answer of the library's out of one of the broker's."""

    def __init__(self, clients: Mapping[str, BrokeredClient], *, clock: Clock, ids: IdSource) -> None:
        self._clients = clients
        self._clock = clock
        self._ids = ids
        self.loop = asyncio.get_running_loop()

    async def open(self, request: httpx2.Request) -> HttpReply:
        """The answer's head.

        Raises:
            EgressDenied: It leads to a place that is not named, or the broker refuses.
            EgressBrokerAway: The broker is not there.
            httpx2.TransportError: The hub fails; it may be asked again.
        """
        url = request.url
        path = url.raw_path.decode("ascii")
        origin = Origin.parse(f"{url.scheme}://{url.netloc.decode('ascii')}").text
        client = self._clients.get(origin)
        if client is None:
            raise EgressDenied(
                origin=origin,
                reason="the hub leads there, and it is none of the addresses of [egress] hub. Add it to them, in the"
                " broker's configuration too, if that is where the hub keeps its files",
            )
        ranges = request.headers.get("range")
        headers = (("range", ranges),) if ranges else ()
        intent = EgressIntent(
            request_id=self._ids.new_id(),
            tenant=_TENANT,
            deployment=client.name,
            origin=origin,
            zone=client.zone,
            label=HUB_LABEL,
            rules=_RULES,
            body_bytes=0,
            body_commitment="",
            asked=asked_line(request.method, path, headers),
        )
        try:
            asked = client.fetch(
                intent,
                method=request.method,
                path=path,
                headers=headers,
                deadline_s=self._clock.monotonic_s() + _WHOLE_S,
            )
            return await asyncio.wait_for(asked, _silence_s(request))
        except TimeoutError as error:
            raise httpx2.ReadTimeout("no answer through the egress broker in time") from error
        except UpstreamError as error:
            raise _theirs(error) from error

    @staticmethod
    async def piece(reply: HttpReply, silence_s: float) -> bytes:
        """The next piece; empty at the end.

        Raises:
            httpx2.TransportError: It broke off.
        """
        try:
            return await asyncio.wait_for(reply.next_piece(), silence_s)
        except TimeoutError as error:
            reply.abort()
            raise httpx2.ReadTimeout("nothing more came through the egress broker") from error
        except UpstreamError as error:
            raise _theirs(error) from error


class _Body(httpx2.AsyncByteStream):
    def __init__(self, reply: HttpReply, silence_s: float) -> None:
        self._reply = reply
        self._silence_s = silence_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await _Reader.piece(self._reply, self._silence_s):
            yield piece

    async def aclose(self) -> None:
        self._reply.abort()


class _AsyncTransport(httpx2.AsyncBaseTransport):
    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        reply = await self._reader.open(request)
        body = _Body(reply, _silence_s(request))
        return httpx2.Response(reply.status, headers=list(reply.headers.items()), stream=body, request=request)


class _BodyInThread(httpx2.SyncByteStream):
    def __init__(self, reply: HttpReply, silence_s: float, loop: asyncio.AbstractEventLoop) -> None:
        self._reply = reply
        self._silence_s = silence_s
        self._loop = loop

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._next():
            yield piece

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._reply.abort)

    def _next(self) -> bytes:
        return asyncio.run_coroutine_threadsafe(_Reader.piece(self._reply, self._silence_s), self._loop).result()


class _ThreadTransport(httpx2.BaseTransport):
    """For calls of the library that block: made in threads, while the loop goes on in its own."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        loop = self._reader.loop
        reply = asyncio.run_coroutine_threadsafe(self._reader.open(request), loop).result()
        body = _BodyInThread(reply, _silence_s(request), loop)
        return httpx2.Response(reply.status, headers=list(reply.headers.items()), stream=body, request=request)


def _client(reader: _Reader) -> httpx2.Client:
    """As the library's own, whose hook refuses where it is told to be offline."""
    return httpx2.Client(
        transport=_ThreadTransport(reader),
        event_hooks={"request": [hf_request_event_hook]},
        follow_redirects=True,
        timeout=None,
        trust_env=False,
    )


def _async_client(reader: _Reader) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=_AsyncTransport(reader),
        event_hooks={"request": [async_hf_request_event_hook], "response": [async_hf_response_event_hook]},
        follow_redirects=True,
        timeout=None,
        trust_env=False,
    )


def _silence_s(request: httpx2.Request) -> float:
    read_s = request.extensions.get("timeout", {}).get("read")
    return float(read_s) if read_s else _SILENCE_S


def _theirs(error: UpstreamError) -> httpx2.TransportError:
    """As the library would have met it: the reason alone, since our message is of a deployment."""
    reason = f"{error.values.get('reason') or 'it was too slow'}, through the egress broker"
    if isinstance(error, UpstreamTimeout):
        return httpx2.ReadTimeout(reason)
    if isinstance(error, UpstreamUnreachable):
        return httpx2.ConnectError(reason)
    return httpx2.RemoteProtocolError(reason)
