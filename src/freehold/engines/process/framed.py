"""A worker process that is asked over its pipes, one message after the other."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Mapping
from typing import Generic, TypeVar

from freehold.domain.errors.upstream import UpstreamBroken
from freehold.engines.process.child import ChildProcess
from freehold.engines.process.frames import LENGTHS, frame, lengths

AnswerType = TypeVar("AnswerType")


class FramedChild(ChildProcess, Generic[AnswerType]):
    """One worker process that answers frames (``frames``) with frames, each with the ``id`` of its question.

    Args:
        process: Just started, with pipes.
        name: Of what it works for, for messages.
        folder: Its own; removed by ``release``.
    """

    def __init__(self, process: asyncio.subprocess.Process, *, name: str, folder: str) -> None:
        super().__init__(process, folder=folder)
        self._name = name
        self._number = 0
        self._waiting: dict[int, asyncio.Future[AnswerType]] = {}
        self._closed = False

    @abstractmethod
    def heard(self, head: bytes, body: bytes) -> tuple[int, AnswerType]:
        """Which message an answer is to, and what it says.

        Raises:
            ValueError: It is no answer.
        """
        ...

    async def ask(self, message: Mapping[str, object]) -> AnswerType:
        """One message and its answer. Messages are answered in the order in which they are asked.

        Whoever is cancelled meanwhile costs the worker what it is computing, and the others nothing else.

        Raises:
            UpstreamBroken: The process ended.
        """
        stdin = self._process.stdin
        if self._closed or stdin is None or stdin.is_closing():
            raise self._gone()
        self._number += 1
        number = self._number
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            stdin.write(frame({"id": number, **message}))
            return await waiting
        finally:
            self._waiting.pop(number, None)

    async def ask_for_itself(self, message: Mapping[str, object]) -> AnswerType:
        """A message of the supervisor; it sees the end of a process itself, and knows more of it than we do."""
        try:
            return await self.ask(message)
        except UpstreamBroken:
            return await asyncio.get_running_loop().create_future()

    async def _listen_on(self, stdout: asyncio.StreamReader) -> None:
        try:
            while True:
                head_bytes, body_bytes = lengths(await stdout.readexactly(LENGTHS.size))
                head = await stdout.readexactly(head_bytes)
                number, answer = self.heard(head, await stdout.readexactly(body_bytes))
                waiting = self._waiting.get(number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        except asyncio.IncompleteReadError:
            pass  # it ends, and may still be writing why
        except ValueError:
            self.kill()  # whatever it is, it is no worker any more
        finally:
            self._closed = True
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(self._gone())

    def _gone(self) -> UpstreamBroken:
        return UpstreamBroken(source=self._name, deployment=self._name, reason="its process ended")
