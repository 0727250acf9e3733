"""The time of a look-up tells nothing of the keys; figures with more samples: ``python -m bench.key_timing``."""

from __future__ import annotations

from bench.key_timing import THRESHOLD, measure, welch_t

SAMPLES = 3_000


def test_68_the_time_of_a_look_up_does_not_depend_on_the_key() -> None:
    found = measure(SAMPLES, seed=68)
    assert found["refused"][0] < THRESHOLD, found
    assert found["accepted"][0] < THRESHOLD, found
    assert found["control"][0] > 5 * THRESHOLD, f"a comparison that stops early was not found: {found}"


def test_the_statistic_is_welchs() -> None:
    # Worked by hand: means 2 and 5, variances 1 and 4, three and three.
    assert abs(welch_t([1, 2, 3], [3, 5, 7]) - (2 - 5) / (1 / 3 + 4 / 3) ** 0.5) < 1e-12
    assert welch_t([1, 1], [1, 1]) == 0.0
