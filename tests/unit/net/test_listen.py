"""Sockets that several processes share a port with."""

from __future__ import annotations

import os
import socket

import pytest

from freehold.domain.errors.server import PortInUse, SocketUnusable
from freehold.net.listen import Reservation, handed_sockets, shared_sockets, sockets_of


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


def test_sockets_that_the_service_manager_hands_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those that are meant for this process, and never for its children."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        monkeypatch.setattr("freehold.net.listen._FIRST_HANDED", os.dup(made.fileno()))
        for other in ({}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_PID": "7", "LISTEN_FDS": "many"}):
            assert handed_sockets(dict(other), pid=7) == []
        environment = {"LISTEN_PID": "7", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "freehold.socket", "HOME": "/"}
        (handed,) = handed_sockets(environment, pid=7)
        assert environment == {"HOME": "/"}
        assert handed.getsockname() == made.getsockname()
        assert not handed.get_inheritable()
        assert Reservation.of([handed]).port == made.getsockname()[1]
        handed.close()


def test_what_is_handed_over_and_is_not_of_tcp() -> None:
    with socket.socket(socket.AF_UNIX) as made, pytest.raises(SocketUnusable, match="not of TCP"):
        sockets_of([os.dup(made.fileno())])
    with pytest.raises(SocketUnusable, match="Bad file descriptor"):
        sockets_of([10_000])
