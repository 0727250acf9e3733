"""The files that an engine was built from: held against what was checked, before each of its starts and while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

from freehold.domain.errors.engine import ModelFileChanged, ModelUnvouched
from freehold.domain.errors.model import ModelError
from freehold.serving.digests import DigestCache, file_state


def _anybody() -> None:
    """Nobody has to vouch for them."""


class CheckedFiles:
    """Implements ``engines.process.files.ModelFiles`` by digests, each computed once for every state of a file.

    A child opens its files a moment after they were checked, and maps them for as long as it lives. So their states
    are kept, too: whoever started it asks afterwards whether they are the ``same``, and before each use whether one
    was ``rewritten`` in its place. A rename over it harms nobody who has it open.

    Args:
        files: Paths with the digests that were right when the engine was built.
        digests: Of files.
        deployment: Whose they are, for messages.
        vouched: Raises ``ModelError`` where nobody whose word counts by now vouches for one of them.
    """

    def __init__(
        self,
        files: Mapping[Path, str],
        *,
        digests: DigestCache,
        deployment: str,
        vouched: Callable[[], None] = _anybody,
    ) -> None:
        self._files = dict(files)
        self._digests = digests
        self._deployment = deployment
        self._vouched = vouched
        self._seen: dict[Path, tuple[int, ...]] = {}

    def check(self) -> None:
        """See ``ModelFiles``."""
        seen: dict[Path, tuple[int, ...]] = {}
        for path, expected in self._files.items():
            try:
                seen[path] = file_state(path)
                found = self._digests.digest(path)
            except OSError as error:
                raise self._changed(path, f"it cannot be read ({error.strerror})") from error
            if found != expected:
                raise self._changed(path, f"its digest is {found}, expected {expected}")
        if reason := self.unvouched():
            raise ModelUnvouched(source=self._deployment, deployment=self._deployment, reason=reason)
        self._seen = seen

    def unvouched(self) -> str:
        """See ``ModelFiles``."""
        try:
            self._vouched()
        except ModelError as error:
            return error.message.rstrip(".")
        return ""

    def same(self) -> bool:
        """See ``ModelFiles``."""
        return all(_state(path) == state for path, state in self._seen.items())

    def rewritten(self) -> bool:
        """See ``ModelFiles``. Permissions and links may change: they are not its content."""
        for path, (size, written_ns, _, *place) in self._seen.items():
            now = _state(path)
            if now is not None and list(now[3:]) == place and now[:2] != (size, written_ns):
                return True
        return False

    def exchanged(self, *, outside: Path) -> tuple[Path, ...]:
        """See ``ModelFiles``."""
        found: list[Path] = []
        for path, expected in self._files.items():
            with contextlib.suppress(OSError):
                if not path.is_relative_to(outside) and self._digests.digest(path) != expected:
                    found.append(path)
        return tuple(found)

    def _changed(self, path: Path, reason: str) -> ModelFileChanged:
        return ModelFileChanged(source=self._deployment, deployment=self._deployment, path=str(path), reason=reason)


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        return file_state(path)
    except OSError:
        return None
