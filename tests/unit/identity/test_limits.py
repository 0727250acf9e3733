"""Whether a request fits: the decider alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.limits import Bound, Limit, Measure, Subject, SubjectKind, Window
from freehold.identity.limits import Allowed, Count, Reason, Refused, decide

TENANT = Subject(SubjectKind.TENANT, "acme")
NOW_MS = 1_000_000
ENDS_MS = 1_030_000


def count(
    amount: int, *, used: int = 0, reserved: int = 0, measure: Measure = Measure.TOKENS, ends: int = ENDS_MS
) -> Count:
    currency = "EUR" if measure is Measure.MONEY else ""
    limit = Limit(subject=TENANT, measure=measure, window=Window.MINUTE, amount=amount, currency=currency)
    return Count(limit=limit, used=used, reserved=reserved, ends_unix_ms=ends)


def bound(tokens: int = 10, micros: int = 7) -> Bound:
    return Bound(tokens=tokens, micros=lambda _: micros)


@pytest.mark.parametrize(
    ("one", "reason", "retry_s"),
    [
        (count(100), None, None),
        (count(100, used=90), None, None),
        (count(100, used=80, reserved=10), None, None),
        (count(100, used=91), Reason.LITTLE_LEFT, 30),
        (count(100, used=80, reserved=11), Reason.HELD, 1),
        (count(100, used=100), Reason.REACHED, 30),
        (count(100, used=250), Reason.REACHED, 30),
        (count(0), Reason.REACHED, 30),
        (count(9), Reason.NEVER, None),
        (count(100, used=100, ends=NOW_MS - 5), Reason.REACHED, 1),
        (count(3, used=2, reserved=1, measure=Measure.REQUESTS), Reason.HELD, 1),
        (count(3, used=2, measure=Measure.REQUESTS), None, None),
        (count(6, measure=Measure.MONEY), Reason.NEVER, None),
        (count(7, measure=Measure.MONEY), None, None),
    ],
)
def test_one_limit(one: Count, reason: Reason | None, retry_s: int | None) -> None:
    answer = decide([one], bound(), unix_ms=NOW_MS)
    if reason is None:
        assert isinstance(answer, Allowed)
    else:
        assert isinstance(answer, Refused)
        assert (answer.reason, answer.retry_after_s) == (reason, retry_s)


def test_the_limit_that_keeps_it_out_for_longest_is_told() -> None:
    soon, late, held = count(10, used=10), count(10, used=10, ends=ENDS_MS + 60_000), count(10, reserved=9)
    for counts in ([soon, late, held], [late, held, soon]):
        answer = decide(counts, bound(), unix_ms=NOW_MS)
        assert isinstance(answer, Refused)
        assert (answer.count, answer.retry_after_s) == (late, 90)
    never = decide([late, count(5)], bound(), unix_ms=NOW_MS)
    assert isinstance(never, Refused)
    assert never.retry_after_s is None


def test_what_is_set_aside_is_of_what_each_limit_counts() -> None:
    counts = [count(50, measure=Measure.REQUESTS), count(50), count(50, measure=Measure.MONEY)]
    assert decide(counts, bound(), unix_ms=NOW_MS) == Allowed(amounts=(1, 10, 7))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 60), st.integers(0, 60)), max_size=4), st.integers(0, 60))
def test_whatever_passes_exceeds_no_limit(numbers: list[tuple[int, int, int]], tokens: int) -> None:
    counts = [count(amount, used=used, reserved=reserved) for amount, used, reserved in numbers]
    answer = decide(counts, bound(tokens), unix_ms=NOW_MS)
    fits = all(used < amount and used + reserved + tokens <= amount for amount, used, reserved in numbers)
    assert isinstance(answer, Allowed) is fits
