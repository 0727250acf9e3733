"""Puts a client together from its parts."""

from __future__ import annotations

import ssl
from functools import partial

from freehold.domain.ports import Clock
from freehold.domain.zones import DEVICE, LAN, Zone
from freehold.net.addresses import AddressKind, Resolver
from freehold.net.answer import Answer
from freehold.net.client import ClientParts, HttpClient
from freehold.net.connection import Setting
from freehold.net.dial import Dialer
from freehold.net.faults import Faults
from freehold.net.head import HeadWriter
from freehold.net.limits import HttpLimits
from freehold.net.origin import Origin
from freehold.net.permits import Gate
from freehold.net.pool import Pool
from freehold.net.shared import SharedWork
from freehold.net.threads import Threads
from freehold.net.tls import tls_context

_NEAR = frozenset({DEVICE, LAN})


class ClientFactory:
    """Makes clients that share one gate, one resolver and one set of TLS contexts.

    Args:
        clock: Time.
        gate: Asked before anything is sent.
        limits: Bounds and deadlines of every connection.
        resolver: Turns host names into addresses, in a thread.
    """

    def __init__(self, *, clock: Clock, gate: Gate, limits: HttpLimits, resolver: Resolver) -> None:
        self._clock = clock
        self._gate = gate
        self._limits = limits
        self._resolver = resolver
        self._threads = Threads()
        self._contexts: dict[str | None, SharedWork[ssl.SSLContext]] = {}

    def client(
        self,
        *,
        name: str,
        origin: Origin,
        zone: Zone,
        kinds: frozenset[AddressKind],
        connections_max: int,
        headers: tuple[tuple[str, str], ...],
        ca_file: str | None,
        answer: type[Answer] = Answer,
    ) -> HttpClient:
        """A client of ``origin``; opens nothing yet.

        Args:
            name: The deployment that errors blame.
            origin: The only destination.
            zone: Where that is; decides what the gate asks for and which deadlines hold.
            kinds: Kinds of addresses that it may have.
            connections_max: Most connections at once.
            headers: Fields of every request, the credential among them.
            ca_file: PEM file with the only certificates to trust; ``None`` for the system's.
            answer: How answers are read.

        Raises:
            EgressDenied: A field of ``headers`` is not allowed.
        """
        limits, faults, near = self._limits, Faults(name), zone in _NEAR
        dialer = Dialer(
            origin=origin,
            kinds=kinds,
            place=f"zone {zone!r}",
            connect_s=limits.connect_near_s if near else limits.connect_far_s,
            stagger_s=limits.stagger_s,
            faults=faults,
            endpoints=SharedWork(
                partial(self._resolver, origin.host, origin.port), threads=self._threads, keep_s=limits.resolve_again_s
            ),
            tls=self._context(ca_file),
        )
        first_byte_s = limits.first_byte_near_s if near else limits.first_byte_far_s
        setting = Setting(limits=limits, first_byte_s=first_byte_s, faults=faults, answer=answer)
        return HttpClient(
            ClientParts(
                name=name,
                origin=origin.text,
                zone=zone,
                clock=self._clock,
                gate=self._gate,
                heads=HeadWriter(origin, headers),
                pool=Pool(dialer=dialer, setting=setting, connections_max=connections_max),
                faults=faults,
                write_slice_bytes=limits.write_slice_bytes,
            )
        )

    def close(self) -> None:
        """Let the threads end. Idempotent."""
        self._threads.close()

    def _context(self, ca_file: str | None) -> SharedWork[ssl.SSLContext]:
        if ca_file not in self._contexts:
            make = partial(tls_context, ca_file)
            self._contexts[ca_file] = SharedWork(make, threads=self._threads, keep_s=float("inf"))
        return self._contexts[ca_file]
