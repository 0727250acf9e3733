"""The parent of several workers: it starts them, tells them what to do, replaces those that die, and ends them.

It serves nothing and opens nothing that they use. It is told by signals; they are told by it, in lines on their
standard input, whose end also tells them that it is gone. A worker answers with one line: that it listens, or why not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from freehold.app.fellows import LIMITS_FILE, LOAD_FILE, SLOTS_FILE, WORKERS_FOLDER, BellPipes
from freehold.app.listener import LAST_WORDS_S
from freehold.app.reload import Reloader, own_files
from freehold.app.rules import rulebook_of
from freehold.app.stores import MODELS_FOLDER
from freehold.config.compile import Compiled, compile_config
from freehold.config.handover import hand_over
from freehold.config.load import LoadedConfig
from freehold.domain.errors.server import WorkerFailed
from freehold.identity.limit_table import LimitTable
from freehold.serving.load_table import LoadTable
from freehold.serving.registry import ModelRegistry
from freehold.serving.slot_table import SlotTable
from freehold.storage import disk
from freehold.telemetry.workers import forget_pages

log = logging.getLogger("freehold.app")

PROGRAM = "freehold.app.worker"
PAUSE_S = 0.1
PAUSE_S_MAX = 5.0
"""Between the end of a worker and its next start; doubled each time that it ends before it listens, or soon after."""

STARTS_MAX = 5
"""So many times in a row a worker may end before it listens."""

_STEADY_S = 10.0
_GRACE_S = 10.0
_READ_BYTES = 4_096
_ANSWER_BYTES_MAX = 64 * 1024


class Child:
    """One worker process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, order: dict[str, Any], *, inherits: tuple[int, ...]) -> Child:
        """Start one; its order goes through the pipe, where nobody else reads it.

        Raises:
            OSError: The system has no room for another process.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", PROGRAM,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            pass_fds=inherits, limit=_ANSWER_BYTES_MAX,
            start_new_session=True,  # a terminal's Ctrl-C is for the parent, which tells the workers once
        )  # fmt: skip
        child = cls(process)
        child.tell(order)
        return child

    def tell(self, order: dict[str, Any]) -> None:
        """Give an order; one that died meanwhile does not hear it."""
        if self._process.stdin is not None:
            with contextlib.suppress(ConnectionError):
                self._process.stdin.write(json.dumps(order).encode() + b"\n")

    async def answer(self) -> str | None:
        """Empty once it listens, else why it does not; ``None`` where it ended without a word."""
        line = b"" if self._process.stdout is None else await self._process.stdout.readline()
        return str(json.loads(line)["failure"]) if line else None

    async def ended(self) -> str:
        """Wait for its end; how that came."""
        if self._process.stdout is not None:
            while await self._process.stdout.read(_READ_BYTES):
                pass
        code = await self._process.wait()
        return f"it was killed by signal {-code}" if code < 0 else f"it ended with code {code}"

    def kill(self) -> None:
        """End it, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


