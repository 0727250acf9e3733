"""Who is asked first on a route with a worth: the one whose answers to such questions were worth the most, at home."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Terms
from freehold.domain.outcomes import AnswerOutcome
from freehold.domain.zones import DEVICE, LAN, WORLD, Zone
from freehold.routing.first_step import FirstStep, first_step
from freehold.routing.neighbours import remember
from tests.support.histories import MODEL, history, vector


def deployment(name: str, zone: Zone = DEVICE) -> Deployment:
    return Deployment(name=name, engine=EngineKind.OPENAI, model=ModelCard(name=name), zone=zone, terms=Terms())


SMALL, MEDIUM, LARGE, CLOUD = (
    deployment("small"),
    deployment("medium"),
    deployment("large", LAN),
    deployment("cloud", WORLD),
)
HARD, EASY, STRANGE = 0, 1, 2
GAINS = {"small": 0.05, "medium": 0.1, "large": 0.3, "cloud": 0.6}
RIGHT = {"small": (0.05, 0.9), "medium": (0.1, 0.95), "large": (0.95, 0.95), "cloud": (1.0, 1.0)}


def asked(
    kind: int,
    outcomes: list[AnswerOutcome] | None = None,
    *,
    steps: tuple[Deployment, ...] = (MEDIUM, LARGE, SMALL, CLOUD),
    gains: dict[str, float] = GAINS,
) -> FirstStep | None:
    known = remember(history(400, right=RIGHT) if outcomes is None else outcomes, question_model=MODEL)
    assert known is not None
    return first_step(known, vector(kind, random.Random(99)), steps, gains)


def names(found: FirstStep | None) -> list[str]:
    assert found is not None
    return [step.name for step in found.steps]


def test_what_only_the_large_one_knows_is_asked_of_it_at_once() -> None:
    found = asked(HARD)
    assert names(found) == ["large", "cloud"]
    assert found is not None
    assert [step.name for step in found.spare] == ["medium", "small"]
    assert found.why.startswith("right +8") and found.why.endswith(
        "points more often on questions like it, at 3 times the cost"
    )


def test_what_all_know_is_asked_of_the_smallest_where_the_difference_pays_for_nothing() -> None:
    same = {"small": (0.05, 0.95), "medium": (0.1, 0.95), "large": (0.95, 0.95)}
    found = asked(EASY, history(400, right=same), gains={"small": 0.05, "medium": 0.2, "large": 0.4})
    assert names(found) == ["small", "medium", "large", "cloud"]


def test_what_none_knows_is_asked_of_the_cheapest() -> None:
    none = {"small": (0.0, 0.9), "medium": (0.0, 0.95), "large": (0.0, 0.95)}
    assert names(asked(HARD, history(400, right=none)))[0] == "small"


def test_a_lead_within_the_error_changes_nothing() -> None:
    nearly = {"medium": (0.5, 0.5), "large": (0.55, 0.55)}
    found = asked(HARD, history(100, right=nearly), gains={"medium": 0.1, "large": 0.1})
    assert names(found) == ["medium", "large", "small", "cloud"]
    assert found is not None and not found.why and not found.spare


def test_what_an_answer_is_worth_decides() -> None:
    dear = {name: 4 * gain for name, gain in GAINS.items()}
    assert names(asked(HARD))[0] == "large"
    assert names(asked(HARD, gains=dear))[0] != "large"


def test_a_question_unlike_all_known_ones_changes_nothing() -> None:
    assert asked(STRANGE) is None


def test_it_stays_at_home() -> None:
    better = RIGHT | {"large": (0.1, 0.9)}
    assert names(asked(HARD, history(400, right=better), gains=GAINS | {"cloud": 0.0}))[0] != "cloud"
    assert asked(HARD, steps=(CLOUD, MEDIUM)) is None


@pytest.mark.parametrize("missing", ["medium", "large"])
def test_without_pairs_or_a_cost_nothing_is_chosen(missing: str) -> None:
    outcomes = [each for each in history(400, right=RIGHT) if each.deployment != missing]
    found = asked(HARD, outcomes, steps=(MEDIUM, LARGE))
    assert found is None or names(found) == ["medium", "large"]
    priced = {name: gain for name, gain in GAINS.items() if name != missing}
    found = asked(HARD, gains=priced, steps=(MEDIUM, LARGE))
    assert found is None or names(found) == ["medium", "large"]


def test_going_on_costs_what_is_read_and_written_for_such_questions() -> None:
    lengths = {HARD: 900, EASY: 100}
    outcomes = [
        replace(each, output_tokens=lengths[int(each.request_id[1:]) % 2]) for each in history(400, right=RIGHT)
    ]
    found = {kind: asked(kind, outcomes) for kind in lengths}
    hard, easy = (dict(each.gains)["large"] for each in found.values() if each is not None)
    assert hard == pytest.approx(0.3 * 900 / 500, rel=0.05)
    assert easy == pytest.approx(0.3 * 100 / 500, rel=0.05)


def test_tokens_that_nobody_counted_change_no_cost() -> None:
    found = asked(HARD)
    assert found is not None and dict(found.gains) == GAINS


def test_what_is_taken_for_right_is_as_good_as_any_other() -> None:
    """Accepted answers that nobody would ever look at: the large one is not called better on their kind."""
    outcomes = [
        replace(each, right=None, accepted=True, sought=0.0, label_kind=None)
        if each.deployment == "medium" and int(each.request_id[1:]) % 3
        else each
        for each in history(600, right=RIGHT)
        if each.deployment == "medium" or not int(each.request_id[1:]) % 3
    ]
    assert names(asked(HARD, outcomes, gains=GAINS | {"large": 0.5}))[0] != "large"
    known = [each for each in outcomes if each.right is not None]
    assert names(asked(HARD, known, gains=GAINS | {"large": 0.5}))[0] == "large"


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000),
    shares=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    costs=st.lists(st.floats(0, 2), min_size=4, max_size=4),
    kind=st.sampled_from([HARD, EASY]),
    order=st.permutations([SMALL, MEDIUM, LARGE, CLOUD]),
)
def test_nothing_is_lost_and_nothing_leaves_earlier(
    seed: int, shares: list[float], costs: list[float], kind: int, order: list[Deployment]
) -> None:
    all_names = ("small", "medium", "large", "cloud")
    outcomes = history(
        120, right={name: (share, share) for name, share in zip(all_names, shares, strict=True)}, seed=seed
    )
    found = asked(kind, outcomes, steps=tuple(order), gains=dict(zip(all_names, costs, strict=True)))
    if found is None:
        return
    assert sorted(step.name for step in (*found.steps, *found.spare)) == sorted(all_names)
    assert found.steps[0].zone in (DEVICE, LAN)
    assert all(step.zone in (DEVICE, LAN) for step in found.spare)
    gains = dict(found.gains)
    assert all(
        gains[step.name] >= gains[found.steps[0].name] for step in found.steps[1:] if found.why and step is not CLOUD
    )
