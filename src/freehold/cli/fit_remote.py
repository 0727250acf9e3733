"""The beginnings of a hub's files, each part of them read once."""

from __future__ import annotations

from typing import Final

from freehold.domain.errors.planner import NotSizable
from freehold.net.hub_ranges import HubRanges, RemoteFile

_READ_MAX: Final = 1 << 27
"""Of all files together; the headers of the largest models published have some MB each."""


class HubBeginnings:
    """Implements ``serving.looked_at.Beginnings`` for one revision of a repository.

    All files are of the commit that the first one was found at, so that a branch may move on meanwhile.

    Args:
        ranges: The hub.
        repo: ``OWNER/NAME``.
        revision: Branch, tag or commit.

    Attributes:
        read_bytes: How much was fetched.
    """

    def __init__(self, ranges: HubRanges, *, repo: str, revision: str) -> None:
        self._ranges = ranges
        self._repo = repo
        self._revision = revision
        self._files: dict[str, RemoteFile] = {}
        self._have: dict[str, bytes] = {}
        self.read_bytes = 0

    async def size_bytes(self, filename: str) -> int:
        """See ``Beginnings``."""
        return (await self._file(filename)).size_bytes

    async def first(self, filename: str, count: int) -> bytes:
        """See ``Beginnings``; what was read before is not read again."""
        file = await self._file(filename)
        have = self._have.get(filename, b"")
        if len(have) < count:
            if self.read_bytes + count - len(have) > _READ_MAX:
                reason = f"the beginnings of the files have more than {_READ_MAX >> 20} MiB together"
                raise NotSizable(path=filename, reason=reason)
            have += await self._ranges.read(file, start=len(have), count=count - len(have))
            self.read_bytes += count - len(self._have.get(filename, b""))
            self._have[filename] = have
        return have[:count]

    async def _file(self, filename: str) -> RemoteFile:
        if filename not in self._files:
            file = await self._ranges.open(repo=self._repo, filename=filename, revision=self._revision)
            self._revision = file.revision
            self._files[filename] = file
        return self._files[filename]
