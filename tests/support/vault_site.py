"""A watched folder of a test, and the vault that it is kept in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from freehold.app.vault_house import watcher_of
from freehold.app.vaults import Vaults
from freehold.config.compile_vault import FolderPlan, VaultPlan
from freehold.domain.vault import Document, Reader
from freehold.storage.database import Database
from freehold.vault.ingest_ports import FileDone
from freehold.vault.watching import SETTLES_S, Watcher
from tests.support.vault_parts import FakeParts, FixedClock, vaults_of

EVERYBODY = Reader(tenant="default")


@dataclass
class Told:
    """Events of a script: each step does something, and tells some paths or (``None``) that more happened, as is said first."""

    steps: list[Callable[[], frozenset[Path] | None]] = field(default_factory=list)

    async def changes(self, folders: Sequence[Path]) -> AsyncIterator[frozenset[Path] | None]:
        del folders
        yield None
        for step in self.steps:
            yield step()


@dataclass
class Site:
    """A watched folder of a test."""

    vaults: Vaults
    parts: FakeParts
    clock: FixedClock
    folder: Path
    done: list[FileDone] = field(default_factory=list)
    told: Told = field(default_factory=Told)

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    async def watcher(self, **plan: object) -> Watcher:
        folder = FolderPlan(name="files", path=str(self.folder), tenant="default", **plan)  # pyright: ignore[reportArgumentType]
        return await watcher_of(
            self.vaults,
            VaultPlan(name="archive", folders=(folder,)),
            clock=self.clock,
            told=self.done.append,
            events=self.told,
        )

    async def titles(self) -> list[str]:
        return sorted(each.title for each in await self.documents())

    async def documents(self) -> list[Document]:
        return list(await self.vaults.documents("archive", reader=EVERYBODY))

    async def held(self) -> list[Document]:
        """Documents whoever may read them."""
        return await self.vaults.held("archive", tenant="default")

    def outcomes(self) -> list[str]:
        told = [f"{each.outcome} {Path(each.source).name}" for each in self.done]
        self.done.clear()
        return told

    def then(self, happens: Callable[[], frozenset[Path] | None]) -> None:
        self.told.steps.append(happens)

    def rests(self, seconds: float = SETTLES_S) -> None:
        """Time passes in which nothing happens."""

        def step() -> frozenset[Path]:
            self.clock.now_s += seconds
            return frozenset()

        self.then(step)


@pytest.fixture
def settings() -> str:
    """The configuration's text."""
    return ""


@pytest.fixture
def site(tmp_path: Path, settings: str) -> Generator[Site]:
    """A folder with nothing in it, and a vault."""
    database = Database.open(tmp_path / "freehold.db")
    parts, clock, folder = FakeParts(), FixedClock(), tmp_path / "files"
    folder.mkdir()
    yield Site(vaults_of(tmp_path, database, parts, text=settings, clock=clock), parts, clock, folder)
    database.close()


def run(site: Site, work: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        try:
            await work()
        finally:
            await site.vaults.close()

    asyncio.run(whole())
