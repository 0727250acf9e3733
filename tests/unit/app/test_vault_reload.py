"""Vaults follow the configuration while the gateway runs: what is new is opened, what is gone is closed after its searches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from freehold.app.kept_key import kept_key
from freehold.app.vault_house import Known, VaultHouse, vaults_in
from freehold.app.vault_opening import VAULT_KEYS_FOLDER, VAULTS_FOLDER
from freehold.app.vault_parts import Models
from freehold.domain.errors.model_versions import SignatureMissing
from freehold.domain.errors.vault import VaultOfAnotherModel, VaultUnknown
from freehold.domain.vault import Reader, SearchSettings, VaultQuery
from freehold.serving.registry import ModelRegistry
from freehold.storage.database import Database
from freehold.vault.ingest_ports import Place, Terms
from freehold.vault.places import source_of
from freehold.vault.settings_file import save_settings, settings_path
from freehold.vault.store import open_store
from freehold.vault.store_model import NO_DIMENSIONS, NO_MODEL
from tests.support.vault_parts import FakeParts, FixedClock, HashEmbedder, WordsSearch, compiled_of

READER = Reader(tenant="default", names=frozenset({"user:ana"}))


class OtherEmbedder(HashEmbedder):
    """Another model with as many dimensions."""

    model = "other"


class Parts(FakeParts):
    """Parts whose model is the one that is set, where it is here."""

    def __init__(self) -> None:
        super().__init__(embeds=False)
        self.here: dict[str, HashEmbedder] = {}
        self.gate: asyncio.Event | None = None
        self.searching = asyncio.Event()
        self.fails: list[VaultOfAnotherModel] = []

    def models(self, *, embedder: str, reranker: str, language: str) -> Models:
        del reranker, language
        name = next(iter(self.here), "") if embedder == "auto" else embedder
        return Models(embedder=self.here.get(name))

    def search(self, store: Any, models: Models, settings: SearchSettings) -> Any:
        del models, settings
        inner, parts = WordsSearch(store), self

        class Waits:
            async def search(self, query: VaultQuery) -> Any:
                parts.searching.set()
                if parts.gate is not None:
                    await parts.gate.wait()
                if parts.fails:
                    raise parts.fails.pop()
                return await inner.search(query)

        return Waits()


@dataclass
class House:
    """The vaults of a gateway of a test."""

    house: VaultHouse
    parts: Parts
    folder: Path

    def know(self, text: str) -> None:
        self.house.know(compiled_of(self.folder, text))

    async def found(self, text: str, vault: str = "archive") -> list[str]:
        found = await self.house.desk.search(VaultQuery(vault=vault, text=text, reader=READER))
        return [each.text for each in found.passages]

    async def take(self, name: str, text: str, vault: str = "archive") -> None:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        place = Place(path=path, source=source_of(path), name=name)
        await self.house.desk.take(vault, place, Terms(tenant="default", by="a test"))

    async def filled(self) -> int:
        return sum([1 async for _ in self.house.desk.fill("archive")])


@pytest.fixture
def house(tmp_path: Path) -> Generator[House]:
    database, parts = Database.open(tmp_path / "freehold.db"), Parts()
    stores = cast("Any", SimpleNamespace(database=database, clock=FixedClock()))
    compiled = compiled_of(tmp_path)
    runtime = cast("Any", lambda: SimpleNamespace(flow=None, tree=compiled.tree))
    yield House(VaultHouse(stores, compiled, runtime, keeps=True, parts=lambda: parts), parts, tmp_path)
    database.close()


def run(house: House, work: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        try:
            await work()
        finally:
            await house.house.close()

    asyncio.run(whole())


def test_a_vault_that_is_new_is_there_and_one_that_is_gone_is_not(house: House) -> None:
    async def work() -> None:
        with pytest.raises(VaultUnknown):
            await house.found("heron", "law")
        house.know("[vaults.law]\n")
        await house.take("a.txt", "heron", "law")
        assert await house.found("heron", "law") == ["heron"]
        house.know("")
        with pytest.raises(VaultUnknown):
            await house.found("heron", "law")
        house.know("[vaults.law]\n")
        assert await house.found("heron", "law") == ["heron"]  # its file stayed

    run(house, work)


def test_another_process_may_make_the_same_vault_at_the_same_moment(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, path, is_there = house.folder / VAULT_KEYS_FOLDER / "law", house.folder / VAULTS_FOLDER / "law.db", Path.exists

    async def other() -> None:
        path.parent.mkdir()
        await (await open_store(path, key=kept_key(key), model=NO_MODEL, dimensions=NO_DIMENSIONS)).close()

    def made_behind_the_first_look(asked: Path) -> bool:
        found = is_there(asked)
        if asked in {key, path}:
            monkeypatch.undo()
            asyncio.run(other())
        return found

    async def work() -> None:
        house.know("[vaults.law]\n")
        monkeypatch.setattr(Path, "exists", made_behind_the_first_look)
        await house.take("a.txt", "heron", "law")
        assert await house.found("heron", "law") == ["heron"]

    run(house, work)


@pytest.mark.parametrize("then", ["", "[vaults.law]\nocr = false\n"])
def test_a_search_that_runs_ends_as_it_began(house: House, then: str) -> None:
    async def work() -> None:
        house.know("[vaults.law]\n")
        await house.take("a.txt", "heron", "law")
        house.parts.gate = asyncio.Event()
        running = asyncio.ensure_future(house.found("heron", "law"))
        await house.parts.searching.wait()
        house.know(then)
        await asyncio.sleep(0)
        house.parts.gate.set()
        assert await running == ["heron"]

    run(house, work)


def test_one_that_is_being_opened_while_its_plan_changes_does_not_stay_open_by_the_one_before(house: House) -> None:
    async def work() -> None:
        house.know("[vaults.law]\n")
        await house.take("a.txt", "heron", "law")
        shelf = house.house.desk._shelf
        shelf.put_away("law")
        opens, open_it = asyncio.Event(), shelf._opening

        async def slow(plan: Any) -> Any:
            await opens.wait()
            return await open_it(plan)

        shelf._opening = slow
        running = asyncio.ensure_future(house.found("heron", "law"))
        while not shelf._locks["law"].locked():
            await asyncio.sleep(0)
        house.know("[vaults.law]\nocr = false\n")
        opens.set()
        assert await running == ["heron"]
        assert shelf.get("law") is None

    run(house, work)


def test_what_is_not_changed_stays_open(house: House) -> None:
    async def work() -> None:
        await house.take("a.txt", "heron")
        opened = await house.house.desk.open("archive", "default")
        house.know("[vaults.archive]\nupload_bytes_max = 5_000\n[vaults.law]\n")
        assert await house.house.desk.open("archive", "default") is opened
        house.know("[vaults.archive]\nfile_bytes_max = 5_000\n")
        assert await house.house.desk.open("archive", "default") is not opened

    run(house, work)


def test_a_model_that_comes_while_it_runs_is_used_from_then_on(house: House) -> None:
    async def work() -> None:
        await house.take("a.txt", "heron")
        assert (await house.filled(), list(await house.house.desk.renew())) == (0, [])
        house.parts.here["hash"] = HashEmbedder()
        assert list(await house.house.desk.renew()) == ["archive"]
        assert (await house.filled(), await house.filled(), list(await house.house.desk.renew())) == (1, 0, [])
        assert (await house.house.desk.open("archive", "default")).models.embedder is house.parts.here["hash"]

    run(house, work)


def test_another_embedder_makes_all_vectors_anew_and_what_began_before_puts_none_of_its_own(house: House) -> None:
    async def work() -> None:
        house.parts.here = {"hash": HashEmbedder(), "other": OtherEmbedder()}
        await house.take("a.txt", "\n\n".join(f"heron {number}" for number in range(70)))
        filling = house.house.desk.fill("archive")
        assert await anext(filling) == 32
        house.know('[vaults.archive]\nembedder = "other"\n')
        await house.found("heron")  # opens it anew
        assert [done async for done in filling] == []
        assert await house.filled() == 3
        assert (house.parts.here["hash"].made, house.parts.here["other"].made) == (32, 70)

    run(house, work)


def test_where_another_process_changed_the_model_it_is_opened_anew(house: House) -> None:
    async def work() -> None:
        await house.take("a.txt", "heron")
        opened = await house.house.desk.open("archive", "default")
        said = {"path": "archive.db", "found": "a", "found_dimensions": 8, "model": "b", "dimensions": 8}
        house.parts.fails = [VaultOfAnotherModel(**said)]
        assert await house.found("heron") == ["heron"]
        assert await house.house.desk.open("archive", "default") is not opened
        house.parts.fails = [VaultOfAnotherModel(**said), VaultOfAnotherModel(**said)]
        with pytest.raises(VaultOfAnotherModel):
            await house.found("heron")

    run(house, work)


def test_what_was_tuned_is_how_it_searches_from_then_on(house: House) -> None:
    async def work() -> None:
        await house.take("a.txt", "heron")
        path = settings_path(house.house.desk.path_of("archive"))
        save_settings(path, SearchSettings(embedder="", reranker="", words=0.9))
        assert list(await house.house.desk.renew()) == ["archive"]
        assert (await house.house.desk.open("archive", "default")).settings.words == 0.9
        path.write_text("no settings", encoding="utf-8")  # what cannot be used changes nothing
        assert list(await house.house.desk.renew()) == []

    run(house, work)


def test_folders_are_watched_as_they_are_named_now(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="freehold.app")
    for name in ("one", "two"):
        (house.folder / name).mkdir()
        (house.folder / name / f"{name}.txt").write_text(f"heron {name}", encoding="utf-8")

    async def seen(*texts: str) -> None:
        async with asyncio.timeout(20):
            while sorted(await house.found("heron")) != sorted(texts):
                await asyncio.sleep(0.02)

    def folder(name: str, more: str = "") -> str:
        return f'[vaults.archive.folders.{name}]\npath = "{house.folder / name}"\n{more}'

    async def work() -> None:
        tasks = [asyncio.ensure_future(each) for each in house.house.tasks()]
        try:
            house.know(folder("one"))
            await seen("heron one")
            house.know(folder("one") + folder("two"))
            await seen("heron one", "heron two")
            house.know(folder("one", 'readers = ["user:bo"]\n') + folder("two"))
            await seen("heron two")
            house.know(folder("one", 'readers = ["user:ana"]\n') + folder("two"))
            await seen("heron one", "heron two")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    run(house, work)


def test_its_models_are_held_to_the_keys_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that a vault's models were loaded from asks for signatures by the configuration of the moment."""
    registries: list[Callable[[], ModelRegistry]] = []
    monkeypatch.setattr(
        "freehold.app.vault_house.RealParts", lambda models, _clock: registries.append(models) or Parts()
    )
    compiled = compiled_of(tmp_path)
    known, database = Known(compiled), Database.open(tmp_path / "freehold.db")
    vaults_in(tmp_path, compiled, known, database=database, clock=FixedClock())._around.parts()
    (models,) = registries
    registry = models()
    registry.trust.check("text", "", name="m")
    known.know(compiled_of(tmp_path, '[models]\nunsigned = "refuse"\n'))
    with pytest.raises(SignatureMissing):
        registry.trust.check("text", "", name="m")
    database.close()
