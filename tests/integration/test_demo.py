"""`make demo` does what the README says; it exits with 1 if anything that it is to show did not happen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models import VARIABLE, starter_model

ROOT = Path(__file__).parents[2]


@pytest.mark.models
def test_the_demo_shows_everything_it_promises() -> None:
    if os.environ.get(VARIABLE):
        pytest.skip(f"{VARIABLE} is set; the demo fetches its own models")
    for name in ("smollm2-135m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"):
        starter_model(name)
    outcome = subprocess.run(
        [sys.executable, "-m", "demo"], cwd=ROOT, capture_output=True, text=True, timeout=540, check=False
    )
    assert outcome.returncode == 0, outcome.stdout[-4000:] + outcome.stderr[-2000:]
    assert outcome.stdout.count("answered by ") >= 12
    assert "NO " not in outcome.stdout.rpartition("What was shown")[2]