class Workers:
    """All workers of one gateway; ``run`` is their life.

    Args:
        loaded: The configuration.
        folder: The data folder, which is locked.
        lock: Descriptor of its lock, which the workers inherit.
        workers: How many.
        port: Where they listen.
        handed: Descriptors of sockets that they are to listen on instead, where the service manager made them.
        reread: Reads the configuration again.
        listening: Called once all of them listen.
    """

    def __init__(
        self,
        *,
        loaded: LoadedConfig,
        folder: Path,
        lock: int,
        workers: int,
        port: int,
        handed: Sequence[int] = (),
        reread: Callable[[], LoadedConfig],
        listening: Callable[[], None],
    ) -> None:
        self._loaded = loaded
        self._folder = folder
        self._lock = lock
        self._workers = workers
        self._port = port
        self._handed = tuple(handed)
        self._reread = reread
        self._listening = listening
        self._read = loaded
        self._children: dict[int, Child] = {}
        self._heard: set[int] = set()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve until told to stop; at return every worker has ended.

        Raises:
            WorkerFailed: One cannot serve.
        """
        shared = self._folder / WORKERS_FOLDER
        disk.make_folders(shared)
        forget_pages(shared)
        table, bells = SlotTable.make(shared / SLOTS_FILE, workers=self._workers), BellPipes(self._workers)
        limits = LimitTable.make(shared / LIMITS_FILE, workers=self._workers)
        load = LoadTable.make(shared / LOAD_FILE, workers=self._workers)
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, self._told_to_stop)
        tables = (table, limits, load)
        posts = [asyncio.ensure_future(self._keep(worker, tables, bells)) for worker in range(self._workers)]
        reloader = Reloader(
            self._loaded.path,
            rules=self._loaded.config.policy.rules,
            models=own_files(compile_config(self._loaded, environment=os.environ)),
            also=(ModelRegistry(self._folder / MODELS_FOLDER).names.folder,),
            seen=self._loaded.seen,
            read=self._compiled,
            replace=self._replace,
        )
        try:
            async with reloader.watching():
                done, _ = await asyncio.wait(posts, return_when=asyncio.FIRST_EXCEPTION)
            for post in done:
                post.result()
        finally:
            await self._end(posts)
            for each in tables:
                each.close()
            bells.close()

    async def _keep(self, worker: int, tables: tuple[SlotTable, LimitTable, LoadTable], bells: BellPipes) -> None:
        """Have one worker running until told to stop.

        Raises:
            WorkerFailed: It does not come to listen.
        """
        loop = asyncio.get_running_loop()
        pause_s, failures = PAUSE_S, 0
        while not self._stopping.is_set():
            started_s, handed = loop.time(), self._loaded
            child = await Child.start(
                self._order(worker, bells), inherits=(self._lock, *self._handed, bells.read[worker], *bells.write)
            )
            self._children[worker] = child
            if self._loaded is not handed:  # it changed while the process was made
                child.tell({"do": "reload", "loaded": hand_over(self._loaded)})
            if self._stopping.is_set():
                child.tell({"do": "stop"})
            failure = await child.answer()
            if failure == "":
                failures = 0
                self._listens(worker)
            reason = await child.ended()
            del self._children[worker]
            for table in tables:
                with table:
                    table.clear(worker)
            bells.ring_all()
            if self._stopping.is_set():
                return
            if failure != "":
                failures += 1
                if failures >= STARTS_MAX or len(self._heard) < self._workers:
                    raise WorkerFailed(worker=worker, reason=failure or reason)
            pause_s = PAUSE_S if loop.time() - started_s > _STEADY_S else min(2 * pause_s, PAUSE_S_MAX)
            log.error("worker %d: %s; it is started again in %.1f s", worker, failure or reason, pause_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)

    def _order(self, worker: int, bells: BellPipes) -> dict[str, Any]:
        return {
            "worker": worker,
            "workers": self._workers,
            "folder": str(self._folder),
            "port": self._port,
            "handed": self._handed,
            "mine": bells.read[worker],
            "bells": bells.write,
            "loaded": hand_over(self._loaded),
        }

    def _listens(self, worker: int) -> None:
        before = len(self._heard)
        self._heard.add(worker)
        if before < len(self._heard) == self._workers:
            self._listening()

    def _compiled(self) -> Compiled:
        self._read = self._reread()
        compiled = compile_config(self._read, environment=os.environ)
        rulebook_of(compiled)  # what does not hold is handed to nobody
        return compiled

    async def _replace(self, compiled: Compiled) -> None:
        """Hand a configuration that works to all; those that start later get it too."""
        self._loaded = self._read
        for child in self._children.values():
            child.tell({"do": "reload", "loaded": hand_over(self._loaded)})
        log.info("configuration %s was handed to the workers", compiled.digest[:19])

    def _told_to_stop(self) -> None:
        """The first time what runs may go on for a while, the second time it is ended at once."""
        is_hurried = self._stopping.is_set()
        self._stopping.set()
        drain_s = 0 if is_hurried else self._loaded.config.server.drain_s
        for child in self._children.values():
            child.tell({"do": "end" if is_hurried else "stop"})
        asyncio.get_running_loop().call_later(drain_s + LAST_WORDS_S + _GRACE_S, self._kill)

    async def _end(self, posts: list[asyncio.Task[None]]) -> None:
        """Nobody is left behind, whatever happened."""
        self._stopping.set()
        for child in self._children.values():
            child.tell({"do": "end"})
        asyncio.get_running_loop().call_later(LAST_WORDS_S + _GRACE_S, self._kill)
        await asyncio.gather(*posts, return_exceptions=True)

    def _kill(self) -> None:
        for worker, child in self._children.items():
            log.error("worker %d did not end in time and is killed", worker)
            child.kill()
