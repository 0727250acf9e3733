"""The alarm by betting: silent while the promise is kept, loud when it is broken, and honest about how long that takes."""

import json
import math
import random
from dataclasses import replace

import pytest

from freehold.routing.betting import (
    NOTHING_BET,
    Bets,
    alarm,
    expected_delay,
    expected_labels,
    from_json,
    settle,
    to_json,
)

BETS = Bets.against(0.2)


def outcomes(share, count, seed):
    dice = random.Random(seed)
    return [dice.random() < share for _ in range(count)]


def first_alarm(bets, share, seed, most=100_000):
    dice, state = random.Random(seed), NOTHING_BET
    while not state.alarm_at and state.labels < most:
        state = settle(state, bets, (dice.random() < share,))
    return state.labels


def test_one_step_is_that_of_the_formula():
    """M = max(M, 1)(1 + b(wrong - ε)): b = 1.25, so that a wrong answer doubles, and a right one takes a quarter."""
    state = settle(NOTHING_BET, BETS, [True, True, False])
    assert math.exp(state.log_restarted) == pytest.approx(2 * 2 * 0.75)
    state = settle(NOTHING_BET, BETS, [False, False, True])
    assert math.exp(state.log_restarted) == pytest.approx(2.0)  # from 1, not from 0.5625
    assert math.exp(state.log_whole) == pytest.approx(2 * 0.75**2)


def test_ten_wrong_in_a_row_are_an_alarm_that_stays():
    state = settle(NOTHING_BET, BETS, [True] * 10)
    assert state.alarm_at == 10  # 2**10 is the first above 1,000
    assert alarm(settle(NOTHING_BET, BETS, [True] * 9), BETS) == ""
    later = settle(state, BETS, [False] * 500)
    assert later.alarm_at == 10
    assert alarm(later, BETS) == (
        "more than 20.0% of accepted answers seem to be wrong: 10 of 510 shadowed ones were, and the bet against it passed "
        "1000 to 1 at label 10"
    )


def test_long_good_times_do_not_make_it_deaf():
    good = settle(NOTHING_BET, BETS, [False] * 5_000)
    assert settle(good, BETS, [True] * 10).alarm_at == 5_010


def test_the_run_length_is_kept():
    bets = Bets.against(0.2, run_length=50)
    lengths = [first_alarm(bets, 0.2, seed) for seed in range(200)]
    assert sum(lengths) / len(lengths) > 50
    assert expected_labels(bets, 0.2) == pytest.approx(sum(lengths) / len(lengths), rel=0.3)
    assert expected_labels(BETS, 0.2) >= 1_000


@pytest.mark.parametrize("risk", [0.3, 0.5, 0.9])
def test_the_expected_delay_is_what_runs_show(risk):
    lengths = [first_alarm(BETS, risk, seed) for seed in range(300)]
    assert expected_labels(BETS, risk) == pytest.approx(sum(lengths) / len(lengths), rel=0.15)
    assert expected_labels(BETS, 1.0) == pytest.approx(10.0, abs=0.1)


def test_a_small_breach_is_slow_and_shadowing_less_slower():
    labels = [expected_labels(BETS, risk) for risk in (0.2, 0.22, 0.25, 0.3, 0.4)]
    assert labels == sorted(labels, reverse=True)
    whole = expected_delay(BETS, 0.3, shadowed=1.0)
    assert expected_delay(BETS, 0.3, shadowed=0.1, accepted=0.5) == pytest.approx(20 * whole)
    assert expected_labels(BETS, 0.0) > 1e9


@pytest.mark.parametrize(
    "fields",
    [{"risk_max": 0.0}, {"risk_max": 1.0}, {"bet": 0.0}, {"bet": 5.0}, {"run_length": 1.0}, {"run_length": math.inf}],
)
def test_impossible_bets_are_refused(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        replace(BETS, **fields)


def test_a_state_is_kept_and_resumed():
    state = settle(NOTHING_BET, BETS, outcomes(0.3, 40, 1))
    assert from_json(to_json(state)) == state
    assert settle(from_json(to_json(state)), BETS, [True] * 3) == settle(state, BETS, [True] * 3)


@pytest.mark.parametrize(
    "change", [{"log_whole": float("nan")}, {"wrong": 99}, {"labels": -1}, {"more": 1}, {"wrong": "1"}]
)
def test_a_damaged_state_is_refused(change):
    with pytest.raises(ValueError, match="not a state of bets"):
        from_json(json.dumps(json.loads(to_json(NOTHING_BET)) | change))


@pytest.mark.parametrize("text", ["", "[]", "null", '"x"'])
def test_something_else_is_refused(text):
    with pytest.raises(ValueError):
        from_json(text)
