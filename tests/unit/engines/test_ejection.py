"""When a server is left alone, and how it comes back."""

from __future__ import annotations

import pytest

from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.request import ContextTooLong
from freehold.domain.errors.upstream import (
    UpstreamBroken,
    UpstreamProtocol,
    UpstreamStatus,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from freehold.domain.health import CallWindow, FailureKind
from freehold.engines.ejection import BUSY_MAX_S, FAILURES_MAX, REST_MAX_S, REST_S, SHARE_CALLS_MIN, WINDOW_S, Ejection
from freehold.engines.health import failure_kind

LOCAL, UPSTREAM = FailureKind.LOCAL, FailureKind.UPSTREAM


def machine(share: float = 0.0) -> Ejection:
    return Ejection(jitter=lambda: share)


def ill(now_s: float = 0.0) -> Ejection:
    ejection = machine()
    for _ in range(FAILURES_MAX):
        ejection.failed(LOCAL, now_s=now_s, code="X")
    return ejection


def test_kinds_are_counted_apart_and_an_answer_proves_that_it_can_be_reached() -> None:
    ejection = machine()
    for _ in range(FAILURES_MAX - 1):
        ejection.failed(LOCAL, now_s=0, code="X")
    ejection.failed(UPSTREAM, now_s=0, code="Y")
    ejection.failed(LOCAL, now_s=0, code="X")
    assert ejection.standing(0).ready
    for _ in range(FAILURES_MAX - 1):
        ejection.failed(UPSTREAM, now_s=0, code="Y")
    assert ejection.standing(0).reason == "5 failures in a row, last Y"


def test_rests_grow_to_their_longest_and_shrink_with_healthy_windows() -> None:
    ejection, now_s = ill(), 0.0
    for times in range(1, 13):
        rest_s = ejection.standing(now_s).left_s
        assert rest_s == min(REST_S * times, REST_MAX_S)
        now_s += rest_s
        assert ejection.began(now_s)
        ejection.failed(LOCAL, now_s=now_s, code="X", trial=True)
    now_s += REST_MAX_S
    assert ejection.began(now_s)
    ejection.answering(now_s)
    ejection.succeeded(now_s)
    now_s += 11 * WINDOW_S
    for _ in range(FAILURES_MAX):
        ejection.failed(LOCAL, now_s=now_s, code="X")
    assert ejection.standing(now_s).left_s == REST_S * 3


def test_a_trial_that_began_to_be_answered_lets_others_come_and_its_failure_is_believed_at_once() -> None:
    ejection = ill()
    assert ejection.began(REST_S)
    assert not ejection.standing(REST_S).ready
    ejection.answering(REST_S)
    assert ejection.standing(REST_S).ready
    ejection.failed(LOCAL, now_s=REST_S + 1, code="X")
    assert not ejection.standing(REST_S + 1).ready


def test_calls_that_were_sent_all_the_same_fail_without_a_longer_rest_and_end_it_where_one_is_answered() -> None:
    ejection = ill()
    for _ in range(20):
        assert not ejection.began(1.0)
        ejection.failed(LOCAL, now_s=1.0, code="X")
    assert ejection.standing(1.0).left_s == REST_S - 1
    ejection.succeeded(2.0)
    assert ejection.standing(2.0).ready


def test_several_trials_that_fail_count_as_one() -> None:
    ejection = ill()
    assert [ejection.began(REST_S) for _ in range(3)] == [True] * 3
    for _ in range(3):
        ejection.failed(LOCAL, now_s=REST_S, code="X", trial=True)
    assert ejection.standing(REST_S).left_s == 2 * REST_S
    assert ejection.standing(3 * REST_S).ready


def test_failing_most_of_the_time_is_enough_once_there_are_enough_calls() -> None:
    def after(calls: int, answered_every: int) -> Ejection:
        ejection = machine()
        for number in range(calls):
            if number % answered_every == 0:
                ejection.succeeded(1.0)
            else:
                ejection.failed((LOCAL, UPSTREAM)[number % 2], now_s=1.0, code="X")
        return ejection

    # Never five in a row: each kind is interrupted, by the other one or by an answer.
    often = after(SHARE_CALLS_MIN + 10, 8)
    assert "calls failed" in often.standing(1.0).reason
    often.succeeded(2.0)
    assert not often.standing(2.0).ready, "one answer does not refute a share"
    assert after(SHARE_CALLS_MIN - 10, 8).standing(1.0).ready
    assert after(SHARE_CALLS_MIN + 10, 4).standing(1.0).ready


@pytest.mark.parametrize(
    ("asked_s", "share", "rest_s"), [(7, 0, 7), (7, 1, 8.75), (1e9, 0, BUSY_MAX_S), (None, 0, 1), (-5, 1, 0)]
)
def test_busy_is_no_illness(asked_s: float | None, share: float, rest_s: float) -> None:
    ejection = machine(share)
    for _ in range(2 * FAILURES_MAX):
        ejection.busy(asked_s, now_s=0)
    assert ejection.standing(0).left_s == rest_s
    assert not ejection.is_ejected
    assert ejection.standing(rest_s).ready


def test_a_sweep_takes_what_ended_since_the_last_one() -> None:
    ejection = machine()
    ejection.succeeded(0)
    ejection.failed(LOCAL, now_s=0, code="X")
    assert ejection.swept() == CallWindow(calls=2, failures=1)
    assert ejection.swept() == CallWindow()


def status(number: int) -> UpstreamStatus:
    return UpstreamStatus(deployment="d", upstream_status=number, reason="r")


def unread() -> UpstreamTimeout:
    error = UpstreamTimeout(deployment="d", what="w", seconds=1)
    error.unread = True
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UpstreamUnreachable(deployment="d", reason="r"), LOCAL),
        (UpstreamTimeout(deployment="d", what="w", seconds=1), LOCAL),
        (unread(), None),
        (UpstreamBroken(deployment="d", reason="r"), LOCAL),
        (UpstreamProtocol(deployment="d", reason="r"), UPSTREAM),
        (status(500), UPSTREAM),
        (status(401), UPSTREAM),
        (status(429), FailureKind.CAPACITY),
        (status(529), FailureKind.CAPACITY),
        (status(400), None),
        (status(404), None),
        (ContextTooLong(prompt_tokens=2, deployment="d", context_tokens=1), None),
    ],
)
def test_whose_failure_an_error_is(error: FreeholdError, kind: FailureKind | None) -> None:
    assert failure_kind(error) is kind
