"""A test that cannot fail is a defect: each planted bug is found within fifty seeds."""

from __future__ import annotations

import pytest

from tests.simulation.planted import BUGS
from tests.simulation.run import run_seed

SEEDS_MAX = 50


@pytest.mark.parametrize("bug", BUGS)
def test_each_planted_bug_is_found(bug: str) -> None:
    with BUGS[bug]():
        found = next((seed for seed in range(SEEDS_MAX) if run_seed(seed).findings), None)
    assert found is not None, f"{bug} was not found by {SEEDS_MAX} seeds"
