"""A running gateway and a name that is switched: it takes the new version over, or the old one serves on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from freehold.app import house as house_module
from freehold.app.house import House
from freehold.app.known import Known
from freehold.app.model_watch import ModelWatch
from freehold.app.snapshot import tenants_of
from freehold.app.stores import Stores, open_stores
from freehold.config.compile import Compiled, DeploymentPlan, compile_config
from freehold.config.load import load
from freehold.domain.engine_options import Speculation
from freehold.domain.errors.engine import EngineStartFailed, ModelUnvouched
from freehold.domain.errors.model import ModelFileInvalid
from freehold.hostinfo.probe import probe
from freehold.serving.manifests import Facts
from freehold.serving.registry import ModelRegistry
from freehold.serving.versions import collect, rollback, switch
from tests.support.fake_engine import FakeEngine
from tests.support.gguf_files import tiny_model
from tests.unit.serving.test_registry import digest, install

NAME = "hf:o/r/f.gguf"
CONFIG = f'[deployments.small]\nengine = "embedded"\nmodel = "{NAME}"\n'
NEW = tiny_model(name="Two.")


@dataclass(slots=True)
class Local(FakeEngine):
    """Stands for an engine of ours."""

    refuses: bool = False
    happened: list[str] = field(default_factory=list)

    async def start(self) -> None:
        if self.refuses:
            raise EngineStartFailed(deployment="small", reason="it has no legs")
        self.happened.append("start")

    async def close(self) -> None:
        self.happened.append("close")


@contextmanager
def gateway(folder: Path, monkeypatch: pytest.MonkeyPatch, *, refuses: Callable[[str], bool] = lambda _: False) -> Any:
    """A house whose engines are scripted, two versions of one model, and all engines that were made."""
    registry = ModelRegistry(folder / "data" / "models")
    install(registry, NAME)
    (registry.folder / "fetched").write_bytes(NEW)
    registry.install_beside(
        registry.folder / "fetched", name=NAME, sha256=digest(NEW), facts=Facts(license="", origin="", unix_ms=1)
    )
    made: list[Local] = []

    def build(plan: DeploymentPlan, stores: Stores, machine: object) -> Local:
        card = stores.models.load(plan.deployment.model.name).card
        made.append(Local(deployment=replace(plan.deployment, model=card), refuses=refuses(card.digest)))
        return made[-1]

    monkeypatch.setattr(house_module, "build_engine", build)
    (folder / "freehold.toml").write_text(CONFIG)
    loaded = load(folder / "freehold.toml")
    compiled: Compiled = compile_config(loaded, environment={})
    data = folder / "data"
    with open_stores(data, origin="x", tree=compiled.tree, tenants=tenants_of(compiled)) as stores:
        yield House(stores=stores, compiled=compiled, known=Known(), machine=probe()), compiled, registry, made


async def settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def test_a_switch_is_taken_over_and_gone_back_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with gateway(tmp_path, monkeypatch) as (house, compiled, registry, made):

        async def test() -> None:
            async with house.run():
                await settled()
                await house.replace(compiled)
                assert len(made) == 1, "nothing was switched"
                switch(registry, NAME, digest(NEW), unix_ms=2)
                assert collect(registry, remove=True, rollbacks=True).in_use, "what runs is left alone"
                await house.replace(compiled)
                await settled()
                assert house.engines["small"] is made[1]
                assert made[1].deployment.model.digest == f"sha256:{digest(NEW)}"
                assert made[0].happened == ["start", "close"]
                assert made[1].happened == ["start"], "once"
                rollback(registry, NAME, unix_ms=3)
                await house.replace(compiled)
                assert house.engines["small"].deployment.model.digest == f"sha256:{digest(tiny_model())}"

        asyncio.run(test())


def test_a_version_that_does_not_start_leaves_the_old_one_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuses = f"sha256:{digest(NEW)}".__eq__
    with gateway(tmp_path, monkeypatch, refuses=refuses) as (house, compiled, registry, made):

        async def test() -> None:
            async with house.run():
                await settled()
                switch(registry, NAME, digest(NEW), unix_ms=2)
                with pytest.raises(EngineStartFailed, match="no legs"):
                    await house.replace(compiled)
                assert house.engines["small"] is made[0]
                assert made[0].happened == ["start"]
                assert made[1].happened == ["close"]

        asyncio.run(test())


def test_without_room_for_both_the_new_one_takes_over_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelWatch, "has_room", lambda _self, _engines: False)
    with gateway(tmp_path, monkeypatch) as (house, compiled, registry, made):

        async def test() -> None:
            async with house.run():
                await settled()
                switch(registry, NAME, digest(NEW), unix_ms=2)
                await house.replace(compiled)
                await settled()
                assert house.engines["small"] is made[1]
                assert made[1].happened == ["start"]

        asyncio.run(test())


def test_what_a_reload_built_in_vain_is_closed_and_nothing_else_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gateway(tmp_path, monkeypatch) as (house, compiled, registry, made):

        async def test() -> None:
            async with house.run():
                await settled()
                trust, held = registry_of(house).trust, set(house._watch._holds)

                def fails(*_given: object, **_named: object) -> None:
                    raise EngineStartFailed(deployment="small", reason="it cannot be put in force")

                monkeypatch.setattr(house_module, "snapshot", fails)
                switch(registry, NAME, digest(NEW), unix_ms=2)
                with pytest.raises(EngineStartFailed, match="in force"):
                    await house.replace(compiled)
                assert house.engines["small"] is made[0]
                assert made[1].happened == ["start", "close"]
                assert (registry_of(house).trust, set(house._watch._holds)) == (trust, held)

        asyncio.run(test())


def test_requests_that_began_two_reloads_ago_keep_their_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with gateway(tmp_path, monkeypatch) as (house, compiled, registry, made):

        async def test() -> None:
            async with house.run():
                await settled()
                house._pipeline._active[house._runtime.epoch - 1] += 1
                switch(registry, NAME, digest(NEW), unix_ms=2)
                await house.replace(compiled)
                await settled()
                assert house.engines["small"] is made[1]
                assert made[0].happened == ["start"]

        asyncio.run(test())


def test_files_of_engines_that_are_placed_are_held_by_what_is_closed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = house_module.build_engine
    with gateway(tmp_path, monkeypatch) as (house, compiled, registry, _):
        monkeypatch.setattr(house_module, "build_engine", build)
        real = House(stores=house._stores, compiled=compiled, known=Known(), machine=probe())
        assert [type(each).__name__ for each in real.engines.values()] == ["FingerprintedEngine"]
        assert set(real._watch._holds) == set(map(id, real.engines.values()))
        house._watch.close()
        manifest = registry.shelf.all()[0]
        real._watch.let_go(real.engines.values())
        assert not registry.shelf.in_use(manifest)


def registry_of(house: House) -> ModelRegistry:
    return house._stores.models


OWN = '[deployments.own]\nengine = "embedded"\nmodel = "./own.gguf"\n'


@contextmanager
def own_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A house with an engine that was built from a file of its owner's; nothing is loaded."""
    monkeypatch.setattr(ModelWatch, "has_room", lambda _self, _engines: False)
    model = folder / "own.gguf"
    model.write_bytes(tiny_model())
    (folder / "freehold.toml").write_text(OWN)
    compiled: Compiled = compile_config(load(folder / "freehold.toml"), environment={})
    with open_stores(folder / "data", origin="x", tree=compiled.tree, tenants=tenants_of(compiled)) as stores:
        yield House(stores=stores, compiled=compiled, known=Known(), machine=probe()), compiled, model


