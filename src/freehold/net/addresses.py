"""Which addresses belong to which zone. The last check before a connection is opened, on the number itself."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from freehold.domain.zones import DEVICE, LAN, Zone

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
SocketAddress = tuple[str, int] | tuple[str, int, int, int]


class AddressKind(StrEnum):
    """What an address is, as far as zones care."""

    LOOPBACK = "loopback"
    PRIVATE = "private"
    LINK_LOCAL = "link-local"
    SHARED = "shared"
    PUBLIC = "public"
    METADATA = "cloud metadata"
    UNUSABLE = "unusable"


# Services that hand credentials to whoever asks from inside a cloud machine: AWS, Google, Azure, Oracle, ECS, Alibaba.
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "168.63.129.16",
        "192.0.0.192",
        "100.100.100.200",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
    )
)
# Spelled out, since ``is_private`` of the standard library means "not global" and changes between versions.
_RANGES: tuple[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, AddressKind], ...] = tuple(
    (ipaddress.ip_network(text), kind)
    for text, kind in (
        ("0.0.0.0/8", AddressKind.UNUSABLE),
        ("127.0.0.0/8", AddressKind.LOOPBACK),
        ("10.0.0.0/8", AddressKind.PRIVATE),
        ("172.16.0.0/12", AddressKind.PRIVATE),
        ("192.168.0.0/16", AddressKind.PRIVATE),
        ("169.254.0.0/16", AddressKind.LINK_LOCAL),
        ("100.64.0.0/10", AddressKind.SHARED),
        ("224.0.0.0/3", AddressKind.UNUSABLE),
        ("::1/128", AddressKind.LOOPBACK),
        ("::/96", AddressKind.UNUSABLE),
        ("fc00::/7", AddressKind.PRIVATE),
        ("fe80::/10", AddressKind.LINK_LOCAL),
        ("fec0::/10", AddressKind.UNUSABLE),
        ("ff00::/8", AddressKind.UNUSABLE),
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

_DEVICE_KINDS = frozenset({AddressKind.LOOPBACK})
_LAN_KINDS = frozenset({AddressKind.LOOPBACK, AddressKind.PRIVATE, AddressKind.LINK_LOCAL})
_FAR_KINDS = frozenset({AddressKind.PRIVATE, AddressKind.SHARED, AddressKind.PUBLIC})


def address_kind(address: str) -> AddressKind:
    """What ``address`` is; what is not an address is unusable.

    A mapped address (``::ffff:a.b.c.d``) is the IPv4 address itself. A NAT64 or 6to4 address leaves this machine
    whatever it embeds, so only a public one inside makes sense (RFC 6052, section 3.1; RFC 3056, section 2).
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return AddressKind.UNUSABLE
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return _plain_kind(parsed.ipv4_mapped)
        carried = ipaddress.IPv4Address(int(parsed) & 0xFFFF_FFFF) if parsed in _NAT64 else parsed.sixtofour
        if carried is not None and _plain_kind(carried) is not AddressKind.PUBLIC:
            return AddressKind.UNUSABLE
    return _plain_kind(parsed)


def _plain_kind(address: IPAddress) -> AddressKind:
    if address in _METADATA:
        return AddressKind.METADATA
    return next((kind for network, kind in _RANGES if address in network), AddressKind.PUBLIC)


def kinds_of_zone(zone: Zone) -> frozenset[AddressKind]:
    """Kinds that a deployment in ``zone`` may have. Regions may sit behind a private network, never on this machine."""
    if zone == DEVICE:
        return _DEVICE_KINDS
    return _LAN_KINDS if zone == LAN else _FAR_KINDS


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One number to dial.

    Attributes:
        family: ``socket.AF_INET`` or ``AF_INET6``.
        address: What ``connect`` takes.
    """

    family: int
    address: SocketAddress

    @classmethod
    def of(cls, address: str, port: int) -> Endpoint:
        """The endpoint of a numeric address.

        Raises:
            ValueError: ``address`` is not numeric.
        """
        parsed = ipaddress.ip_address(address)
        return cls(socket.AF_INET if parsed.version == 4 else socket.AF_INET6, (address, port))

    @property
    def host(self) -> str:
        """The numeric address."""
        return self.address[0]


class Resolver(Protocol):
    """Turns a name into numbers; runs in a thread."""

    def __call__(self, host: str, port: int, /) -> Sequence[Endpoint]:
        """All addresses of ``host`` in the order to try them.

        Raises:
            OSError: There are none.
        """
        ...


def system_resolver(host: str, port: int) -> Sequence[Endpoint]:
    """The system's own resolver, hosts file included. Blocks."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, "not a DNS name") from error
    # One entry a number: a resolver may list the same one once per protocol.
    return tuple(dict.fromkeys(_endpoint(family, address) for family, _, _, _, address in found))


def _endpoint(family: int, address: tuple[object, ...]) -> Endpoint:
    match address:
        case (str(host), int(port), int(flow), int(scope)):
            return Endpoint(family, (host, port, flow, scope))
        case (str(host), int(port)):
            return Endpoint(family, (host, port))
        case _:
            raise socket.gaierror(socket.EAI_FAMILY, "neither IPv4 nor IPv6")
