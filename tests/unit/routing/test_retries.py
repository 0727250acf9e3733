"""When a call is made once more."""

from __future__ import annotations

import pytest

from freehold.domain.errors.engine import EngineCrashed
from freehold.domain.errors.upstream import UpstreamBroken, UpstreamStatus, UpstreamUnreachable
from freehold.routing.retries import PARALLEL_MAX, Failure, RetryBudget, RetryBudgets, backoff_s, decide_retry


def broken(*, reached="unknown", reused=False):
    error = UpstreamBroken(deployment="d", reason="r")
    error.reached_model, error.reused = reached, reused
    return error


def unreachable():
    error = UpstreamUnreachable(deployment="d", reason="r")
    error.reached_model = "no"
    return error


def decided(error, *, budget=None, share=0.5, **fields):
    usual = {"begun": False, "retries": 0, "more_permitted": False, "now_s": 100.0, "deadline_s": 200.0}
    return decide_retry(Failure(error=error, **(usual | fields)), budget=budget or RetryBudget(), jitter=lambda: share)


def test_nothing_reached_the_model_and_nobody_else_is_left():
    retry = decided(unreachable())
    assert (retry.again, retry.wait_s, retry.reason, retry.budgeted) == (True, 0.025, "not_reached", True)


def test_a_kept_connection_that_was_closed_is_replaced_at_once_whoever_else_is_left():
    retry = decided(broken(reused=True), more_permitted=True)
    assert (retry.again, retry.wait_s, retry.reason) == (True, 0.0, "stale_connection")


def test_a_refusal_to_be_measured_costs_nothing():
    error = UpstreamStatus(deployment="d", upstream_status=400, reason="r", about="logprobs")
    empty = RetryBudget()
    while empty.take(100.0):
        empty.ended()
    retry = decided(error, budget=empty)
    assert (retry.again, retry.wait_s, retry.budgeted) == (True, 0.0, False)


@pytest.mark.parametrize(
    ("error", "fields", "reason"),
    [
        (unreachable(), {"more_permitted": True}, "next_deployment"),
        (unreachable(), {"retries": 1}, "retried"),
        (broken(reused=True), {"begun": True}, "begun"),
        (broken(reached="yes", reused=True), {}, "reached_model"),
        (broken(), {}, "reached_model"),
        (UpstreamStatus(deployment="d", upstream_status=429, reason="r"), {}, "reached_model"),
        (UpstreamStatus(deployment="d", upstream_status=503, reason="r"), {}, "reached_model"),
        (EngineCrashed(deployment="d", how="by signal 9"), {}, "reached_model"),
        (unreachable(), {"deadline_s": 100.02}, "no_time"),
    ],
)
def test_not_again(error, fields, reason):
    assert (decided(error, **fields).again, decided(error, **fields).reason) == (False, reason)


def test_what_is_not_paid_for_is_not_retried():
    budget, taken = RetryBudget(), 0
    while decided(unreachable(), budget=budget).again:
        budget.ended()
        taken += 1
    assert taken == 10
    assert decided(unreachable(), budget=budget).reason == "no_budget"
    for _ in range(5):
        budget.request(100.0)
    assert decided(unreachable(), budget=budget).again


def test_what_was_paid_goes_stale():
    budget = RetryBudget()
    for _ in range(10_000):
        budget.request(0.0)
    taken = 0
    budget.take(0.0)
    budget.ended()
    while budget.take(10.5):
        budget.ended()
        taken += 1
    assert taken == 100


def test_few_run_at_a_time():
    budget = RetryBudget()
    assert [budget.take(0.0) for _ in range(PARALLEL_MAX + 1)] == [True] * PARALLEL_MAX + [False]
    budget.ended()
    assert budget.take(0.0)


def test_pauses_double_up_to_a_bound():
    assert [backoff_s(n, jitter=lambda: 1.0) for n in (0, 1, 2, 5, 6, 1000)] == [0.05, 0.1, 0.2, 1.6, 2.0, 2.0]
    assert backoff_s(3, jitter=lambda: 0.0) == 0.0


def test_budgets_of_deployments_that_are_gone_are_forgotten():
    budgets = RetryBudgets()
    old = budgets.of("old")
    assert budgets.of("old") is old
    budgets.keep({"new"})
    assert budgets.of("old") is not old
