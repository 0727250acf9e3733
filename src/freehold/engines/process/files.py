"""The files that a child is started with, as the supervisor needs them: checked before every start, and still the same."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class ModelFiles(Protocol):
    """Files whose contents were checked when an engine was built from them."""

    def check(self) -> None:
        """Hold them against what was checked; reads whole only what changed since, and may take seconds then.

        Raises:
            ModelFileChanged: One is another file, or cannot be read.
            ModelUnvouched: See ``unvouched``.
        """
        ...

    def unvouched(self) -> str:
        """Why nobody whose signature counts by now vouches for one of them; empty where somebody does, or nobody has to."""
        ...

    def same(self) -> bool:
        """Whether nothing happened to them since the last ``check``; costs a look at each, and reads nothing."""
        ...

    def rewritten(self) -> bool:
        """Whether one was written over in its place since the last ``check``: who has it mapped has a mixture.

        One that was renamed over, or removed, is not: who has it open keeps the old one. Costs as ``same``.
        """
        ...

    def exchanged(self, *, outside: Path) -> tuple[Path, ...]:
        """Files outside of a folder that have other contents now; not those that are gone. May read whole files."""
        ...
