"""Files of folders, in order, with what is left out and why."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

IGNORED = (
    "node_modules",
    "__pycache__",
    "~$*",
    "*.tmp",
    "*.part",
    "*.crdownload",
    "*.swp",
    "*~",
    "thumbs.db",
    "desktop.ini",
)
"""Names that nobody wants found, in lower case: caches, locks, downloads that are not over."""

DEPTH_MAX = 64
"""Folders inside each other; deeper ones are left out, and said so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """What of a folder is taken.

    Attributes:
        ignore: Patterns of names, and of paths below the folder, that are left out.
        kinds: Endings that are taken, in lower case; empty for all.
    """

    ignore: tuple[str, ...] = ()
    kinds: frozenset[str] = frozenset()

    def why_not(self, inside: Path, *, is_folder: bool) -> str:
        """Why something is left out, going by its path below the folder; empty where it is taken."""
        name = inside.name
        if name.startswith("."):
            return "hidden"
        lowered, whole = name.lower(), inside.as_posix().lower()
        for pattern in (*IGNORED, *(each.lower() for each in self.ignore)):
            if fnmatchcase(lowered, pattern) or fnmatchcase(whole, pattern):
                return f"ignored: {pattern}"
        if self.kinds and not is_folder and inside.suffix.lower().removeprefix(".") not in self.kinds:
            return "not one of the kinds that are taken"
        return ""


EVERYTHING = Take()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Something that a walk came by.

    Attributes:
        path: Absolute.
        root: What was walked: the folder, or the file itself.
        size_bytes: Of a file that is to be taken.
        left_out: Why it is left out; empty for a file that is to be taken.
        is_failure: Whether it would have been taken, and cannot be read.
    """

    path: Path
    root: Path
    size_bytes: int = 0
    left_out: str = ""
    is_failure: bool = False


def walk(root: Path, take: Take = EVERYTHING) -> Iterator[Seen]:
    """Everything below a folder that is a file, and what was left out on the way; a file is itself.

    Links are never followed: what one leads to inside the folder is met where it is, and what is outside was not asked
    for. Of what is left out whole only the top is told.

    Args:
        root: Absolute; it may itself be a link, which whoever names it means.
        take: What is taken.
    """
    try:
        found = root.stat()
    except OSError as error:
        yield _failed(root, root, error)
        return
    if stat.S_ISDIR(found.st_mode):
        yield from _folder(root, root, take, 0)
    elif stat.S_ISREG(found.st_mode):
        yield Seen(path=root, root=root, size_bytes=found.st_size)
    else:
        yield Seen(path=root, root=root, left_out=_kind(found.st_mode))


def has_files(root: Path) -> bool:
    """Whether a folder is there and anything at all is in it; a place where something was mounted has nothing."""
    try:
        with os.scandir(root) as entries:
            return any(True for _ in entries)
    except OSError:
        return False


def _folder(folder: Path, root: Path, take: Take, depth: int) -> Iterator[Seen]:
    if depth > DEPTH_MAX:
        yield Seen(path=folder, root=root, left_out=f"more than {DEPTH_MAX} folders deep")
        return
    try:
        with os.scandir(folder) as entries:
            names = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        yield _failed(folder, root, error)
        return
    for entry in names:
        path = Path(entry.path)
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError as error:
            yield _failed(path, root, error)
            continue
        yield from _entry(path, root, found, take, depth)


def _entry(path: Path, root: Path, found: os.stat_result, take: Take, depth: int) -> Iterator[Seen]:
    is_folder = stat.S_ISDIR(found.st_mode)
    why = take.why_not(path.relative_to(root), is_folder=is_folder)
    if not why and not is_folder and not stat.S_ISREG(found.st_mode):
        why = _kind(found.st_mode)
    if why:
        yield Seen(path=path, root=root, left_out=why)
    elif is_folder:
        yield from _folder(path, root, take, depth + 1)
    else:
        yield Seen(path=path, root=root, size_bytes=found.st_size)


def _kind(mode: int) -> str:
    return "a link, which is not followed" if stat.S_ISLNK(mode) else "no file: a device, pipe or socket"


def _failed(path: Path, root: Path, error: OSError) -> Seen:
    return Seen(path=path, root=root, left_out=error.strerror or type(error).__name__, is_failure=True)