def exchange(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)


def test_a_file_of_ones_own_that_was_exchanged_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with own_file(tmp_path, monkeypatch) as (house, compiled, model), caplog.at_level("INFO", logger="freehold.app"):

        async def test() -> None:
            before, told = house.engines["own"], house._stores.audit.size
            await house.replace(compiled)
            assert house.engines["own"] is before, "nothing changed"
            exchange(model, NEW)
            await house.replace(compiled)
            assert house.engines["own"].deployment.model.digest == f"sha256:{digest(NEW)}"
            assert f"own: {model} changed" in caplog.text
            assert house._stores.audit.size == told + 1, "the switch"
            await asyncio.gather(*house._tasks)

        asyncio.run(test())


@pytest.mark.parametrize("content", [NEW[:-1], b"JUNK" + NEW[4:], b""])
def test_a_damaged_one_leaves_the_old_one_serving_and_says_why(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_file(tmp_path, monkeypatch) as (house, compiled, model):

        async def test() -> None:
            before = house.engines["own"]
            exchange(model, content)
            with pytest.raises(ModelFileInvalid, match=r"own\.gguf"):
                await house.replace(compiled)
            assert house.engines["own"] is before
            model.unlink()
            await house.replace(compiled)
            assert house.engines["own"] is before, "what is gone takes nobody's place"

        asyncio.run(test())


KEY = "models.example.org+86d40092+Ad/g1fljx0jDHyG1XdkMPJx0r9Riwwo/+I8OAR3vTRtE"


def test_a_key_that_a_reload_adds_or_takes_away_holds_for_the_next_start_of_what_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with own_file(tmp_path, monkeypatch) as (house, compiled, _), caplog.at_level("WARNING", logger="freehold.app"):

        async def test() -> None:
            engine = house.engines["own"]
            engine.inner.files.check()
            file = tmp_path / "freehold.toml"
            file.write_text(f'{OWN}[models]\ntrusted_keys = ["{KEY}"]\n')
            await house.replace(compile_config(load(file), environment={}))
            assert house.engines["own"] is engine, "it runs on"
            assert "own runs on until it is loaded anew, and does not start then: 'own' is not used" in caplog.text
            with pytest.raises(ModelUnvouched):
                engine.inner.files.check()
            caplog.clear()
            await house.replace(compiled)
            engine.inner.files.check()
            assert not caplog.text

        asyncio.run(test())


GUESSING = f'''[deployments.small]
engine = "embedded"
model = "{NAME}"
draft_model = "DRAFT"
speculation = "draft"
'''


@contextmanager
def guessing(folder: Path, monkeypatch: pytest.MonkeyPatch, draft: str) -> Any:
    """A house with an engine for which a draft guesses; nothing is loaded."""
    monkeypatch.setattr(ModelWatch, "has_room", lambda _self, _engines: False)
    registry = ModelRegistry(folder / "data" / "models")
    install(registry, NAME)
    install(registry, "hf:o/r/d.gguf", tiny_model(name="Guesses."))
    (folder / "freehold.toml").write_text(GUESSING.replace("DRAFT", draft))
    compiled: Compiled = compile_config(load(folder / "freehold.toml"), environment={})
    with open_stores(folder / "data", origin="x", tree=compiled.tree, tenants=tenants_of(compiled)) as stores:
        house = House(stores=stores, compiled=compiled, known=Known(), machine=probe())
        yield house, compiled, registry


def test_a_draft_that_is_switched_is_taken_over_and_gone_back_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    draft = "hf:o/r/d.gguf"
    told: list[Any] = []
    with guessing(tmp_path, monkeypatch, draft) as (house, compiled, registry), caplog.at_level("INFO", "freehold.app"):
        old, new = digest(tiny_model(name="Guesses.")), digest(NEW)
        (registry.folder / "fetched").write_bytes(NEW)
        registry.install_beside(
            registry.folder / "fetched", name=draft, sha256=new, facts=Facts(license="", origin="", unix_ms=1)
        )
        monkeypatch.setattr(house._stores.audit, "append", told.append)

        async def test() -> None:
            before = house.engines["small"]
            await house.replace(compiled)
            assert house.engines["small"] is before, "nothing was switched"
            switch(registry, draft, new, unix_ms=2)
            await house.replace(compiled)
            after = house.engines["small"].inner
            assert after.settings.draft_path == str(registry.blob_path(new))
            assert after is not before.inner, "it is not what loads the version before"
            assert f"small guesses with another version of {draft}" in caplog.text
            after.files.check()
            rollback(registry, draft, unix_ms=3)
            await house.replace(compiled)
            assert house.engines["small"].inner.settings.draft_path == str(registry.blob_path(old))
            await asyncio.gather(*house._tasks)

        asyncio.run(test())
        assert [(each.event, each.detail) for each in told] == [
            ("model.switch", {"deployment": "small", "before": f"sha256:{one}", "after": f"sha256:{two}", "part": "draft"})
            for one, two in ((old, new), (new, old))
        ]  # fmt: skip


def test_a_draft_of_ones_own_that_was_exchanged_is_not_taken_for_the_one_that_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = tmp_path / "draft.gguf"
    draft.write_bytes(tiny_model(name="Guesses."))
    with guessing(tmp_path, monkeypatch, "./draft.gguf") as (house, compiled, _):

        async def test() -> None:
            before = house.engines["small"].inner
            assert before.settings.speculation is Speculation.DRAFT
            exchange(draft, NEW)
            await house.replace(compiled)
            after = house.engines["small"].inner
            assert after is not before
            after.files.check()
            await asyncio.gather(*house._tasks)

        asyncio.run(test())
