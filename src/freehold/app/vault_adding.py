"""Adding files and folders to a vault: what is found, what became of each file, and how far that is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from freehold.app.vault_folders import terms_at
from freehold.app.vaults import Vaults
from freehold.domain.errors.vault import VaultPathMissing
from freehold.vault.ingest_ports import FileDone, Outcome, Place, Terms
from freehold.vault.places import source_of
from freehold.vault.walk import EVERYTHING, Seen, Take, walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Far:
    """How far adding is.

    Attributes:
        files: Files that there are.
        files_done: Files that were looked at.
        size_bytes: Bytes of all files.
        bytes_done: Bytes of those that were looked at.
        pages: That were read.
        done: What became of the file that was looked at last; ``None`` before the first one.
    """

    files: int
    files_done: int = 0
    size_bytes: int = 0
    bytes_done: int = 0
    pages: int = 0
    done: FileDone | None = None


async def add_paths(
    vaults: Vaults, vault: str, paths: Sequence[Path], terms: Terms, *, take: Take = EVERYTHING
) -> AsyncIterator[Far]:
    """Take files and all files of folders in, one after the other; what is yielded as done is durable.

    Where a path is in a folder that the configuration gives the vault, that folder's label and readers hold too. What
    somebody removed comes back where its file itself is named, and not with a folder.

    Args:
        vaults: The vaults.
        vault: Which.
        paths: Of files and folders.
        terms: On what terms.
        take: What of folders is taken.

    Raises:
        LabelUnreadable: The label that is said cannot be read.
        VaultPathMissing: One of them is not there; nothing was taken in.
        VaultError: There is no such vault for this tenant, or it takes nothing now.
    """
    opened = await vaults.open(vault, terms.tenant, label=terms.label)
    seen = await asyncio.to_thread(_found, paths, take)
    far = Far(
        files=sum(1 for each in seen if not each.left_out),
        size_bytes=sum(each.size_bytes for each in seen if not each.left_out),
    )
    yield far
    for each in seen:
        if each.left_out:
            outcome = Outcome.FAILED if each.is_failure else Outcome.LEFT_OUT
            yield replace(far, done=FileDone(source=str(each.path), outcome=outcome, reason=each.left_out))
            continue
        place = Place(path=each.path, source=source_of(each.path), name=each.path.name, inside=_inside(each))
        meant = replace(terms, brings_back=each.path == each.root)
        at = terms_at(each.path, opened.plan.folders, meant, joined=vaults.joined)
        done = await opened.ingest.take(place, at)
        far = replace(
            far,
            files_done=far.files_done + 1,
            bytes_done=far.bytes_done + each.size_bytes,
            pages=far.pages + done.pages,
        )
        yield replace(far, done=done)


def _found(paths: Sequence[Path], take: Take) -> list[Seen]:
    """Everything at some paths, each file once. Blocks."""
    found: dict[Path, Seen] = {}
    for path in paths:
        try:
            root = path.expanduser().resolve(strict=True)
        except OSError as error:
            raise VaultPathMissing(path=str(path), reason=error.strerror or type(error).__name__) from error
        found |= {each.path: each for each in walk(root, take)}
    return list(found.values())


def _inside(seen: Seen) -> str:
    return seen.path.name if seen.path == seen.root else seen.path.relative_to(seen.root.parent).as_posix()
