"""A worker process of ours: started with one order and a private folder, watched by its pipes, ended by signals.

The worker is a module that reads one line of JSON from standard input, enters the jail, says in one line of JSON on
standard output what came of that (``worker.begin``), and serves until standard input closes.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from freehold.engines.process.jail import Measure

_LAST_OUTPUT_BYTES = 8_192
_REPORT_BYTES_MAX = 65_536
_LAST_WORDS_S = 0.2

# The child's whole environment: nothing of the gateway's but what finds libraries and accelerators.
_ENVIRONMENT_KEPT = (
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES",
    "GGML_VK_VISIBLE_DEVICES", "OMP_NUM_THREADS", "OMP_WAIT_POLICY",
)  # fmt: skip


class ChildProcess:
    """One worker process: what every kind of it shares of ``life.Child``.

    Args:
        process: Just started, with pipes.
        folder: Its own; removed by ``release``.

    Attributes:
        jail: What it gave up; empty until it has said so.
    """

    def __init__(self, process: asyncio.subprocess.Process, *, folder: str) -> None:
        self._process = process
        self._folder = folder
        self._output = b""
        self._readers: list[asyncio.Task[None]] = []
        self.jail: tuple[Measure, ...] = ()

    @staticmethod
    async def spawn(module: str, *, folder: str) -> asyncio.subprocess.Process:
        """Start ``python -m module`` in a fresh ``folder`` that only we can enter.

        Raises:
            OSError: The system has no room for another process or folder.
        """
        _make_folder(folder)
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-s", "-m", module,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                cwd=folder, env=_environment(), limit=_REPORT_BYTES_MAX,
            )  # fmt: skip
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def begin(self, order: Mapping[str, object]) -> Self:
        """Give it its order and listen to it. It goes over standard input: nothing of it shows in a process list."""
        streams = self._process
        if streams.stdin is None or streams.stdout is None or streams.stderr is None:
            raise RuntimeError("the worker was started without pipes")
        # Standard input stays open: its end is how a worker learns, on every system, that the gateway is gone.
        streams.stdin.write(json.dumps(order).encode() + b"\n")
        self._readers = [
            asyncio.create_task(self._listen(streams.stdout)),
            asyncio.create_task(self._read_output(streams.stderr)),
        ]
        return self

    async def _listen(self, stdout: asyncio.StreamReader) -> None:
        try:
            line = await stdout.readline()
        except ValueError:  # no line within the limit: not our worker's report
            line = b""
        if line.endswith(b"\n"):
            try:
                self.jail = tuple(Measure(**each) for each in json.loads(line))
            except (ValueError, TypeError):
                self.kill()  # whatever it is, it is no worker of ours
        await self._listen_on(stdout)

    async def _listen_on(self, stdout: asyncio.StreamReader) -> None:
        """What follows the report: read and forgotten, so that the worker never waits for us."""
        while await stdout.read(_REPORT_BYTES_MAX):
            pass

    async def _read_output(self, stderr: asyncio.StreamReader) -> None:
        while piece := await stderr.read(_LAST_OUTPUT_BYTES):
            self._output = (self._output + piece)[-_LAST_OUTPUT_BYTES:]

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def wait(self) -> int:
        """Its return code once it has ended, negative for a signal."""
        returncode = await self._process.wait()
        # Its last words may still be in the pipe; a grandchild that holds the pipe open must not hold us.
        await asyncio.wait(self._readers, timeout=_LAST_WORDS_S)
        return returncode

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        try:
            self._process.send_signal(number)
        except ProcessLookupError:
            return

    def last_output(self) -> str:
        """The end of what it wrote to its error output."""
        return self._output.decode(errors="replace")

    async def release(self) -> None:
        """Remove the folder."""
        for reader in self._readers:
            reader.cancel()
        if self._process.stdin is not None:
            self._process.stdin.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _make_folder(folder: str) -> None:
    """A fresh one, with nothing of the child before."""
    shutil.rmtree(folder, ignore_errors=True)
    Path(folder).mkdir(mode=0o700)


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT_KEPT if name in os.environ}
    return kept | {
        "PYTHONPATH": os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
    }
