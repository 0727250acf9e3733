"""The retry budget, whatever comes: never more than a fifth of the requests and ten a second, each good for ten seconds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.routing.retries import BUDGET_LIFE_S, BUDGET_PER_S, BUDGET_SHARE, PARALLEL_MAX, RetryBudget

steps = st.lists(
    st.tuples(
        st.sampled_from(["request", "take", "take", "end"]),
        st.sampled_from([0.0, 0.3, 1.0, 2.7, 9.9, 10.0, 30.0]),
        st.sampled_from([1, 3, 40, 250]),
    ),
    max_size=40,
)


@given(steps)
def test_retries_of_any_stretch_are_paid_for(given_):
    budget, now_s, running = RetryBudget(), 0.0, 0
    requests: list[float] = []
    taken: list[float] = []
    for what, pause_s, times in given_:
        now_s += pause_s
        for _ in range(times):
            if what == "request":
                budget.request(now_s)
                requests.append(now_s)
            elif what == "end" and running:
                budget.ended()
                running -= 1
            elif what == "take" and budget.take(now_s):
                taken.append(now_s)
                running += 1
                assert running <= PARALLEL_MAX
                budget.ended()
                running -= 1
    for begin_s in {0.0, *taken}:
        for end_s in {*taken}:
            if begin_s > end_s:
                continue
            paid = sum(1 for at in requests if begin_s - BUDGET_LIFE_S <= at <= end_s)
            seconds = end_s - begin_s + BUDGET_LIFE_S
            spent = sum(1 for at in taken if begin_s <= at <= end_s)
            assert spent <= BUDGET_SHARE * paid + BUDGET_PER_S * seconds + 1e-6
    # From its beginning on, nothing but the first second is paid in advance.
    assert len(taken) <= BUDGET_SHARE * len(requests) + BUDGET_PER_S * (now_s + 1) + 1e-6
