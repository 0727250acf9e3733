"""What was measured on this machine: kept, used, said, and left aside on another one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.cli import machine_speed
from freehold.cli.machine_speed import (
    BANDWIDTH_FILE,
    FILE,
    read_bandwidth,
    read_runs,
    write_bandwidth,
    write_runs,
)
from freehold.domain.hardware import HardwareProfile
from freehold.domain.speed import MachineRuns, Measured
from freehold.planner.speed_cpu import cpu_load
from freehold.serving.catalogue import load_catalogue
from tests.support.same_time import write_within_writing
from tests.unit.cli.conftest import Cli

LOAD = cpu_load(load_catalogue().find("smollm2-135m").model_shape)
RUNS = MachineRuns(
    threads=1,
    writing=(Measured(load=LOAD, depth_tokens=204, tok_per_s=30.0),),
    reading=(Measured(load=LOAD, prompt_tokens=192, tok_per_s=60.0),),
    models=("smollm2-135m",),
    unix_ms=1_790_000_000_000,
    taken_share=0.5,
)


def test_there_and_back(tmp_path: Path, machine: Callable[..., HardwareProfile]) -> None:
    profile = machine()
    path = write_runs(tmp_path / "new", profile, RUNS)
    assert path.stat().st_mode & 0o777 == 0o600
    found, told = read_runs(tmp_path / "new", profile)
    assert found == RUNS
    assert told == (
        "speeds are by runs of smollm2-135m on this machine of 2026-09-21, when others took 50% of the processor:"
        " they are for when nobody does"
    )


def test_two_may_keep_theirs_at_once(
    tmp_path: Path, machine: Callable[..., HardwareProfile], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_within_writing(monkeypatch, tmp_path / FILE, lambda: write_runs(tmp_path, machine(), RUNS))
    assert read_runs(tmp_path, machine())[0] == RUNS


def test_another_machine_has_none_of_it(tmp_path: Path, machine: Callable[..., HardwareProfile]) -> None:
    profile = machine()
    assert read_runs(tmp_path, profile)[1].startswith("speeds are by the table, no model was run")
    write_runs(tmp_path, profile, RUNS)
    for other in (
        replace(profile, cores=profile.cores + 1),
        replace(profile, cpu_name="another"),
        replace(profile, cpu_flags=frozenset({"avx2", "avx512f"})),
    ):
        found, told = read_runs(tmp_path, other)
        assert found is None
        assert "is of other hardware or another engine" in told
    # What changes by the minute says nothing of the hardware.
    assert read_runs(tmp_path, replace(profile, memory_free_bytes=1, bandwidth_bytes_per_s=1))[0] == RUNS


@pytest.mark.parametrize("spoilt", ["", "[]", "{", "null", '{"schema": 1}'])
def test_a_file_that_is_none(tmp_path: Path, machine: Callable[..., HardwareProfile], spoilt: str) -> None:
    (tmp_path / FILE).write_text(spoilt)
    found, told = read_runs(tmp_path, machine())
    assert found is None
    assert "cannot be read" in told


def test_numbers_that_no_run_gives(tmp_path: Path, machine: Callable[..., HardwareProfile]) -> None:
    profile = machine()
    for wrong in (
        replace(RUNS, threads=0),
        replace(RUNS, writing=()),
        replace(RUNS, writing=(replace(RUNS.writing[0], tok_per_s=0.0),)),
        replace(RUNS, reading=(replace(RUNS.reading[0], load=replace(LOAD, worked_weights=0.0)),)),
    ):
        write_runs(tmp_path, profile, wrong)
        found, told = read_runs(tmp_path, profile)
        assert found is None
        assert "numbers that no run gives" in told


def test_commands_go_by_it(
    cli: Cli, home: Path, machine: Callable[..., HardwareProfile], monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = machine(bandwidth_bytes_per_s=40_000_000_000)
    monkeypatch.setattr(machine_speed, "probe", lambda **_: profile)
    before = json.loads(cli("fit", "smollm2-135m", "--json").out)
    write_runs(home, profile, RUNS)
    after = json.loads(cli("fit", "smollm2-135m", "--json").out)
    assert "by the table" in before["speed_source"]
    assert "by runs of smollm2-135m" in after["speed_source"]
    assert after["tok_per_s_high"] < before["tok_per_s_high"]
    planned = json.loads(cli("plan", "--tok-s", "5", "--ctx", "1024", "--prompt", "256", "--json").out)
    (own,) = [each for each in planned if each["this_machine"]]
    assert own["source"] == "measured"


def test_a_bandwidth_there_and_back(tmp_path: Path, machine: Callable[..., HardwareProfile]) -> None:
    profile = machine(bandwidth_bytes_per_s=9_000_000_000)
    write_bandwidth(tmp_path / "new", profile, unix_ms=1)
    path = tmp_path / "new" / BANDWIDTH_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_bandwidth(tmp_path / "new", machine(bandwidth_bytes_per_s=0)) == 9_000_000_000
    assert read_bandwidth(tmp_path / "new", machine(cores=3)) == 0, "of other hardware"
    assert read_bandwidth(tmp_path, profile) == 0
    write_bandwidth(tmp_path / "none", machine(bandwidth_bytes_per_s=0), unix_ms=1)
    assert not (tmp_path / "none").exists()
    kept = path.read_text()
    for spoilt in ("", "{", '{"schema": 1}', kept.replace("9000000000", "-1"), kept.replace("9000000000", "1e99")):
        path.write_text(spoilt)
        assert read_bandwidth(tmp_path / "new", profile) == 0


def test_nothing_to_run(cli: Cli) -> None:
    shown = cli("hardware", "--run")
    assert (shown.code, shown.err.split(":")[0]) == (1, "FH-PLANNER-010")
