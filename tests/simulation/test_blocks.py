"""Memory, counted in allocated blocks: rounds of the same seeds leave nothing behind, and one object a request is seen.

Counting blocks has no noise to speak of, but it is blind to what C code allocates; windows of real load watch that.
"""

from __future__ import annotations

import gc
import sys
from typing import Any
from unittest import mock

from freehold.gateway.pipeline import Pipeline
from tests.simulation.run import run_seed

SEEDS = range(40)
WARM_UP_ROUNDS = 2
ROUNDS = 2
BLOCKS_A_REQUEST = 0.1


def _round() -> int:
    return sum(run_seed(seed).requests for seed in SEEDS)


def _blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


def growth() -> float:
    """Blocks that each request leaves behind."""
    for _ in range(WARM_UP_ROUNDS):
        _round()
    before = _blocks()
    requests = sum(_round() for _ in range(ROUNDS))
    return (_blocks() - before) / requests


def test_requests_leave_nothing_behind() -> None:
    assert growth() < BLOCKS_A_REQUEST


def test_one_object_a_request_would_be_seen() -> None:
    kept: list[bytes] = []
    original = Pipeline.answer

    def leaking(self: Pipeline, *args: Any, **more: Any) -> Any:
        kept.append(bytes(31))
        return original(self, *args, **more)

    with mock.patch.object(Pipeline, "answer", leaking):
        assert growth() > BLOCKS_A_REQUEST
