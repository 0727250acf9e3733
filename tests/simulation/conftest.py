"""For the simulator."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(autouse=True, scope="module")
def only_what_is_simulated_is_collected() -> None:
    """A simulated gateway collects garbage whenever it is quiet, which is often: not through all other tests' objects.

    Looking through those made the simulator ten times slower.
    """
    gc.collect()
    gc.freeze()
