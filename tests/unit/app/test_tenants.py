"""Tenants as the configuration has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.app.tenants import tenants_of
from freehold.config.compile import compile_config
from freehold.config.load import load
from freehold.domain.errors.config import ConfigInvalid

TEXT = """
[deployments.small]
engine = "openai"
model = "m"
zone = "device"
base_url = "http://127.0.0.1:1/v1"
{tenants}
"""


def weights(folder: Path, tenants: str) -> dict[str, int]:
    path = folder / "freehold.toml"
    path.write_text(TEXT.format(tenants=tenants), encoding="utf-8")
    found = tenants_of(compile_config(load(path), environment={}))
    return {name: each.weight for name, each in found.items()}


def test_weights(tmp_path: Path) -> None:
    assert weights(tmp_path, "[tenants.a]\nweight = 1000\n[tenants.b]") == {"a": 1000, "b": 1}
    assert weights(tmp_path, "") == {"default": 1}


@pytest.mark.parametrize("weight", ["0", "1001", "1.5", '"3"'])
def test_a_weight_is_a_whole_number_from_1_to_1000(tmp_path: Path, weight: str) -> None:
    with pytest.raises(ConfigInvalid, match="weight"):
        weights(tmp_path, f"[tenants.a]\nweight = {weight}")
