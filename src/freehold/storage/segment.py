"""Append-only files in a row: what is written at once, before anything slower happens to it.

Segments are numbered; a new one is begun when one is full, or when one met an error and is never written again. What
lies in them are frames, whose form is their owner's.
"""

from __future__ import annotations

import os
from pathlib import Path

from freehold.storage import disk


class SegmentFile:
    """A segment that is being written."""

    def __init__(self, folder: Path, number: int, suffix: str) -> None:
        """Make the file; its name is on the medium at return.

        Raises:
            OSError: It exists, or cannot be made.
        """
        self.path = folder / f"{number:010d}{suffix}"
        self.number = number
        self.size_bytes = 0
        self.synced_bytes = 0
        self._descriptor = disk.create_appendable(self.path)

    def write(self, frame: bytes) -> None:
        """Append one frame; at return the kernel has it.

        Raises:
            OSError: It has a part of it at most; the segment must be closed and not written again.
        """
        disk.append(self._descriptor, frame)
        self.size_bytes += len(frame)

    def sync(self, written_bytes: int) -> None:
        """Bring the first ``written_bytes``, and whatever else was appended, to the medium.

        Raises:
            OSError: They may not be there; the segment must be closed and not written again.
        """
        disk.sync(self._descriptor)
        self.synced_bytes = written_bytes

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def segment_files(folder: Path, suffix: str) -> list[tuple[int, Path]]:
    """The segments of a folder by number, oldest first."""
    return sorted((int(path.stem), path) for path in folder.glob(f"*{suffix}") if path.stem.isdigit())
