"""Gateways as processes of their own, without the second of CPU that importing takes each of them.

They are copies of one process for each process of tests, made by ``fork`` once it has imported. Importing does nothing:
it opens nothing and starts no thread, which tests/tidy holds it to. So a copy is what a fresh process is by then. Fresh
processes are what the command line's tests start, the workers of a gateway, and whatever ``running`` is given a
prefix, an interpreter or descriptors for.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ORDER_BYTES_MAX = 1 << 17
HAS_COPIES = hasattr(os, "pidfd_open")
"""Whether this system lets one wait for a process that another one started; else each gateway is a fresh process."""

READ_AT_START = ("PYTHON", "LD_", "MALLOC_", "GLIBC_", "OPENBLAS_", "OMP_", "LC_", "LANG", "TZ")
"""Beginnings of names of variables that a process reads before it could become another: each set has its own origin."""


class Copy:
    """One copy: what tests use of ``subprocess.Popen``."""

    def __init__(self, origin: Origin, pid: int, stdout: IO[bytes]) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        self._origin = origin
        self._ended = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """How it ended, as ``Popen.poll`` has it; ``None`` while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait at most so many seconds for its end."""
        if self.returncode is None:
            look = select.poll()
            look.register(self._ended, select.POLLIN)
            if not look.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = self._origin.ask({"ended": self.pid})["code"]
            os.close(self._ended)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Origin:
    """The process that is copied."""

    def __init__(self, *, root: Path, environment: Mapping[str, str]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._one_at_a_time = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.warm_process", str(theirs.fileno())],
                cwd=root,
                env=environment,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        atexit.register(self._end)

    def ask(self, order: Mapping[str, Any], descriptors: Sequence[int] = ()) -> dict[str, Any]:
        """The answer to an order."""
        with self._one_at_a_time:
            socket.send_fds(self._control, [json.dumps(order).encode()], descriptors)
            told = self._control.recv(ORDER_BYTES_MAX)
        assert told, "the process that gateways are copied from is gone"
        return json.loads(told)

    def _end(self) -> None:
        self._control.close()
        self._process.wait()


@functools.cache
def _origin(root: Path, environment: tuple[tuple[str, str], ...]) -> Origin:
    return Origin(root=root, environment=dict(environment))


def warm_gateway(*arguments: str, root: Path, environment: Mapping[str, str], log: int) -> Copy:
    """Start a gateway with the arguments of ``tests.support.gateway_process``.

    Args:
        arguments: Its configuration and its data folder.
        root: Where it runs.
        environment: All that it sees.
        log: Descriptor of its standard error.
    """
    read_at_start = {name: value for name, value in environment.items() if name.startswith(READ_AT_START)}
    origin = _origin(root, tuple(sorted(read_at_start.items())))
    reading, writing = os.pipe()
    try:
        order = {"arguments": arguments, "environment": dict(environment)}
        pid = origin.ask(order, [writing, log])["pid"]
    finally:
        os.close(writing)
    return Copy(origin, pid, os.fdopen(reading, "rb"))
