"""The egress broker: the only way out of this process."""

from __future__ import annotations

import asyncio

from freehold.domain.errors.policy import EgressDenied
from freehold.domain.ports import Clock
from freehold.domain.zones import DEVICE, Zone
from freehold.net.addresses import Resolver, kinds_of_zone, system_resolver
from freehold.net.answer import Answer, PointingAnswer
from freehold.net.brokered.way import Way
from freehold.net.client import HttpClient
from freehold.net.factory import ClientFactory
from freehold.net.limits import HttpLimits
from freehold.net.origin import Origin
from freehold.net.permits import PermitGate

_DEFAULT_LIMITS = HttpLimits()


class Broker:
    """Makes the clients and holds the gate that they all ask, so that a permit is spent once for all of them.

    Args:
        clock: Time.
        permit_key: Seals permits; the egress journal has the same one.
        limits: Bounds and deadlines of every connection.
        resolver: Turns host names into addresses, in a thread.
        way: The way to another process that connects beyond this device in our place; ``None`` to connect from here.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        permit_key: bytes,
        limits: HttpLimits = _DEFAULT_LIMITS,
        resolver: Resolver = system_resolver,
        way: Way | None = None,
    ) -> None:
        gate = self._gate = PermitGate(clock=clock, key=permit_key, spent_max=limits.spent_permits)
        self._way = way
        self._factory = ClientFactory(clock=clock, gate=gate, limits=limits, resolver=resolver)
        self._clients: list[HttpClient] = []

    def client(
        self,
        *,
        name: str,
        base_url: str,
        zone: Zone,
        connections_max: int = 64,
        headers: tuple[tuple[str, str], ...] = (),
        ca_file: str | None = None,
        may_point: bool = False,
    ) -> HttpClient:
        """A client of one configured upstream; opens nothing yet.

        Args:
            name: The deployment that errors blame.
            base_url: ``https://host/v1``, ``http://…`` or ``unix:///path``. Paths of requests are sent as they are
                given: put ``Origin.parse(base_url).base_path`` in front of them.
            zone: Where it runs. ``device`` may be loopback or a Unix socket only and needs no permits; ``lan`` may be
                loopback, private or link-local; any other may be anything but loopback, link-local or a cloud's
                metadata service. Plain ``http`` never goes to a public address.
            connections_max: Most connections at once; requests beyond wait in line.
            headers: Fields of every request, the credential among them.
            ca_file: PEM file with the only certificates to trust; ``None`` for the system's authorities.
            may_point: Whether it may answer with a redirect, which is handed on and never followed.

        Raises:
            BaseUrlInvalid: ``base_url`` cannot be read.
            EgressDenied: A Unix socket outside zone ``device``, or a header field that is not allowed.
        """
        origin = Origin.parse(base_url)
        if origin.scheme == "unix" and zone != DEVICE:
            raise EgressDenied(origin=origin.text, reason=f"a Unix socket is on this device, not in zone {zone!r}")
        if self._way is not None and zone != DEVICE:
            client: HttpClient = self._way.client(
                name=name, origin=origin, zone=zone, connections_max=connections_max, headers=headers, gate=self._gate
            )
        else:
            client = self._factory.client(
                name=name,
                origin=origin,
                zone=zone,
                kinds=kinds_of_zone(zone),
                connections_max=connections_max,
                headers=headers,
                ca_file=ca_file,
                answer=PointingAnswer if may_point else Answer,
            )
        # Clients that were closed one by one, by a reload for example, are not kept.
        self._clients = [known for known in self._clients if not known.is_closed]
        self._clients.append(client)
        return client

    def connections(self) -> dict[str, tuple[int, int]]:
        """Open and idle connections now, by the name that a client was made with."""
        counts: dict[str, tuple[int, int]] = {}
        for client in self._clients:
            before_open, before_idle = counts.get(client.name, (0, 0))
            counts[client.name] = (before_open + client.open_connections, before_idle + client.idle_connections)
        return counts

    async def close(self, *, drain_s: float = 0.0) -> None:
        """Close all clients: no new requests, running answers get at most ``drain_s``. Idempotent."""
        clients, self._clients = self._clients, []
        try:
            await asyncio.gather(*(client.close(drain_s=drain_s) for client in clients))
            if self._way is not None:
                await self._way.close()
        finally:
            self._factory.close()
