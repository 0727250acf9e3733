"""The real child runs a real model, and what it did is kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.app.machine_run import measure
from freehold.cli.machine_speed import read_runs, write_runs
from freehold.hostinfo.probe import probe
from freehold.planner.speed_cpu import writes
from freehold.serving.gguf import read_header
from tests.models import starter_model

pytestmark = pytest.mark.models


def test_a_run_is_kept_and_told(tmp_path: Path) -> None:
    path = starter_model("smollm2-135m")
    shape, profile = read_header(path).shape, probe()
    runs = asyncio.run(measure([("smollm2-135m", path, shape)], threads=1, unix_ms=1_790_000_000_000))
    (written,), (read,) = runs.writing, runs.reading
    assert 0 < written.tok_per_s < read.tok_per_s
    assert read.prompt_tokens > 100
    assert 0 <= runs.taken_share <= 1
    write_runs(tmp_path, profile, runs)
    found, _ = read_runs(tmp_path, profile)
    assert found == runs
    told = writes(shape, replace(profile, measured=found), threads=1, depth_tokens=written.depth_tokens)
    assert told.tok_per_s == pytest.approx(written.tok_per_s, rel=0.1)
