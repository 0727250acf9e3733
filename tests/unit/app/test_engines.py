"""What configuration says of a server arrives where the server is called."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from freehold.app.engines import build_engine
from freehold.app.stores import Stores
from freehold.config.compile import compile_config
from freehold.config.load import load
from freehold.domain.hardware import HardwareProfile
from freehold.domain.zones import LAN
from freehold.hostinfo.clock import SystemClock, SystemIds

MACHINE = HardwareProfile(cpu_name="", cores=2, cpu_flags=frozenset(), memory_bytes=1 << 33, memory_free_bytes=1 << 33)


class Clients:
    """A way out that nobody goes: it notes what clients were asked for."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def client(self, **asked: Any) -> SimpleNamespace:
        self.asked.append(asked)
        return SimpleNamespace(origin="https://near.test:443")


@pytest.mark.parametrize("engine", ["openai", "anthropic", "llama-server"])
def test_address_zone_and_authority(engine: str, tmp_path: Path) -> None:
    file = tmp_path / "freehold.toml"
    file.write_text(
        f"""
[deployments.near]
engine = "{engine}"
model = "m"
zone = "lan"
base_url = "https://near.test/v1"
api_key = "env:NEAR_KEY"
ca_file = "authority.pem"
""",
        encoding="utf-8",
    )
    compiled = compile_config(load(file, environment={}), environment={"NEAR_KEY": "sk-live-1"})
    clients, clock = Clients(), SystemClock()
    stores = cast("Stores", SimpleNamespace(broker=clients, clock=clock, ids=SystemIds(clock), models=None))
    build_engine(compiled.deployments[0], stores, MACHINE)
    (asked,) = clients.asked
    assert (asked["name"], asked["zone"]) == ("near", LAN)
    assert asked["base_url"] == "https://near.test/v1"
    assert asked["ca_file"] == str(tmp_path / "authority.pem")
    assert any("sk-live-1" in value for _, value in asked["headers"])
