"""What the system tells of folders, through ``watchfiles``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from freehold.domain.errors.vault import VaultNeedsExtra

_TELL_EVERY_MS = 500
_GATHER_MS = 50
_LOOK_AGAIN_S = 30.0


class SystemEvents:
    """``watching.FolderEvents`` of this machine."""

    async def changes(self, folders: Sequence[Path]) -> AsyncIterator[frozenset[Path] | None]:
        """See ``FolderEvents``; folders that are not there yet are watched from when they are."""
        try:
            from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType] - lazy: only where something is watched
        except ImportError as error:
            raise VaultNeedsExtra(missing="watchfiles", extra="vault") from error
        is_unseen = True
        while True:
            there = [folder for folder in folders if await asyncio.to_thread(folder.is_dir)]
            missing = len(there) < len(folders)
            if not there:
                yield None if is_unseen else frozenset()
                is_unseen = False
                await asyncio.sleep(_LOOK_AGAIN_S)
                continue
            is_unseen, is_begun = True, False
            try:
                async for changes in awatch(
                    *there,
                    watch_filter=None,
                    debounce=_TELL_EVERY_MS,
                    step=_GATHER_MS,
                    rust_timeout=_TELL_EVERY_MS,
                    yield_on_timeout=True,
                    ignore_permission_denied=True,
                ):
                    # Nobody was told of what happened before the system watched.
                    yield frozenset(Path(path) for _, path in changes) if is_begun else None
                    is_begun = True
                    if any(not folder.is_dir() for folder in there) or (
                        missing and any(folder.is_dir() for folder in folders if folder not in there)
                    ):
                        break
                else:
                    return  # it was told to stop
            except (OSError, RuntimeError):  # a folder went away, or the system watches no more: look at everything
                yield None
                await asyncio.sleep(_LOOK_AGAIN_S)
