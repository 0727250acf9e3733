"""Ports that stay what they are while other tests run beside this one and open ports of their own."""

from __future__ import annotations

import functools
import secrets
import socket

HOST = "127.0.0.1"
BELOW = range(10_000, 30_000)
"""Systems give whoever asks for any port one above these."""


def closed_port() -> int:
    """A port on which nobody listens: it is bound as long as this process lives, so that nobody else gets it."""
    return _bound().getsockname()[1]


@functools.cache
def _bound() -> socket.socket:
    kept = socket.socket()
    kept.bind((HOST, 0))
    return kept


def free_port() -> int:
    """A port for a server that must be told one; nobody who asks for any port is given it before that server starts."""
    while True:
        with socket.socket() as probe:
            port = secrets.choice(BELOW)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
