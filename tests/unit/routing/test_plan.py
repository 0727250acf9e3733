import pytest

from freehold.domain.decisions import Candidate, PolicyDecision
from freehold.domain.errors.policy import NoPermittedDeployment
from freehold.domain.errors.request import ContentUnsupported, ContextTooLong
from freehold.domain.request import PartKind
from freehold.domain.zones import LAN, Zone
from freehold.routing.plan import make_plan
from tests.support.routing import candidate, chat, deployment, route

SMALL, LARGE = deployment("small"), deployment("large")
LAN_BOX = deployment("box", LAN)
CLOUD = deployment("cloud", Zone("eu"), vision=True, context_tokens=100_000)


def names(plan):
    return [each.name for each in plan.steps]


def test_follows_the_order_of_the_route_whatever_the_order_of_the_candidates():
    plan = make_plan(chat(), route("small", "large", "cloud"), [candidate(each) for each in (CLOUD, LARGE, SMALL)])
    assert names(plan) == ["small", "large", "cloud"]
    assert plan.rejected == ()


def test_leaves_out_what_is_forbidden_or_unable_and_says_why():
    plan = make_plan(
        chat("Look", PartKind.IMAGE),
        route("small", "box", "cloud"),
        [candidate(SMALL), candidate(LAN_BOX, allowed=False), candidate(CLOUD)],
    )
    assert names(plan) == ["cloud"]
    assert [(each.deployment.name, each.unable, each.decision.allowed) for each in plan.rejected] == [
        ("small", "images (it reads only text)", True),
        ("box", "images (it reads only text)", False),
    ]


def test_ready_ones_come_first_only_inside_their_zone():
    starting = [candidate(SMALL, ready=False), candidate(LARGE), candidate(LAN_BOX)]
    assert names(make_plan(chat(), route("small", "large", "box"), starting)) == ["large", "small", "box"]
    assert names(make_plan(chat(), route("small", "box", "large"), starting)) == ["small", "box", "large"]


def test_a_plan_may_be_longer_than_the_attempts_of_its_route():
    plan = make_plan(
        chat(), route("small", "large", "cloud", attempts_max=1), [candidate(e) for e in (SMALL, LARGE, CLOUD)]
    )
    assert len(plan.steps) == 3


def test_a_candidate_outside_the_route_is_not_in_the_plan():
    assert names(make_plan(chat(), route("small"), [candidate(SMALL), candidate(CLOUD)])) == ["small"]


def test_a_decision_about_another_deployment_permits_nothing():
    mixed_up = Candidate(deployment=CLOUD, decision=PolicyDecision(deployment="small", allowed=True))
    with pytest.raises(NoPermittedDeployment):
        make_plan(chat(), route("cloud"), [mixed_up])


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_of_two_decisions_a_denial_wins(order):
    with pytest.raises(NoPermittedDeployment):
        make_plan(chat(), route("cloud"), [candidate(CLOUD, allowed=allowed) for allowed in order])


def test_forbidden_everywhere_names_the_label_and_every_reason():
    with pytest.raises(NoPermittedDeployment) as caught:
        make_plan(
            chat(), route("box", "cloud"), [candidate(e, allowed=False) for e in (LAN_BOX, CLOUD)], label="restricted"
        )
    message = caught.value.message
    assert "labelled restricted" in message
    assert "box: lan is not a zone of the label" in message
    assert "cloud: eu is not a zone of the label" in message


def test_when_the_only_able_deployment_is_forbidden_policy_is_the_reason():
    with pytest.raises(NoPermittedDeployment) as caught:
        make_plan(
            chat("Look", PartKind.IMAGE), route("small", "cloud"), [candidate(SMALL), candidate(CLOUD, allowed=False)]
        )
    assert "cloud: eu is not a zone" in caught.value.message


def test_when_no_deployment_is_able_policy_is_not_the_reason():
    with pytest.raises(ContentUnsupported) as caught:
        make_plan(
            chat("Look", PartKind.IMAGE), route("small", "box"), [candidate(SMALL), candidate(LAN_BOX, allowed=False)]
        )
    assert "images (it reads only text)" in caught.value.message


def test_too_long_for_every_deployment_names_the_longest_context():
    tiny = deployment("tiny", context_tokens=10)
    with pytest.raises(ContextTooLong) as caught:
        make_plan(chat("x" * 80_000), route("tiny", "small"), [candidate(tiny), candidate(SMALL)])
    assert "the prompt has at least 10000 (" in caught.value.message
    assert caught.value.values["deployment"] == "small"


def test_different_inabilities_are_all_named():
    tiny = deployment("tiny", vision=True, context_tokens=10)
    with pytest.raises(ContentUnsupported) as caught:
        make_plan(chat("x" * 800, PartKind.IMAGE), route("tiny", "small"), [candidate(tiny), candidate(SMALL)])
    assert "tiny: a prompt" in caught.value.message
    assert "small: images" in caught.value.message


def test_a_route_without_deployments_permits_nothing():
    with pytest.raises(NoPermittedDeployment, match="the route has no deployment"):
        make_plan(chat(), route(), [])
