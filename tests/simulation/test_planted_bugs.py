"""A test that cannot fail is a defect: each planted bug is found within fifty seeds."""

from __future__ import annotations

import pytest

from tests.simulation.planted import BUGS
from tests.simulation.run import run_seed

SEEDS_MAX = 50


@pytest.mark.parametrize("bug", BUGS)
def test_each_planted_bug_is_found(bug: str) -> None:
    plant, finding = BUGS[bug]
    with plant():
        found = next((seed for seed in range(SEEDS_MAX) if _finds(seed, finding)), None)
    assert found is not None, f"{bug} was not found by {SEEDS_MAX} seeds"


def _finds(seed: int, finding: str) -> bool:
    return any(each.startswith(finding) for each in run_seed(seed).findings)
