"""From recorded outcomes to the route that a right answer's worth asks for."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from freehold.domain.certificates import LabelKind
from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Route, Terms
from freehold.domain.zones import DEVICE, WORLD, Zone
from freehold.routing.envelope import Choice
from freehold.routing.paired import (
    PairedOutcomes,
    RecordedModel,
    best_choice,
    cost_optimal,
    from_json,
    to_json,
    with_choice,
)

N = 300
FORCE = frozenset({"cal-small", "cal-medium"})
COSTS = {"small": 1.0, "medium": 10.0, "cloud": 200.0}


def deployment(name: str, zone: Zone = DEVICE, digest: str = "") -> Deployment:
    card = ModelCard(name=f"model-{name}", digest=digest)
    return Deployment(name=name, engine=EngineKind.OPENAI, model=card, zone=zone, terms=Terms())


DEPLOYMENTS = (
    deployment("small", digest="sha256:1"),
    deployment("medium", digest="sha256:2"),
    deployment("cloud", WORLD),
)
ROUTE = Route(name="auto", deployments=("small", "medium", "cloud"), accept_at=0.7)


def table() -> PairedOutcomes:
    draw = random.Random(3)

    def model(name: str, digest: str, calibration: str, skill: float) -> RecordedModel:
        sure = tuple(round(min(1.0, draw.random() + skill), 3) for _ in range(N))
        right = tuple(float(draw.random() < p) for p in sure)
        return RecordedModel(
            model=f"model-{name}",
            model_digest=digest,
            calibration=calibration,
            input_tokens=80,
            output_tokens=12.5,
            latency_ms=300,
            right=right,
            probability=sure if calibration else (),
        )

    models = (
        model("small", "sha256:1", "cal-small", 0.0),
        model("medium", "sha256:2", "cal-medium", 0.4),
        model("cloud", "", "", 0.9),
    )
    return PairedOutcomes(
        workload="general", label_kind=LabelKind.GOLD, question_digest="sha256:q", created="2026-11-30", models=models
    )


def test_a_table_survives_its_file():
    assert from_json(to_json(table())) == table()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format 1"),
        ({"label_kind": "hearsay"}, "hearsay"),
        ({"models": [{"model": "m"}]}, "input_tokens"),
        ({"workload": None, "more": 1}, "more"),
    ],
)
def test_what_is_no_table_is_refused(change: dict[str, object], said: str):
    with pytest.raises(ValueError, match=said):
        from_json(json.dumps(json.loads(to_json(table())) | change))


def test_models_that_answered_other_questions_are_refused():
    first, *others = table().models
    with pytest.raises(ValueError, match="different numbers"):
        from_json(to_json(replace(table(), models=(replace(first, right=first.right[1:]), *others))))


def test_a_probability_out_of_range_is_refused():
    first, *others = table().models
    with pytest.raises(ValueError, match="between 0 and 1"):
        from_json(to_json(replace(table(), models=(replace(first, probability=(1.5,) * N), *others))))


def best(worth: float, **change: object) -> Choice | None:
    known = {"costs": COSTS, "calibrations": FORCE} | change
    return best_choice(DEPLOYMENTS, table(), worth=worth, **known)  # type: ignore[arg-type]


def test_the_first_one_asked_is_at_home_whatever_an_answer_is_worth():
    for worth in (0.5, 5.0, 50.0, 500.0, 5e3, 5e6):
        choice = best(worth)
        assert choice is not None
        assert choice.first in {"small", "medium"}
    assert best(0.5) == replace(best(0.5), first="small", second="")  # type: ignore[type-var]
    assert best(5e6).second == "cloud"  # type: ignore[union-attr]


def test_without_costs_outcomes_or_a_calibration_in_force_nothing_is_chosen():
    assert best(50.0, costs={"small": 1.0, "medium": 10.0}) is None
    assert best(50.0, calibrations=frozenset({"cal-small"})) is None
    assert best_choice((*DEPLOYMENTS, deployment("other")), table(), worth=1, costs=COSTS, calibrations=FORCE) is None


def test_other_weights_are_another_model():
    changed = (deployment("small", digest="sha256:9"), *DEPLOYMENTS[1:])
    assert best_choice(changed, table(), worth=50.0, costs=COSTS, calibrations=FORCE) is None


def test_the_others_stay_behind_the_chosen():
    choice = Choice(first="small", second="cloud", accept_at=1.001, cost=1, quality=1)
    assert with_choice(ROUTE, choice) == replace(
        ROUTE, deployments=("small", "cloud", "medium"), as_written=("small", "medium", "cloud"), accept_at=1.0
    )
    alone = with_choice(ROUTE, replace(choice, first="medium", second="", accept_at=0.0))
    assert alone.deployments == ("medium", "small", "cloud")
    assert alone.accept_at == 0.0


@pytest.mark.parametrize(("cost", "worth", "threshold"), [(0, 5, 1), (1, 4, 0.75), (4, 4, 0), (9, 4, 0)])
def test_the_next_one_is_taken_to_be_right_where_nothing_is_known(cost: float, worth: float, threshold: float):
    assert cost_optimal(cost, worth=worth) == threshold
