"""What routing promises whatever it is given."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.decisions import Candidate, PolicyDecision
from freehold.domain.errors.base import FreeholdError
from freehold.domain.zones import DEVICE, LAN, WORLD, Zone
from freehold.routing.calibration import Feature, from_json, from_score, probability, to_json
from freehold.routing.candidates import unable_reason
from freehold.routing.plan import make_plan
from tests.support.routing import calibration, chat, deployment, route

NAMES = ("a", "b", "c", "d", "e")
finite = st.floats(-1e6, 1e6)


@st.composite
def candidates(draw):
    name = draw(st.sampled_from(NAMES))
    zone = draw(st.sampled_from([DEVICE, LAN, WORLD, Zone("eu")]))
    where = deployment(name, zone, context_tokens=draw(st.sampled_from([1, 4096])), embeds=draw(st.booleans()))
    decided_for = draw(st.sampled_from([name, name, name, "other"]))
    return Candidate(
        deployment=where,
        decision=PolicyDecision(deployment=decided_for, allowed=draw(st.booleans())),
        unable=draw(st.sampled_from(["", "", "images"])),
        ready=draw(st.booleans()),
    )


@given(
    order=st.lists(st.sampled_from(NAMES), max_size=6),
    given_=st.lists(candidates(), max_size=8),
    text=st.sampled_from(["Hi", "x" * 400]),
)
def test_no_plan_contains_a_forbidden_or_unable_deployment_or_one_outside_the_route(order, given_, text):
    request = chat(text)
    try:
        plan = make_plan(request, route(*order), given_)
    except FreeholdError as error:
        assert error.http_status in {400, 403}
        return
    steps = [step.name for step in plan.steps]
    assert steps, "a plan is never empty"
    assert len(set(steps)) == len(steps)
    assert set(steps) <= set(order)
    for step in plan.steps:
        about = [each for each in given_ if each.deployment.name == step.name]
        assert all(each.decision.allowed and each.decision.deployment == step.name for each in about)
        assert unable_reason(request, step) == ""
    rejected = [each.deployment.name for each in plan.rejected]
    assert not set(rejected) & set(steps)


@given(
    order=st.permutations(NAMES),
    zones=st.lists(st.sampled_from([DEVICE, LAN]), min_size=5, max_size=5),
    ready=st.sets(st.sampled_from(NAMES)),
)
def test_readiness_never_moves_a_deployment_past_another_zone(order, zones, ready):
    by_name = dict(zip(NAMES, zones, strict=True))
    given_ = [
        Candidate(
            deployment=deployment(name, by_name[name]),
            decision=PolicyDecision(deployment=name, allowed=True),
            ready=name in ready,
        )
        for name in NAMES
    ]
    steps = [step.name for step in make_plan(chat(), route(*order), given_).steps]
    assert [by_name[name] for name in steps] == [by_name[name] for name in order], "zones come in the route's order"
    for same in (ready, set(NAMES) - ready):
        for zone in (DEVICE, LAN):
            kept = [name for name in order if name in same and by_name[name] == zone]
            assert [name for name in steps if name in kept] == kept


@st.composite
def calibrations(draw):
    features = draw(
        st.lists(
            st.builds(
                Feature,
                name=st.sampled_from(["logprob_mean", "logprob_min", "tokens_log", "missing:logprob_min"]),
                mean=finite,
                scale=st.floats(1e-6, 1e6),
                weight=st.floats(-1e3, 1e3),
            ),
            max_size=4,
        )
    )
    return calibration(
        features=tuple(features),
        intercept=draw(finite),
        slope=draw(st.floats(0, 1e3)),
        offset=draw(st.floats(-1e3, 1e3)),
        n=draw(st.integers(1, 10**6)),
    )


signals = st.dictionaries(st.sampled_from(["logprob_mean", "logprob_min", "tokens_log"]), finite)


@given(fitted=calibrations(), measured=signals)
def test_a_probability_is_strictly_between_zero_and_one(fitted, measured):
    assert 0 < probability(fitted, measured) < 1


@given(fitted=calibrations(), low=finite, high=finite)
def test_a_probability_never_falls_as_the_score_rises(fitted, low, high):
    low, high = sorted((low, high))
    assert from_score(fitted, low) <= from_score(fitted, high)


@given(fitted=calibrations(), measured=signals)
def test_a_calibration_survives_json(fitted, measured):
    again = from_json(to_json(fitted))
    assert again == fitted
    assert math.isclose(probability(again, measured), probability(fitted, measured))
