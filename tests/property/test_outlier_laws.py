"""Leaving servers alone, whatever they do: the last one stays, and everyone comes back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.decisions import Candidate, PolicyDecision
from freehold.domain.health import CallWindow, FailureKind
from freehold.engines.ejection import BUSY_MAX_S, REST_MAX_S, Ejection
from freehold.routing.outliers import EJECTED_SHARE_MAX, ejectable, success_rate_outliers
from freehold.routing.plan import make_plan
from tests.support.routing import chat, deployment, route

windows = st.builds(
    lambda calls, share: CallWindow(calls=calls, failures=int(calls * share)), st.integers(0, 1_000), st.floats(0, 1)
)


@given(st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), windows, max_size=40), st.integers(0, 40))
def test_at_most_a_tenth_or_one_and_never_the_last(found, ejected):
    ejected = min(ejected, len(found))
    chosen = ejectable(success_rate_outliers(found), peers=len(found), ejected=ejected)
    assert set(chosen) <= set(found)
    if chosen:
        assert ejected + len(chosen) <= max(1, EJECTED_SHARE_MAX * len(found))
        assert ejected + len(chosen) < len(found)


events = st.tuples(
    st.sampled_from(["local", "upstream", "busy", "ok", "cancel", "outlier"]), st.sampled_from([0.0, 1.0, 11.0, 40.0])
)


@given(st.lists(events, max_size=80), st.floats(0, 1))
def test_everyone_comes_back_and_one_answer_makes_them_well(history, share):
    ejection, now_s = Ejection(jitter=lambda: share), 0.0
    for what, pause_s in history:
        now_s += pause_s
        trial = ejection.began(now_s)
        if what in ("local", "upstream"):
            ejection.failed(FailureKind(what), now_s=now_s, code="X", trial=trial)
        elif what == "ok":
            if trial:
                ejection.answering(now_s)
            ejection.succeeded(now_s)
        else:
            if trial:
                ejection.abandoned()
            if what == "busy":
                ejection.busy(7.0, now_s=now_s)
            elif what == "outlier":
                ejection.eject(now_s, "outlier")
        standing = ejection.standing(now_s)
        assert standing.left_s <= max(REST_MAX_S, BUSY_MAX_S)
        assert standing.ready or standing.reason
    now_s += REST_MAX_S + BUSY_MAX_S
    assert ejection.standing(now_s).ready
    if ejection.began(now_s):
        ejection.answering(now_s)
    ejection.succeeded(now_s)
    assert ejection.standing(now_s).ready
    assert not ejection.is_ejected


@given(st.lists(st.booleans(), min_size=1, max_size=5))
def test_a_plan_keeps_whoever_is_left_alone(ready):
    places = [deployment(f"d{number}") for number in range(len(ready))]
    candidates = [
        Candidate(deployment=each, decision=PolicyDecision(deployment=each.name, allowed=True), ready=is_ready)
        for each, is_ready in zip(places, ready, strict=True)
    ]
    plan = make_plan(chat(), route(*(each.name for each in places)), candidates)
    assert {each.name for each in plan.steps} == {each.name for each in places}
