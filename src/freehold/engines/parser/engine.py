"""Reading files away from the gateway: a jailed child behind ``domain.vault_ports.FileParser``."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from freehold.domain.errors.vault import FileBroke, FileGone, FileParserDown, FileTooLarge
from freehold.domain.ports import Clock, EngineState
from freehold.domain.vault import Parsed
from freehold.engines.parser.child import Heard, ParserChild, ParserSpec, read_of
from freehold.engines.parser.scratch import Scratch
from freehold.engines.process.asked import AskedChild, ChildDiedError, ChildDownError
from freehold.engines.process.jail import Measure
from freehold.engines.process.plan import Supervision
from freehold.hostinfo.clock import any_share

_OVER_S = 30.0
"""Beyond the time of one file, after which the child that should have ended its reader is ended itself."""

_PIECE_BYTES = 1 << 20
_IN = "in"
_SEEING = "rapidocr"
"""In what read a file: where one picture is, others are, and the child loads the model for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What reading one file took.

    Attributes:
        seconds: Wall time.
        peak_bytes: Most memory of the process that read it.
    """

    seconds: float
    peak_bytes: int


class ParserEngine:
    """One child that reads files, one after the other, started with the first of them.

    The gateway opens a file and puts a copy into the child's private folder: the child needs no right to anything of the
    user's, and each file is read by a process of its own that ends with it (``process.copies``).

    Args:
        module: What the child runs.
        limits: Of one file, by the names of the worker; at least ``bytes_max``, ``seconds_max``, ``memory_bytes_max``.
        clock: Time.
        times: When to restart, give up, kill; ``None`` for times that leave a file its seconds.
        jitter: Random number from 0 to 1, for the waits between restarts.
        launch: Starts a child.

    Attributes:
        cost: Of the last file; ``None`` before.
    """

    def __init__(
        self,
        *,
        module: str,
        limits: Mapping[str, float],
        clock: Clock,
        times: Supervision | None = None,
        jitter: Callable[[], float] = any_share,
        launch: Callable[[ParserSpec], Awaitable[ParserChild]] = ParserChild.launch,
    ) -> None:
        self._limits = limits
        self._times = times or Supervision(stall_s=limits["seconds_max"] + _OVER_S)
        self._scratch = scratch = Scratch()
        self._folder = scratch.folder
        spec = ParserSpec(module=module, folder=self._folder, limits=limits)
        self._turn = asyncio.Lock()
        self._number = 0
        self._sees = False
        self.cost: Cost | None = None

        async def launched() -> ParserChild:
            await asyncio.to_thread(scratch.begin)
            return await launch(spec)

        self._child = AskedChild(name="parser", launch=launched, clock=clock, times=self._times, jitter=jitter)

    def state(self) -> EngineState:
        """Current state."""
        return self._child.state()

    def jail_report(self) -> tuple[Measure, ...]:
        """What the child gave up and what the system refused; empty before its start."""
        return self._child.jail_report()

    async def start(self) -> None:
        """Make it ready ahead of the first file.

        Raises:
            EngineStartFailed: The child never became ready.
        """
        await self._child.start()

    async def close(self) -> None:
        """End the child, for good. Idempotent."""
        await self._child.close()
        await asyncio.to_thread(self._scratch.end)

    async def parse(self, path: str, *, name: str) -> Parsed:
        """Read one file; see ``FileParser``.

        Raises:
            FileUnread: It cannot be read; the message says why, for its owner.
            FileParserDown: The child does not run.
        """
        async with self._turn:
            try:
                heard = await self._ask(path, name)
            except ChildDownError as error:
                raise FileParserDown(reason=str(error)) from error
            except ChildDiedError as error:
                raise FileBroke(name=name, reason=error.how or str(error)) from error
            self.cost = Cost(seconds=heard.head.seconds, peak_bytes=heard.head.peak_bytes)
            # What was read may be long: telling it apart must not hold up other requests.
            parsed = await asyncio.to_thread(read_of, heard, name=name, limits=self._limits)
            self._sees = self._sees or _SEEING in parsed.parser
            return parsed

    async def _ask(self, path: str, name: str) -> Heard:
        self._number += 1
        place = Path(self._folder, f"{_IN}{self._number}")
        copied = False

        async def read(child: ParserChild) -> Heard:
            nonlocal copied
            given_up = threading.Event()
            try:
                await asyncio.to_thread(_copy, path, place, name, int(self._limits["bytes_max"]), given_up)
                copied = True
                return await child.ask({"file": str(place), "name": _name_hint(name), "sees": self._sees})
            finally:
                given_up.set()
                _remove(place)

        # Where nobody waits for what it reads, the next file shall not wait for that.
        return await self._child.ask(read, wait_s=self._times.ready_wait_s, is_spoilt=lambda: copied)


def _name_hint(name: str) -> str:
    """A name that can be said to the child; half a character cannot."""
    return name.encode("utf-8", "replace").decode("utf-8")


def _remove(place: Path) -> None:
    place.unlink(missing_ok=True)


def _copy(path: str, place: Path, name: str, bytes_max: int, given_up: threading.Event) -> None:
    """Copy a regular file, never waiting for what is none; nothing is left of a copy that is given up before its end.

    Raises:
        FileGone: There is none, or it may not be read.
        FileTooLarge: It has more bytes than are read.
    """
    too_large = FileTooLarge(name=name, reason=f"it has more than {bytes_max:,} bytes")
    try:
        source = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(source)
            if not stat.S_ISREG(found.st_mode):
                raise FileGone(name=name, reason="it is no regular file")
            if found.st_size > bytes_max:
                raise too_large
            copy = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                total = 0
                while not given_up.is_set() and (piece := os.read(source, _PIECE_BYTES)):
                    total += len(piece)
                    if total > bytes_max:
                        raise too_large
                    view = memoryview(piece)
                    while view:
                        view = view[os.write(copy, view) :]
            finally:
                os.close(copy)
                if given_up.is_set():  # who gave it up may have removed it before it was there
                    _remove(place)
        finally:
            os.close(source)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno or 0).lower() if isinstance(error, OSError) else "its path is none"
        raise FileGone(name=name, reason=reason) from error
