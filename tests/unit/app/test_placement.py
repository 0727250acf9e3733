"""Which engines share memory: needs read from files, one load for two names, and what the state of one says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from freehold.app import placement as placement_module
from freehold.app.engines import build_engine
from freehold.app.placed_engine import FingerprintedEngine, PlacedEngine
from freehold.app.placement import Placement, need_of
from freehold.app.stores import Stores
from freehold.config.compile import Compiled, MemoryPlan, compile_config
from freehold.config.load import load
from freehold.domain.errors.engine import EngineStartFailed
from freehold.domain.errors.placement import NotPlaced
from freehold.domain.hardware import Gpu, HardwareProfile
from freehold.domain.placement import PROCESSOR
from freehold.domain.ports import Engine
from freehold.engines.llama.engine import LlamaEngine
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.net.broker import Broker
from freehold.planner.fit import GPU_OVERHEAD_BYTES
from freehold.serving.registry import ModelRegistry
from tests.models import DEMO_FOLDER, starter_model
from tests.support.gguf_files import tiny_model

GB = 10**9
MACHINE = HardwareProfile(cpu_name="", cores=2, cpu_flags=frozenset(), memory_bytes=16 * GB, memory_free_bytes=8 * GB)


def compiled(folder: Path, text: str) -> Compiled:
    file = folder / "freehold.toml"
    file.write_text(text, encoding="utf-8")
    return compile_config(load(file, environment={}), environment={})


def deployment(name: str, **more: object) -> str:
    said = "".join(f"{key} = {str(value).lower()}\n" for key, value in more.items())
    return f'[deployments.{name}]\nengine = "embedded"\nmodel = "smollm2-135m"\n{said}'


@pytest.fixture
def stores() -> Stores:
    starter_model("smollm2-135m")
    clock = SystemClock()
    models = ModelRegistry(DEMO_FOLDER / "models")
    return cast(
        "Stores",
        SimpleNamespace(
            models=models, clock=clock, ids=SystemIds(clock), broker=Broker(clock=clock, permit_key=b"k" * 32)
        ),
    )


def placed(
    found: Compiled, stores: Stores, *, machine: HardwareProfile = MACHINE
) -> tuple[Placement, dict[str, Engine]]:
    plans = {plan.deployment.name: plan for plan in found.deployments}
    built = {name: build_engine(plan, stores, machine) for name, plan in plans.items()}
    placement = Placement(machine=machine, plan=found.memory, clock=stores.clock, queued=lambda _name: 0)
    return placement, placement.take(built, plans)


def test_two_names_of_one_file_share_one_load(tmp_path: Path, stores: Stores) -> None:
    text = deployment("one", slots=4) + deployment("two", slots=2, pinned=True) + deployment("other", batch_tokens=64)
    placement, engines = placed(compiled(tmp_path, text), stores)
    one, two, other = (cast("PlacedEngine", engines[name]) for name in ("one", "two", "other"))
    assert one.inner is two.inner
    assert one.inner is not other.inner, "run in another way"
    assert [(engine.deployment.name, engine.deployment.slots) for engine in (one, two)] == [("one", 4), ("two", 2)]
    entry = placement.placer.find("two")
    assert (entry.id, entry.given.deployments, entry.given.pinned) == ("one", ("one", "two"), True)
    assert isinstance(two, FingerprintedEngine)


def test_one_that_is_given_up_ends_once_nobody_shares_it(tmp_path: Path, stores: Stores) -> None:
    asyncio.run(given_up(tmp_path, stores))


async def given_up(tmp_path: Path, stores: Stores) -> None:
    placement, engines = placed(compiled(tmp_path, deployment("one") + deployment("two")), stores)
    await engines["one"].close()
    await engines["one"].close()
    assert placement.placer.find("two").id == "one"
    await engines["two"].close()
    with pytest.raises(NotPlaced):
        placement.placer.find("two")


def test_the_cap_and_what_is_free_without_one(tmp_path: Path, stores: Stores) -> None:
    capped, _ = placed(compiled(tmp_path, '[memory]\ncap = "2 GiB"\n' + deployment("one")), stores)
    assert capped.placer.state().devices[PROCESSOR].bytes_max == 2 << 30
    free, _ = placed(compiled(tmp_path, deployment("one")), stores)
    assert free.placer.state().devices[PROCESSOR].bytes_max == 8 * GB - (256 << 20)
    capped.know(MemoryPlan(cap_bytes=GB, keep_s=5, patience_s=0))
    assert capped.placer.state().devices[PROCESSOR].bytes_max == GB
    assert (capped.placer.keep_s, capped.placer.rules.patience_s) == (5, 0)


def test_what_a_model_needs_on_a_processor_and_on_a_card(tmp_path: Path, stores: Stores) -> None:
    with_card = HardwareProfile(
        cpu_name="",
        cores=2,
        cpu_flags=frozenset(),
        memory_bytes=16 * GB,
        memory_free_bytes=8 * GB,
        gpus=(Gpu(name="card", vram_bytes=8 * GB, free_bytes=7 * GB),),
    )
    found = compiled(
        tmp_path, deployment("here") + deployment("there", gpu_layers=-1) + deployment("half", gpu_layers=15)
    )
    engines = {plan.deployment.name: build_engine(plan, stores, with_card) for plan in found.deployments}
    needs = {name: need_of(cast("LlamaEngine", engine), with_card)[0] for name, engine in engines.items()}
    assert (needs["here"].card_bytes, needs["there"].each_card_bytes) == (0, GPU_OVERHEAD_BYTES)
    assert needs["here"].bytes > needs["half"].bytes > needs["there"].bytes
    assert needs["half"].card_bytes == pytest.approx(needs["there"].card_bytes / 2, rel=0.05)


def test_one_that_is_not_loaded_says_so_and_is_ready_once_the_start_is_over(tmp_path: Path, stores: Stores) -> None:
    placement, engines = placed(compiled(tmp_path, deployment("one")), stores)
    assert (engines["one"].state().ready, engines["one"].state().detail) == (False, "its turn to load comes")
    entry = placement.placer.find("one")
    entry.wanted, entry.begun = False, True
    assert (engines["one"].state().ready, engines["one"].state().detail) == (
        True,
        "not loaded; it is when it is asked for",
    )


def taken(placement: Placement, stores: Stores, found: Compiled) -> dict[str, PlacedEngine]:
    """What a reload takes."""
    plans = {plan.deployment.name: plan for plan in found.deployments}
    built = {name: build_engine(plan, stores, MACHINE) for name, plan in plans.items()}
    return {name: cast("PlacedEngine", engine) for name, engine in placement.take(built, plans).items()}


def test_what_is_on_its_way_out_is_never_taken_for_what_a_reload_brings(tmp_path: Path, stores: Stores) -> None:
    """Two reloads in a row: the second comes while the engine of the first is still being ended."""

    async def test() -> None:
        placement, engines = placed(compiled(tmp_path, deployment("one")), stores)
        second = taken(placement, stores, compiled(tmp_path, deployment("one", batch_tokens=64)))["one"]
        ends, unload = asyncio.Event(), placement._loader.unload

        async def slow(model: str) -> None:
            await ends.wait()
            await unload(model)

        placement._loader.unload = slow  # type: ignore[method-assign]
        closing = asyncio.create_task(engines["one"].close())
        await asyncio.sleep(0)
        third = taken(placement, stores, compiled(tmp_path, deployment("one", batch_tokens=32)))["one"]
        ends.set()
        await closing
        assert len({cast("PlacedEngine", engines["one"]).model, second.model, third.model}) == 3
        assert (third.entry() is None, third.model in placement._loader.measures) == (False, True)

    asyncio.run(test())


def test_who_left_keeps_no_other_from_leaving_memory(tmp_path: Path, stores: Stores) -> None:
    async def test() -> None:
        text = deployment("one", pinned=True) + deployment("two")
        placement, engines = placed(compiled(tmp_path, text), stores)
        entry = placement.placer.find("two")
        assert entry.given.pinned
        await engines["one"].close()
        assert (entry.given.deployments, entry.given.pinned) == (("two",), False)
        with pytest.raises(NotPlaced):
            placement.placer.find("one")

    asyncio.run(test())


def test_a_share_is_given_up_once_though_its_name_has_another(tmp_path: Path, stores: Stores) -> None:
    async def test() -> None:
        found = compiled(tmp_path, deployment("one"))
        placement, engines = placed(found, stores)
        again = taken(placement, stores, found)["one"]
        assert placement.placer.find("one").given.deployments == ("one",)
        await engines["one"].close()
        await engines["one"].close()
        assert again.entry() is not None
        await again.close()
        assert again.entry() is None

    asyncio.run(test())


def test_what_is_replaced_is_pinned_no_longer(tmp_path: Path, stores: Stores) -> None:
    """Otherwise who asks for the new one is refused, as long as the old one answers its last requests."""
    placement, engines = placed(compiled(tmp_path, deployment("one", pinned=True)), stores)
    placement.current(engines)
    new = taken(placement, stores, compiled(tmp_path, deployment("one", pinned=True, batch_tokens=64)))
    old = cast("PlacedEngine", engines["one"]).entry()
    assert old is not None
    assert old.given.pinned, "the new one may still fail"
    placement.current(new)
    assert (old.given.pinned, placement.placer.find("one").given.pinned) == (False, True)


def test_all_are_taken_or_none(tmp_path: Path, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    placement, _ = placed(compiled(tmp_path, deployment("one")), stores)
    before = (placement.placer.entries(), dict(placement._loader.measures))

    def gone(engine: LlamaEngine, machine: HardwareProfile) -> object:
        if engine.deployment.name == "three":
            raise FileNotFoundError(2, "No such file or directory", "/gone")
        return need_of(engine, machine)

    monkeypatch.setattr(placement_module, "need_of", gone)
    text = deployment("one") + deployment("two", batch_tokens=64) + deployment("three", batch_tokens=32)
    with pytest.raises(EngineStartFailed, match="/gone cannot be read"):
        taken(placement, stores, compiled(tmp_path, text))
    assert (placement.placer.entries(), dict(placement._loader.measures)) == before
    assert [each.name for each in placement._shared["one"].shares] == ["one"]


def test_a_file_that_changed_while_it_was_not_loaded_is_not_loaded_under_its_old_name(
    tmp_path: Path, stores: Stores
) -> None:
    """A receipt would tell the digest of a file that did not answer."""

    async def test() -> None:
        own = tmp_path / "own.gguf"
        own.write_bytes(tiny_model())
        found = compiled(tmp_path, '[deployments.one]\nengine = "embedded"\nmodel = "./own.gguf"\n')
        placement, _ = placed(found, stores)
        own.write_bytes(tiny_model(name="Two."))
        with pytest.raises(EngineStartFailed, match="is not the file that was checked"):
            await placement._loader.load("one", {})

    asyncio.run(test())


def test_it_is_known_whether_somebody_would_have_to_leave(tmp_path: Path, stores: Stores) -> None:
    placement, engines = placed(compiled(tmp_path, deployment("one")), stores)
    one = cast("PlacedEngine", engines["one"])
    assert one.fits()
    placement.placer.limit(PROCESSOR, GB // 100)
    assert not one.fits()
