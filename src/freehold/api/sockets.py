"""What the socket of a client's connection can be told that its transport has no word for."""

from __future__ import annotations

import asyncio
import socket
import struct

_RESET = struct.pack("ii", 1, 0)
_TCP = (socket.AF_INET, socket.AF_INET6)


def send_at_once(transport: asyncio.BaseTransport) -> None:
    """Send small pieces as they come instead of waiting for more."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in _TCP:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def reset_at_close(transport: asyncio.BaseTransport) -> None:
    """Make its end a reset, which no client takes for the end of an answer."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in _TCP:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
