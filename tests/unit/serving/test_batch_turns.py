"""Whose item runs next, and what becomes of one that failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from freehold.domain.errors.admission import QueueFull
from freehold.domain.errors.engine import EngineCrashed
from freehold.domain.errors.limits import BudgetSpent, LimitHeld, LimitReached, LimitTooSmall, RequestOverLimit
from freehold.domain.errors.request import ContextTooLong
from freehold.domain.errors.server import StorageBusy
from freehold.domain.errors.upstream import UpstreamStatus, UpstreamUnreachable
from freehold.serving.batch_turns import Next, Standing, Turns, after_error, pause_s, to_open
from tests.unit.domain.test_batch import NEW


def test_tenants_take_turns_and_the_oldest_batch_of_each_goes_first():
    turns = Turns()
    standing = [
        Standing("batch_1", 1, "ann", "r", 100),
        Standing("batch_2", 2, "ann", "r", 100),
        Standing("batch_3", 3, "bob", "r", 100),
    ]
    picked = [turns.pick(standing, {}).batch_id for _ in range(20)]
    assert Counter(picked) == {"batch_1": 10, "batch_3": 10}
    assert picked[:4] == ["batch_1", "batch_3", "batch_1", "batch_3"]


def test_a_full_lane_lets_others_pass():
    turns = Turns()
    standing = [Standing("batch_1", 1, "ann", "slow", 1), Standing("batch_2", 2, "ann", "fast", 2)]
    assert turns.pick(standing, {"slow": 1}).batch_id == "batch_2"
    assert turns.pick(standing, {"slow": 1, "fast": 2}) is None
    assert turns.pick([], {}) is None


def test_a_newcomer_waits_for_one_item_at_most():
    turns = Turns()
    old, new = Standing("batch_1", 1, "ann", "r", 9), Standing("batch_2", 2, "bob", "r", 9)
    for _ in range(50):
        turns.pick([old], {})
    assert turns.pick([old, new], {}).tenant == "bob"
    turns.keep(["bob"])
    assert turns.pick([old, new], {}).tenant == "ann", "who was away begins anew"


def test_each_tenant_has_a_batch_open_before_anybody_has_two():
    batches = [replace(NEW, id=f"batch_{n}", tenant=tenant) for n, tenant in enumerate("aaabca")]
    assert [each.id for each in to_open(batches, 4)] == ["batch_0", "batch_3", "batch_4", "batch_1"]
    assert len(to_open(batches, 100)) == 6


LIMIT = dict.fromkeys(
    ("subject", "used", "limit", "window", "reserved", "wanted", "left", "resets", "retry_s", "source", "param"), "x"
)
UPSTREAM = {"source": "x", "deployment": "x", "reason": "why"}


@pytest.mark.parametrize(
    ("error", "failures", "becomes"),
    [
        (QueueFull(deployment="x", running=1, waiting=1, retry_s=3), 99, Next.LATER),
        (UpstreamStatus(**UPSTREAM, upstream_status=429), 99, Next.LATER),
        (LimitReached(**LIMIT), 99, Next.LATER),
        (LimitHeld(**LIMIT), 99, Next.LATER),
        (LimitTooSmall(**LIMIT), 99, Next.ALONE),
        (BudgetSpent(**LIMIT), 0, Next.RESULT),
        (RequestOverLimit(**LIMIT), 0, Next.RESULT),
        (UpstreamStatus(**UPSTREAM, upstream_status=429, upstream_code="insufficient_quota"), 0, Next.RESULT),
        (UpstreamStatus(**UPSTREAM, upstream_status=400), 0, Next.RESULT),
        (UpstreamStatus(**UPSTREAM, upstream_status=500), 0, Next.AGAIN),
        (UpstreamStatus(**UPSTREAM, upstream_status=500), 3, Next.RESULT),
        (UpstreamUnreachable(**UPSTREAM), 2, Next.AGAIN),
        (EngineCrashed(deployment="x", how="by signal 9"), 0, Next.AGAIN),
        (StorageBusy(waiting=1, retry_s=1), 0, Next.AGAIN),
        (ContextTooLong(prompt_tokens=9, deployment="x", context_tokens=1), 0, Next.RESULT),
    ],
)
def test_what_becomes_of_an_item_that_met_an_error(error, failures, becomes):
    assert after_error(error, failures=failures, retries=3) is becomes


def test_pauses_are_as_said_and_grow():
    said = QueueFull(deployment="x", running=1, waiting=1, retry_s=30, retry_after_s=30)
    absurd = QueueFull(deployment="x", running=1, waiting=1, retry_s=30, retry_after_s=1e9)
    assert pause_s(absurd, in_a_row=0) == 3_600
    unsaid = UpstreamUnreachable(**UPSTREAM)
    assert pause_s(said, in_a_row=0) == 30
    assert [pause_s(unsaid, in_a_row=n) for n in (0, 1, 2, 50)] == [1, 2, 4, 60]
