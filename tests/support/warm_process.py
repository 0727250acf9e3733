"""The process that gateways are copied from: ``python -m tests.support.warm_process DESCRIPTOR``; see ``tests.support.warm``.

It has imported all that a gateway imports and done nothing else. Over the socket that it inherits it is told to make a
copy, which becomes a gateway, or to say how one ended. It ends when the other end of the socket does.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from tests.support.gateway_process import main as gateway
from tests.support.warm import ORDER_BYTES_MAX


def copies(control: socket.socket) -> dict[str, Any] | None:
    """Do what is ordered: returns the order in each copy, and nothing in this process once all is over."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, ORDER_BYTES_MAX, 2)
        if not message:
            return None
        order: dict[str, Any] = json.loads(message)
        if "ended" in order:
            _, status = os.waitpid(order["ended"], 0)
            told = {"code": os.waitstatus_to_exitcode(status)}
        else:
            pid = os.fork()
            if pid == 0:
                control.close()
                become(order, *descriptors)
                return order
            for each in descriptors:
                os.close(each)
            told = {"pid": pid}
        control.send(json.dumps(told).encode())


def become(order: dict[str, Any], stdout: int, stderr: int) -> None:
    """What ``subprocess.Popen`` does for a process of its own, with a session of its own."""
    os.setsid()
    for given, wanted in ((stdout, 1), (stderr, 2)):
        os.dup2(given, wanted)
        os.close(given)
    os.environ.clear()
    os.environ.update(order["environment"])


def main(descriptor: str) -> int:
    """Be copied; in a copy, be a gateway."""
    threads = len(list(Path("/proc/self/task").iterdir()))
    assert threads == 1, f"importing started {threads - 1} threads, which no copy would have"
    with socket.socket(fileno=int(descriptor)) as control:
        order = copies(control)
    return 0 if order is None else gateway(*order["arguments"])


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
