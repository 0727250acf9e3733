"""A seed is a run: the same one every time, in every process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.simulation.run import run_seed

ROOT = Path(__file__).parents[2]
SEEDS = range(7, 13)
_DIGEST = """
from tests.simulation.test_determinism import digest
print(digest())
"""


def digest() -> str:
    """Of everything that happened under some seeds."""
    text = "\n".join("\n".join((*run.trace, *run.findings)) for run in map(run_seed, SEEDS))
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_seed_run_twice_gives_the_same_trace() -> None:
    first, second = run_seed(11), run_seed(11)
    assert first.trace == second.trace
    assert first.trace


def test_different_seeds_give_different_traces() -> None:
    assert run_seed(1).trace != run_seed(2).trace


def test_another_process_with_another_hash_seed_sees_the_same() -> None:
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "4711",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
    }
    other = subprocess.run(
        [sys.executable, "-c", _DIGEST], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == digest()
