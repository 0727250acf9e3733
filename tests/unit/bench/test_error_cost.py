"""The error-cost bench judges what it says."""

import numpy as np
import pytest

from bench.routing.error_cost import _map, _probability, _scored
from freehold.routing.envelope import Choice, Rung


def test_a_recorded_log_probability_becomes_the_share_that_was_right():
    draw = np.random.default_rng(1)
    confs = np.log(draw.uniform(0.2, 1.0, 4_000))
    right = (draw.uniform(size=4_000) < np.exp(confs)).astype(float)
    weights = _map(confs.tolist(), right.tolist())
    for share in (0.3, 0.5, 0.8):
        assert _probability(weights, float(np.log(share))) == pytest.approx(share, abs=0.05)


def test_a_pair_pays_for_the_second_only_where_it_is_asked():
    rungs = {
        "small": Rung(name="small", cost=1.0, right=[1.0, 0.0, 0.0, 1.0], probability=[0.9, 0.2, 0.8, 0.4]),
        "large": Rung(name="large", cost=10.0, right=[1.0, 1.0, 1.0, 0.0]),
    }
    pair = Choice(first="small", second="large", accept_at=0.5, cost=0, quality=0)
    assert _scored(pair, rungs) == (1.0 + 10.0 * 0.5, 1 - 0.5)
    assert _scored(Choice(first="large", cost=0, quality=0), rungs) == (10.0, 0.25)
