"""Which content a name leads to: one small file for each name, so that a switch is one rename.

Whoever reads sees the state before or after a change, never between. Who changes holds ``changing``: two commands at
once come one after the other.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from freehold.domain.errors.model_versions import ModelsUnreadable
from freehold.serving.digests import sync_folder
from freehold.storage.disk import write_atomically

DIGEST: Final = re.compile(r"[0-9a-f]{64}")
EARLIER_MAX: Final = 8
"""Earlier versions that are remembered; only the newest of them is kept from the garbage collection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameState:
    """Where a name leads.

    Attributes:
        name: The name.
        sha256: Digest of the content that serves.
        earlier: Those that served before, the last one first.
        waiting: Digest of a version that is here and does not serve yet; empty for none.
        pinned: Whether nothing may move it.
        changed_unix_ms: When it last came to lead elsewhere.
    """

    name: str
    sha256: str
    earlier: tuple[str, ...] = ()
    waiting: str = ""
    pinned: bool = False
    changed_unix_ms: int = 0
    version: int = 1

    @property
    def held(self) -> frozenset[str]:
        """Digests that the name needs: what serves, what waits, and what one command goes back to."""
        return frozenset(filter(None, (self.sha256, self.waiting, *self.earlier[:1])))

    def led_to(self, sha256: str, *, unix_ms: int) -> NameState:
        """The state once ``sha256`` serves; what served before is the one to go back to."""
        if sha256 == self.sha256:
            return replace(self, waiting="" if self.waiting == sha256 else self.waiting)
        earlier = (self.sha256, *(each for each in self.earlier if each not in {sha256, self.sha256}))
        waiting = "" if self.waiting == sha256 else self.waiting
        return replace(self, sha256=sha256, earlier=earlier[:EARLIER_MAX], waiting=waiting, changed_unix_ms=unix_ms)

    def gone_back(self, *, unix_ms: int) -> NameState:
        """The state once the version before serves again; the one that served waits, so that it can be switched to again.

        Raises:
            LookupError: There is none.
        """
        if not self.earlier:
            raise LookupError(self.name)
        return replace(
            self,
            sha256=self.earlier[0],
            earlier=self.earlier[1:],
            waiting=self.sha256,
            changed_unix_ms=unix_ms,
        )


class NameBook:
    """The states of all names.

    Args:
        folder: Created when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where they are; its modification time tells that one has changed."""
        return self._folder

    def read(self, name: str) -> NameState | None:
        """The state of a name; ``None`` where it has none, or what is there cannot be read."""
        found = self._state(self._path(name))
        return found if found is not None and found.name == name else None

    def all(self) -> list[NameState]:
        """All states that can be read."""
        return [found for path in sorted(self._folder.glob("*.json")) if (found := self._state(path)) is not None]

    def knows(self, name: str) -> bool:
        """Whether there is a file for a name, readable or not."""
        return self._path(name).exists()

    def damaged(self) -> tuple[Path, ...]:
        """Files that cannot be read; their names lead nowhere."""
        return tuple(path for path in sorted(self._folder.glob("*.json")) if self._state(path) is None)

    def write(self, state: NameState) -> None:
        """Put a state in force, by one durable rename."""
        write_atomically(self._path(state.name), msgspec.json.format(msgspec.json.encode(state)))

    def remove(self, name: str) -> None:
        """Forget a name."""
        path = self._path(name)
        if path.exists():
            path.unlink(missing_ok=True)
            sync_folder(self._folder)

    @contextmanager
    def changing(self) -> Generator[None]:
        """Keep other processes from changing anything meanwhile; waits for them. Not to be nested.

        Raises:
            ModelsUnreadable: This user may not change the folder.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._folder / ".lock", flags, 0o600)
        except OSError as error:
            raise ModelsUnreadable(folder=str(self._folder.parent), reason=error.strerror or str(error)) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _path(self, name: str) -> Path:
        # Names hold slashes and colons: a digest of one is a file name everywhere.
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:40]}.json"

    def _state(self, path: Path) -> NameState | None:
        try:
            state = msgspec.json.decode(path.read_bytes(), type=NameState)
        except (OSError, msgspec.MsgspecError):
            return None
        digests = (state.sha256, *state.earlier, *filter(None, (state.waiting,)))
        is_right = all(map(DIGEST.fullmatch, digests)) and path == self._path(state.name)
        return state if is_right else None
