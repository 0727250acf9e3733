"""What waits in a socket, asked of the kernel without taking it out."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from functools import partial

_ANYTHING = select.POLLIN | select.POLLHUP | select.POLLERR


def arrivals(sock: socket.socket) -> Callable[[], object]:
    """Tells, each time it is called, whether bytes, an end of file or an error wait in ``sock``: true if so.

    Polling says so by its result. Peeking would say the usual case, nothing, by an exception, which costs ten times
    as much, and is done before every reuse of a connection.
    """
    poller = select.poll()
    poller.register(sock, _ANYTHING)
    return partial(poller.poll, 0)
