"""``freehold models explain``: what is shown of memory is what a server sets aside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from freehold.app.engines import EngineParts, build_engine
from freehold.app.placement import Placement
from freehold.cli import models_explain
from freehold.config.compile import compile_config
from freehold.config.load import load
from freehold.domain.errors.placement import ModelTooLarge
from freehold.domain.hardware import HardwareProfile
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.net.broker import Broker
from freehold.serving.registry import ModelRegistry
from tests.support.gguf_files import tiny_model, write
from tests.unit.cli.conftest import Cli

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _this_machine(machine: Callable[..., HardwareProfile], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models_explain, "probe", lambda **_: machine())


def configured(folder: Path, *, cap: str) -> Path:
    write(folder, tiny_model(), name="own.gguf")
    file = folder / "freehold.toml"
    section = '[deployments.own]\nengine = "embedded"\nmodel = "./own.gguf"\ncontext_tokens = 256\n'
    file.write_text(f"[memory]\n{cap}\n{section}", encoding="utf-8")
    return file


async def refusal(file: Path, machine: HardwareProfile, models: Path) -> ModelTooLarge:
    """What a server says that is asked for it."""
    compiled, clock = compile_config(load(file, environment={}), environment={}), SystemClock()
    parts = SimpleNamespace(
        models=ModelRegistry(models),
        clock=clock,
        ids=SystemIds(clock),
        broker=Broker(clock=clock, permit_key=b"k" * 32),
    )
    (plan,) = compiled.deployments
    placement = Placement(machine=machine, plan=compiled.memory, clock=clock, queued=lambda _: 0)
    engine = build_engine(plan, cast("EngineParts", parts), machine)
    placement.take({"own": engine}, {"own": plan})
    placement.placer.open()
    with pytest.raises(ModelTooLarge) as refused:
        await placement.placer.use("own", deadline_s=clock.monotonic_s() + 5)
    return refused.value


def test_what_the_server_refuses_is_not_said_to_fit(
    cli: Cli, tmp_path: Path, machine: Callable[..., HardwareProfile]
) -> None:
    file = configured(tmp_path, cap='cap = "300 MiB"')
    shown = cli("models", "explain", "own", "--config", str(file))
    refused = asyncio.run(refusal(file, machine(), tmp_path / "models"))
    assert f"A server sets {refused.values['needs']} of memory aside for it: weights " in shown.out
    assert "kept prompts 0.3 GB" in shown.out
    assert f"Models may have {refused.values['most']} together ([memory] cap)" in shown.out
    assert "it does not fit, 0.1 GB more than models may have" in shown.out

    found = json.loads(cli("models", "explain", "own", "--config", str(file), "--json").out)
    assert found["for_models_bytes"] == 300 * MIB < found["needs_bytes"] == sum(found["parts"].values())
    assert found["parts"]["kept prompts"] == 256 * MIB
    assert found["fits"] is False


def test_with_room_it_fits_and_without_a_cap_what_is_free_counts(cli: Cli, tmp_path: Path) -> None:
    shown = cli("models", "explain", "own", "--config", str(configured(tmp_path, cap='cap = "2 GiB"')))
    assert "([memory] cap)" in shown.out
    assert "free: it fits; " in shown.out
    shown = cli("models", "explain", "own", "--config", str(configured(tmp_path, cap="")))
    assert "together (what is free now, less what is left to the rest of the machine)" in shown.out


def test_more_than_is_really_free_does_not_fit_under_any_cap(
    cli: Cli, tmp_path: Path, machine: Callable[..., HardwareProfile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models_explain, "probe", lambda **_: machine(memory_free_bytes=200 * MIB))
    shown = cli("models", "explain", "own", "--config", str(configured(tmp_path, cap='cap = "2 GiB"')))
    assert "it does not fit, 0.2 GB more than is free" in shown.out
