"""Watching folders: what changed is taken in once it is at rest, what is gone is erased, and what only seems so is not.

A folder that is not there, or has nothing in it, was unmounted more often than emptied: its documents stay, and whoever
looks is told (``held``). So do those of a folder inside it that stands empty and had ``HELD_FROM`` documents or more. Only a
person erases them (``freehold vault remove --gone``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from freehold.domain.errors.base import FreeholdError
from freehold.domain.ports import Clock
from freehold.domain.vault import Document
from freehold.vault.ingest import Ingest
from freehold.vault.ingest_ports import FileDone, HeldStore, Outcome, Place, Terms
from freehold.vault.places import is_gone, is_inside, path_of, source_of
from freehold.vault.walk import Seen, Take, has_files, walk

log = logging.getLogger("freehold.vault")

SETTLES_S = 1.0
"""How long nothing must have happened to a file before it is looked at."""

HELD_FROM = 10
"""Documents of a folder that stands empty all at once, from which on that is not believed."""

RESCAN_EVERY_S = 3600.0
"""How often a folder is looked through whole: some file systems tell nothing of what happens on them."""

_PAGE = 1_000


class FolderEvents(Protocol):
    """Tells what happens in folders."""

    def changes(self, folders: Sequence[Path]) -> AsyncIterator[frozenset[Path] | None]:
        """Paths to which something happened since the last time; empty now and then, so that time is noticed.

        ``None`` says that more happened than was told: everything is to be looked at. It comes first, once whatever
        happens from then on is told.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A folder.

    Attributes:
        path: Where it is.
        tenant: Whose its documents are.
        take: What of it is taken.
        terms: On what terms the file at a path is taken in.
    """

    path: Path
    tenant: str
    take: Take
    terms: Callable[[Path], Terms]


class Watcher:
    """Keeps the documents of folders like their files.

    Args:
        folders: Which; none inside another of the same tenant.
        store: Where documents are.
        ingest: Takes files in.
        events: Tells what happens.
        clock: Time.
        told: Called with what became of each file; what did not change is not told.

    Attributes:
        held: Folders whose documents seem gone all at once, and stay until somebody says otherwise.
    """

    def __init__(
        self,
        folders: Sequence[Watched],
        *,
        store: HeldStore,
        ingest: Ingest,
        events: FolderEvents,
        clock: Clock,
        told: Callable[[FileDone], None],
    ) -> None:
        self._folders = tuple(folders)
        self._store = store
        self._ingest = ingest
        self._events = events
        self._clock = clock
        self._told = told
        self._waiting: dict[Path, float] = {}
        self._copies: dict[str, dict[Path, Place]] = {}
        self.held: set[Path] = set()

    async def run(self) -> None:
        """Look at everything, and at whatever happens from then on; until cancelled, or nothing is told any more."""
        looked_s = 0.0
        async for paths in self._events.changes([each.path for each in self._folders]):
            now_s = self._clock.monotonic_s()
            if paths is None or now_s - looked_s >= RESCAN_EVERY_S:
                self._waiting.clear()
                looked_s = await self.rescan()
                continue
            self._waiting.update(dict.fromkeys(paths, now_s))
            await self._look(self._at_rest(now_s))

    async def rescan(self) -> float:
        """Look at everything; the moment at which that began."""
        began_s = self._clock.monotonic_s()
        for folder in self._folders:
            await self._rescan(folder)
        return began_s

    def _at_rest(self, now_s: float) -> list[Path]:
        paths = sorted(path for path, at_s in self._waiting.items() if now_s - at_s >= SETTLES_S)
        for path in paths:
            del self._waiting[path]
        return paths

    async def _look(self, paths: Sequence[Path]) -> None:
        """What is there first, what is gone second: a file that was moved is found at its new place, and stays one."""
        gone: dict[Watched, list[Path]] = {}
        for path in paths:
            folder = self._folder_of(path)
            if folder is None:
                continue
            kind = await asyncio.to_thread(_what_is, path)
            if kind == "gone":
                gone.setdefault(folder, []).append(path)
            else:
                await self._take_all(folder, path)
        for folder, missing in gone.items():
            documents = [each for path in missing for each in await self._documents(folder, path)]
            await self._erase(folder, documents)

    async def _rescan(self, folder: Watched) -> None:
        if not await asyncio.to_thread(has_files, folder.path):
            documents = await self._documents(folder, folder.path)
            self._hold(folder.path, bool(documents))
            return
        self.held.discard(folder.path)
        await self._take_all(folder, folder.path)
        await self._erase(folder, await self._documents(folder, folder.path))

    async def _take_all(self, folder: Watched, path: Path) -> None:
        """Take in what is at a path: a file, or all of a folder."""
        for seen in await asyncio.to_thread(_wanted, folder, path):
            if not seen.left_out:
                place = Place(
                    path=seen.path,
                    source=source_of(seen.path),
                    name=seen.path.name,
                    inside=seen.path.relative_to(folder.path).as_posix(),
                )
                await self._take(place, folder.terms(seen.path))

    async def _take(self, place: Place, terms: Terms) -> None:
        try:
            done = await self._ingest.take(place, terms)
        except FreeholdError as error:  # of the store or the book: the next look takes it up
            log.warning("a file of a watched folder could not be taken in: %s", error.message)
            self._waiting[place.path] = self._clock.monotonic_s()
            return
        if not done.settled:
            self._waiting[place.path] = self._clock.monotonic_s()
        if done.outcome not in {Outcome.SAME, Outcome.LEFT_OUT}:
            self._told(done)
        elif done.documents and done.documents[0].source != place.source:
            self._copies.setdefault(done.documents[0].source, {})[place.path] = place

    async def _erase(self, folder: Watched, documents: Iterable[Document]) -> None:
        """Erase those of ``documents`` whose files are gone, and are believed to be."""
        wholes = [each for each in documents if not is_inside(each.source)]
        missing = [each for each in wholes if await asyncio.to_thread(is_gone, each.source)]
        if not missing:
            return
        if not await asyncio.to_thread(has_files, folder.path):
            self._hold(folder.path, True)
            return
        by_folder: dict[Path, list[Document]] = {}
        for each in missing:
            path = path_of(each.source)
            if path is not None:
                by_folder.setdefault(path.parent, []).append(each)
        for parent, there in by_folder.items():
            if len(there) >= HELD_FROM and await asyncio.to_thread(_stands_empty, parent):
                self._hold(parent, True)
                continue
            self.held.discard(parent)
            for each in there:
                for copy in self._copies.pop(each.source, {}).values():  # which the document is moved to
                    if await asyncio.to_thread(copy.path.is_file):
                        await self._take(copy, folder.terms(copy.path))
                done = await self._ingest.gone(each.source, folder.terms(parent))
                if done is not None:
                    self._told(done)

    def _hold(self, path: Path, is_held: bool) -> None:  # noqa: FBT001 - said once, here
        if is_held and path not in self.held:
            self.held.add(path)
            log.warning(
                "%s has no files in it all at once; its documents stay. If they are to go: freehold vault remove --gone",
                path,
            )
        elif not is_held:
            self.held.discard(path)

    async def _documents(self, folder: Watched, path: Path) -> list[Document]:
        """Documents of a file, and of everything below a folder."""
        source = source_of(path)
        found = list(await self._store.by_source(source, tenant=folder.tenant))
        after = ""
        while page := await self._store.held(tenant=folder.tenant, under=source + "/", after=after, limit=_PAGE):
            found += page
            after = page[-1].id
        return found

    def _folder_of(self, path: Path) -> Watched | None:
        return next((each for each in self._folders if path.is_relative_to(each.path)), None)


def _wanted(folder: Watched, path: Path) -> list[Seen]:
    """Files at a path of a folder that are to be taken. Blocks."""
    inside = path.relative_to(folder.path)
    parts = [Path(*inside.parts[: place + 1]) for place in range(len(inside.parts))]
    if any(folder.take.why_not(each, is_folder=each != inside or path.is_dir()) for each in parts):
        return []
    if path.is_symlink() and path != folder.path:
        return []
    return list(walk(path, _below(folder.take, inside)))


def _below(take: Take, inside: Path) -> Take:
    """What is taken of a folder inside the watched one: patterns of whole paths are those of the watched one."""
    if inside == Path():
        return take
    head = inside.as_posix() + "/"
    return Take(ignore=tuple(each.removeprefix(head) for each in take.ignore), kinds=take.kinds)


def _what_is(path: Path) -> str:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return "gone"
    except OSError:
        return "there"
    return "there"


def _stands_empty(path: Path) -> bool:
    return path.is_dir() and not has_files(path)


def outermost(paths: Collection[Path]) -> list[Path]:
    """Those of some folders that are in none of the others."""
    return [path for path in sorted(paths) if not any(path != other and path.is_relative_to(other) for other in paths)]
