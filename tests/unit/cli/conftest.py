"""Running command lines in this process, on a data folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from freehold.cli.run import run
from freehold.domain.hardware import ENGINE_NEEDS, HardwareProfile


@dataclass(frozen=True)
class Ran:
    """What a command line did."""

    code: int
    out: str
    err: str


Cli = Callable[..., Ran]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder, with nothing of this machine's user around it."""
    folder = tmp_path / "home"
    monkeypatch.setenv("FREEHOLD_HOME", str(folder))
    for name in ("FREEHOLD_CONFIG", "FREEHOLD_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def cli(home: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run one command line."""

    def call(*arguments: str) -> Ran:
        capsys.readouterr()
        code = run(arguments)
        shown = capsys.readouterr()
        return Ran(code=code, out=shown.out, err=shown.err)

    return call


@pytest.fixture
def machine() -> Callable[..., HardwareProfile]:
    """A machine of any size, with AVX2 and a measured bandwidth."""

    def make(**changes: Any) -> HardwareProfile:
        values: dict[str, Any] = {
            "cpu_name": "a processor",
            "cores": 8,
            "cpu_flags": frozenset({"sse2", *ENGINE_NEEDS}),
            "memory_bytes": 16_000_000_000,
            "memory_free_bytes": 12_000_000_000,
            "bandwidth_bytes_per_s": 40_000_000_000,
            "physical_cores": 8,
        }
        return HardwareProfile(**{**values, **changes})

    return make
