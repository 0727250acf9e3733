"""For all tests: nothing reaches past loopback, and no property fails because the machine is busy."""

from __future__ import annotations

import pytest
from hypothesis import settings
from pytest_socket import socket_allow_hosts

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def only_loopback() -> None:
    """Connections of this process beyond loopback fail; child processes are held by tests of their own."""
    socket_allow_hosts(["127.0.0.0/8", "::1"], allow_unix_socket=True)
