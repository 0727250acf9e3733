"""Adapters, which nobody can sign, where only signed models get to an engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from freehold.app.engines import build_engine
from freehold.app.llama_engines import prepare_llama
from freehold.app.model_trust import trust_of
from freehold.config.compile import compile_config
from freehold.config.load import load
from freehold.domain.errors.model_versions import AdapterUnsigned, SignatureMissing
from freehold.domain.hardware import HardwareProfile
from freehold.engines.llama.engine import LlamaEngine
from freehold.hostinfo.clock import SystemClock
from freehold.net.broker import Broker
from freehold.serving.digests import sha256_of
from freehold.serving.registry import ModelRegistry
from tests.unit.serving.test_adapters import model_file, small
from tests.unit.serving.test_registry import install

NAME = "hf:o/r/f.gguf"
MACHINE = HardwareProfile(cpu_name="", cores=2, cpu_flags=frozenset(), memory_bytes=1 << 33, memory_free_bytes=1 << 33)
CONFIG = '[deployments.one]\nengine = "embedded"\nmodel = "{model}"\nadapters = ["./adapter.gguf"]\n'


@dataclass
class Site:
    """Trusts what it signed: here every model that was pulled, and of others those that are named."""

    own: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list[str])

    def check(self, text: str, note: str, *, name: str) -> None:
        self.asked.append(name)
        if not text and name not in self.own:
            raise SignatureMissing(name=name)


def prepared(folder: Path, registry: ModelRegistry, more: str = "") -> None:
    file = folder / "freehold.toml"
    file.write_text(CONFIG.format(model=NAME) + more, encoding="utf-8")
    (plan,) = compile_config(load(file, environment={}), environment={}).deployments
    prepare_llama(plan, models=registry, machine=MACHINE)


def test_one_whose_digest_the_configuration_names_is_taken_and_no_other(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models")
    install(registry, NAME, model_file(tmp_path).read_bytes())
    adapter = small(tmp_path)
    prepared(tmp_path, registry)
    registry.trust = Site()
    digest = sha256_of(adapter)
    with pytest.raises(AdapterUnsigned, match=f"adapter_digests = .'{digest}'"):
        prepared(tmp_path, registry)
    prepared(tmp_path, registry, f'adapter_digests = ["{digest}"]\n')


def test_a_key_alone_asks_for_it(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models")
    install(registry, NAME, model_file(tmp_path).read_bytes())
    small(tmp_path)
    file = tmp_path / "freehold.toml"
    key = "models.example.org+86d40092+Ad/g1fljx0jDHyG1XdkMPJx0r9Riwwo/+I8OAR3vTRtE"
    file.write_text(f'[models]\ntrusted_keys = ["{key}"]\n', encoding="utf-8")
    registry.trust = trust_of(compile_config(load(file, environment={}), environment={}).models)
    with pytest.raises(SignatureMissing):
        prepared(tmp_path, registry)


def test_what_is_loaded_beside_a_model_is_asked_about_before_each_start(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models")
    install(registry, NAME, model_file(tmp_path).read_bytes())
    small(tmp_path)
    draft = tmp_path / "draft.gguf"
    draft.write_bytes(model_file(tmp_path).read_bytes()[:-1] + b"d")
    file = tmp_path / "freehold.toml"
    file.write_text(
        CONFIG.format(model=NAME) + 'draft_model = "./draft.gguf"\nspeculation = "draft"\n', encoding="utf-8"
    )
    (plan,) = compile_config(load(file, environment={}), environment={}).deployments
    parts = SimpleNamespace(models=registry, broker=None, clock=SystemClock(), ids=None)
    parts.broker = Broker(clock=parts.clock, permit_key=bytes(32))
    engine = build_engine(plan, cast("Any", parts), MACHINE)
    assert isinstance(engine, LlamaEngine)
    assert engine.files is not None
    engine.files.check()
    site = registry.trust = Site()
    assert "'draft' is not used" in engine.files.unvouched(), "the model is signed, the draft is not"
    assert site.asked == [NAME, "draft"]
    registry.trust = site = Site(own=("draft",))
    assert "'adapter.gguf'" in engine.files.unvouched().replace(str(tmp_path) + "/", "")
    registry.trust = Site(own=("draft", "adapter"))
    engine.files.check()
