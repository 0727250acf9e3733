import socket

import pytest

from freehold.domain.zones import DEVICE, LAN, WORLD, Zone
from freehold.net.addresses import AddressKind, Endpoint, address_kind, kinds_of_zone, system_resolver

EU = Zone("eu")

KINDS = {
    "127.0.0.1": AddressKind.LOOPBACK,
    "127.255.255.254": AddressKind.LOOPBACK,
    "::1": AddressKind.LOOPBACK,
    "::ffff:127.0.0.1": AddressKind.LOOPBACK,
    "10.0.0.1": AddressKind.PRIVATE,
    "172.31.255.255": AddressKind.PRIVATE,
    "192.168.1.1": AddressKind.PRIVATE,
    "::ffff:192.168.1.1": AddressKind.PRIVATE,
    "fd12::1": AddressKind.PRIVATE,
    "169.254.1.1": AddressKind.LINK_LOCAL,
    "fe80::1": AddressKind.LINK_LOCAL,
    "fe80::1%eth0": AddressKind.LINK_LOCAL,
    "100.64.0.1": AddressKind.SHARED,
    "8.8.8.8": AddressKind.PUBLIC,
    "172.32.0.1": AddressKind.PUBLIC,
    "2606:4700::1111": AddressKind.PUBLIC,
    "64:ff9b::808:808": AddressKind.PUBLIC,
    "2002:808:808::1": AddressKind.PUBLIC,
    "169.254.169.254": AddressKind.METADATA,
    "::ffff:169.254.169.254": AddressKind.METADATA,
    "fd00:ec2::254": AddressKind.METADATA,
    "100.100.100.200": AddressKind.METADATA,
    "168.63.129.16": AddressKind.METADATA,
    "0.0.0.0": AddressKind.UNUSABLE,
    "0.1.2.3": AddressKind.UNUSABLE,
    "224.0.0.1": AddressKind.UNUSABLE,
    "240.0.0.1": AddressKind.UNUSABLE,
    "255.255.255.255": AddressKind.UNUSABLE,
    "::": AddressKind.UNUSABLE,
    "::127.0.0.1": AddressKind.UNUSABLE,
    "::ffff:0.0.0.0": AddressKind.UNUSABLE,
    "ff02::1": AddressKind.UNUSABLE,
    "fec0::1": AddressKind.UNUSABLE,
    "64:ff9b::7f00:1": AddressKind.UNUSABLE,
    "64:ff9b::a9fe:a9fe": AddressKind.UNUSABLE,
    "2002:7f00:1::": AddressKind.UNUSABLE,
    "2002:a9fe:a9fe::1": AddressKind.UNUSABLE,
    "": AddressKind.UNUSABLE,
    "example.com": AddressKind.UNUSABLE,
    "127.1": AddressKind.UNUSABLE,
}


@pytest.mark.parametrize(("address", "kind"), KINDS.items())
def test_kinds(address: str, kind: AddressKind) -> None:
    assert address_kind(address) is kind


ALLOWED = {
    DEVICE: {AddressKind.LOOPBACK},
    LAN: {AddressKind.LOOPBACK, AddressKind.PRIVATE, AddressKind.LINK_LOCAL},
    EU: {AddressKind.PRIVATE, AddressKind.SHARED, AddressKind.PUBLIC},
    WORLD: {AddressKind.PRIVATE, AddressKind.SHARED, AddressKind.PUBLIC},
    Zone("never heard of"): {AddressKind.PRIVATE, AddressKind.SHARED, AddressKind.PUBLIC},
}


@pytest.mark.parametrize("zone", ALLOWED)
def test_a_zone_holds_exactly_its_kinds(zone: Zone) -> None:
    for address, kind in KINDS.items():
        assert (address_kind(address) in kinds_of_zone(zone)) == (kind in ALLOWED[zone]), address


def test_endpoints() -> None:
    assert Endpoint.of("127.0.0.1", 80) == Endpoint(socket.AF_INET, ("127.0.0.1", 80))
    assert Endpoint.of("::1", 80).family == socket.AF_INET6
    with pytest.raises(ValueError, match="example"):
        Endpoint.of("example.com", 80)


def test_the_systems_resolver_lists_each_number_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 80, 0, 3)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 80)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 80)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: found)
    assert system_resolver("name.test", 80) == (
        Endpoint(socket.AF_INET6, ("fe80::1", 80, 0, 3)),
        Endpoint(socket.AF_INET, ("10.0.0.1", 80)),
    )


def test_the_systems_resolver_has_one_way_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="not a DNS name"):
        system_resolver(f"{'a' * 64}.test", 80)
    odd = [(99, socket.SOCK_STREAM, 6, "", (1, b"x"))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: odd)
    with pytest.raises(OSError, match="neither"):
        system_resolver("name.test", 80)
