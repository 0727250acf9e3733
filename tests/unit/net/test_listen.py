"""Sockets that several processes share a port with."""

from __future__ import annotations

import socket

import pytest

from freehold.domain.errors.server import PortInUse
from freehold.net.listen import Reservation, shared_sockets


def test_a_reserved_port_is_listened_on_by_many_and_reserved_once() -> None:
    reservation = Reservation.make("127.0.0.1", 0)
    first, second = (shared_sockets("127.0.0.1", reservation.port)[0] for _ in range(2))
    for each in (first, second):
        each.listen()
    clients = [socket.create_connection(("127.0.0.1", reservation.port)) for _ in range(40)]
    for each in (first, second):
        each.settimeout(5)
        each.accept()[0].close()
    with pytest.raises(PortInUse):
        Reservation.make("127.0.0.1", reservation.port)
    for each in (first, second, *clients):
        each.close()
    Reservation.make("127.0.0.1", reservation.port).close()
    reservation.close()


def test_all_addresses_of_a_name_get_one_port() -> None:
    reservation = Reservation.make("localhost", 0)
    sockets = shared_sockets("localhost", reservation.port)
    assert {each.getsockname()[1] for each in sockets} == {reservation.port}
    for each in sockets:
        each.close()
    reservation.close()


def test_an_address_of_somebody_else() -> None:
    with pytest.raises(PortInUse):
        Reservation.make("192.0.2.1", 0)
