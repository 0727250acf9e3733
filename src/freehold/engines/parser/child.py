"""The child process that reads files, and what it is told and says."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import msgspec

from freehold.domain.errors import vault as errors
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.vault import FileBroke, FileTooCostly, FileTooLarge, FileUnread
from freehold.domain.vault import Parsed
from freehold.engines.process.framed import FramedChild

ANSWER_BYTES_MAX = 120 << 20
_DEPTH_MAX = 32
_WORDS_MAX = 2_000
_GIBIBYTE = 1 << 30

_PROBLEMS = {
    each.code: each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, FileUnread)
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ParserSpec:
    """What every start of the child has in common.

    Attributes:
        module: What it runs: ``python -m module``.
        folder: Private folder; made at each start. Files that it reads are put there.
        limits: Of one file, as the worker knows them by name; those that are missing are its own.
    """

    module: str
    folder: str
    limits: Mapping[str, float]

    def order(self) -> dict[str, object]:
        """The worker's order."""
        return {"folder": self.folder, "readable": [sys.prefix, sys.base_prefix], "limits": dict(self.limits)}


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The head of an answer; what was read is behind it.

    Attributes:
        id: Of the message that it answers.
        how: Why nothing was read: ``time``, ``memory``, ``answer``, or how the reading process ended; else empty.
        seconds: Wall time that it took.
        peak_bytes: Most memory that it had.
    """

    id: int
    how: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a file was not read.

    Attributes:
        code: Of the error.
        reason: In words of ours.
    """

    code: str
    reason: str


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a file: one of both.

    Attributes:
        parsed: What was read.
        problem: Why it was not.
    """

    parsed: Parsed | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An answer as it came.

    Attributes:
        head: Of it.
        body: A ``Read``, not yet looked at: its process may have been taken over by what it read.
    """

    head: Head
    body: bytes


_HEADS = msgspec.json.Decoder(Head)
_READS = msgspec.json.Decoder(Read)
_ENCODER = msgspec.json.Encoder()


class ParserChild(FramedChild[Heard]):
    """One worker process (``life.Child``)."""

    @classmethod
    async def launch(cls, spec: ParserSpec) -> ParserChild:
        """Start the process; whether it becomes ready shows later.

        Raises:
            OSError: The system has no room for another process or folder.
        """
        process = await cls.spawn(spec.module, folder=spec.folder)
        return cls(process, name="parser", folder=spec.folder).begin(spec.order())

    async def prove_ready(self) -> None:
        """Return once it has loaded what it reads with."""
        await self.ask_for_itself({})

    async def heartbeat(self) -> None:
        """Return once it has answered."""
        await self.ask_for_itself({})

    def heard(self, head: bytes, body: bytes) -> tuple[int, Heard]:
        """Which message an answer is to, and what it says."""
        found = _HEADS.decode(head)
        return found.id, Heard(head=found, body=body)


def said(read: Read) -> bytes:
    """The body of an answer, as the worker writes it."""
    return _ENCODER.encode(read)


def problem(error: FileUnread) -> Read:
    """What the worker says of a file that cannot be read."""
    return Read(problem=Problem(code=error.code, reason=str(error.values.get("reason", ""))))


def read_of(heard: Heard, *, name: str, limits: Mapping[str, float]) -> Parsed:
    """What was read, once it is known to hold together.

    Args:
        heard: The answer.
        name: Of the file, for messages.
        limits: That it was read with.

    Raises:
        FileUnread: Nothing was; the message says why.
    """
    how = heard.head.how
    if how == "time":
        raise FileTooCostly(name=name, reason=f"{limits['seconds_max']:g} s")
    if how == "memory":
        raise FileTooCostly(name=name, reason=f"{limits['memory_bytes_max'] / _GIBIBYTE:.3g} GiB of memory")
    if how == "answer":
        raise FileTooLarge(name=name, reason="there is more in it than one file may hold")
    if how:
        raise FileBroke(name=name, reason=how[:_WORDS_MAX])
    try:
        read = _READS.decode(heard.body)
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise FileBroke(name=name, reason="what it said made no sense") from None
    if read.problem is not None:
        known = _PROBLEMS.get(read.problem.code, FileUnread)
        raise cast("FreeholdError", known(name=name, reason=read.problem.reason[:_WORDS_MAX]))
    if read.parsed is None or not _is_sound(read.parsed, 0):
        raise FileBroke(name=name, reason="what it said made no sense")
    return read.parsed


def _is_sound(parsed: Parsed, depth: int) -> bool:
    """Whether every block is in the text, in order, and members are not endlessly deep."""
    at = 0
    for block in parsed.blocks:
        if not at <= block.start <= block.end <= len(parsed.text) or block.page < 0:
            return False
        at = block.end
    words = (parsed.media_type, parsed.parser, parsed.title, parsed.author, parsed.written, parsed.language)
    if depth > _DEPTH_MAX or any(len(each) > _WORDS_MAX for each in words) or parsed.pages < 0:
        return False
    return all(_is_sound(member, depth + 1) for _, member in parsed.members)
