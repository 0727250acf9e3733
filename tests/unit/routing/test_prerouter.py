"""When is a local try left out? Only when it is surely hopeless, on enough of the tenant's own questions, near enough."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.domain.certificates import LabelKind
from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Terms
from freehold.domain.outcomes import AnswerOutcome
from freehold.domain.zones import DEVICE, LAN, WORLD, Zone
from freehold.routing.neighbours import KNOWN_MAX, remember
from freehold.routing.prerouter import Prerouted, preroute, workload_of
from tests.support.histories import MODEL, WIDTH, history, outcome, scored_on, vector


def deployment(name: str, zone: Zone = DEVICE) -> Deployment:
    return Deployment(name=name, engine=EngineKind.OPENAI, model=ModelCard(name=name), zone=zone, terms=Terms())


SMALL, LARGE, CLOUD = deployment("small"), deployment("large", LAN), deployment("cloud", WORLD)
HARD, EASY, STRANGE = 0, 1, 2


def asked(
    outcomes: list[AnswerOutcome], kind: int, *steps: Deployment, attempts_max: int = 2, accept_at: float = 0.7
) -> Prerouted:
    known = remember(outcomes, question_model=MODEL)
    assert known is not None
    question = vector(kind, random.Random(99))
    return preroute(known, question, steps or (SMALL, CLOUD), attempts_max=attempts_max, accept_at=accept_at)


def names(found: Prerouted) -> list[str]:
    return [step.name for step in found.steps]


HOPELESS = {"small": (0.1, 0.9), "cloud": (0.9, 0.95)}


def test_a_hopeless_try_is_left_out_and_it_is_said_why() -> None:
    found = asked(history(300, right=HOPELESS), HARD)
    assert names(found) == ["cloud"]
    assert [step.name for step in found.spare] == ["small"]
    (skip,) = found.skips
    assert (skip.deployment, skip.to) == ("small", "cloud")
    assert skip.why.startswith("right in ") and "questions like it, cloud in " in skip.why


def test_the_same_tenants_easy_questions_are_tried_locally() -> None:
    assert names(asked(history(300, right=HOPELESS), EASY)) == ["small", "cloud"]


def test_a_question_unlike_all_known_ones_is_tried_locally() -> None:
    assert names(asked(history(300, right=HOPELESS), STRANGE)) == ["small", "cloud"]


def test_what_nobody_does_better_is_tried_locally() -> None:
    """Too hard for the small one is not enough: the next one must be surely better on the same questions."""
    assert names(asked(history(300, right={"small": (0.1, 0.9), "cloud": (0.12, 0.95)}), HARD)) == ["small", "cloud"]


def test_without_pairs_nothing_is_left_out() -> None:
    assert names(asked(history(300, right={"small": (0.05, 0.9)}), HARD)) == ["small", "cloud"]


def test_the_stronger_ones_own_label_is_a_pair() -> None:
    agreed = history(300, right={"small": (0.1, 0.9)}, label_kind=LabelKind.AGREEMENT, judged_by="cloud")
    assert names(asked(agreed, HARD)) == ["cloud"]


def test_half_right_is_not_hopeless() -> None:
    assert names(asked(history(300, right={"small": (0.5, 0.9), "cloud": (0.95, 0.95)}), HARD)) == ["small", "cloud"]


def test_little_history_decides_nothing() -> None:
    assert remember(history(39, right=HOPELESS), question_model=MODEL) is None
    assert names(asked(history(60, right=HOPELESS), HARD)) == ["small", "cloud"]


def test_vectors_of_another_model_or_length_are_not_compared() -> None:
    outcomes = history(300, right=HOPELESS)
    assert remember(outcomes, question_model="sha256:other@28") is None
    known = remember(outcomes, question_model=MODEL)
    assert known is not None
    assert preroute(known, (1.0, 0.0), (SMALL, CLOUD), attempts_max=2, accept_at=0.7).steps == (SMALL, CLOUD)
    assert workload_of(known, (1.0, 0.0), ["general"]) == ""


def test_who_tries_once_is_not_sent_further() -> None:
    assert names(asked(history(300, right=HOPELESS), HARD, attempts_max=1)) == ["small", "cloud"]


def test_what_is_not_at_home_is_never_left_out() -> None:
    outcomes = history(300, right={"cloud": (0.05, 0.9), "other": (0.95, 0.95)})
    assert names(asked(outcomes, HARD, CLOUD, deployment("other", WORLD))) == ["cloud", "other"]


def test_of_two_local_models_the_surely_better_one_is_chosen() -> None:
    """The small one is right more often than not, but not as often as the route accepts."""
    outcomes = history(400, right={"small": (0.52, 0.95), "large": (0.9, 0.95), "cloud": (0.95, 0.95)})
    assert names(asked(outcomes, HARD, SMALL, LARGE, CLOUD, accept_at=0.8)) == ["large", "cloud"]
    assert names(asked(outcomes, EASY, SMALL, LARGE, CLOUD, accept_at=0.8)) == ["small", "large", "cloud"]


def test_what_is_hopeless_twice_is_left_out_twice_where_the_plan_could_come_to_the_third() -> None:
    outcomes = history(400, right={"small": (0.02, 0.9), "large": (0.25, 0.9), "cloud": (0.97, 0.95)})
    assert names(asked(outcomes, HARD, SMALL, LARGE, CLOUD, attempts_max=3)) == ["cloud"]
    assert names(asked(outcomes, HARD, SMALL, LARGE, CLOUD, attempts_max=2)) == ["large", "cloud"]


def test_labels_count_by_the_chance_they_were_sought_with() -> None:
    """Every escalated answer is labelled, and one accepted in ten: the plain mean would say that a third are right."""
    draw = random.Random(5)
    outcomes: list[AnswerOutcome] = []
    for at in range(600):
        question = vector(HARD, draw)
        is_escalated = at % 3 == 0
        if not is_escalated and draw.random() >= 0.1:
            continue
        sought = 1.0 if is_escalated else 0.1
        outcomes.append(
            outcome(
                f"r{at}",
                "small",
                question=question,
                right=not is_escalated,
                sought=sought,
                accepted=not is_escalated,
                label_kind=LabelKind.AGREEMENT,
                judged_by="cloud",
            )
        )
    assert names(asked(outcomes, HARD)) == ["small", "cloud"]
    assert names(asked([replace(each, sought=1.0) for each in outcomes], HARD)) == ["cloud"]


def test_accepted_answers_that_nobody_would_ever_label_are_taken_for_right() -> None:
    draw = random.Random(5)
    outcomes = [
        outcome(
            f"r{at}",
            "small",
            question=vector(HARD, draw),
            accepted=at % 3 > 0,
            right=None if at % 3 else False,
            sought=0.0 if at % 3 else 1.0,
            label_kind=None if at % 3 else LabelKind.AGREEMENT,
            judged_by="" if at % 3 else "cloud",
        )
        for at in range(300)
    ]
    assert names(asked(outcomes, HARD)) == ["small", "cloud"]
    assert names(asked([each for each in outcomes if each.right is not None], HARD)) == ["cloud"]


def test_a_kind_of_task_is_named_where_the_neighbours_agree() -> None:
    mixed = [
        replace(each, scored_on=scored_on(workload="sums" if int(each.request_id[1:]) % 2 == HARD else "names"))
        for each in history(200, right={"small": (0.5, 0.5)})
    ]
    known = remember(mixed, question_model=MODEL)
    assert known is not None
    draw = random.Random(7)
    assert workload_of(known, vector(HARD, draw), ["sums", "names"]) == "sums"
    assert workload_of(known, vector(EASY, draw), ["sums", "names"]) == "names"
    assert workload_of(known, vector(EASY, draw), ["sums"]) == ""
    assert workload_of(known, vector(STRANGE, draw), ["sums", "names"]) == ""


def test_only_the_newest_questions_are_remembered() -> None:
    old = [outcome(f"o{at}", "small", question=(1.0,) * 4, right=False) for at in range(KNOWN_MAX)]
    new = [outcome(f"n{at}", "small", question=(0.5,) * 4, right=True) for at in range(100)]
    known = remember([*old, *new], question_model=MODEL)
    assert known is not None
    assert len(known.codes) == KNOWN_MAX
    assert sum(known.judged["small"].right) == 100


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    small=st.floats(0, 1),
    cloud=st.floats(0, 1),
    kind=st.integers(0, 2),
    attempts_max=st.integers(1, 3),
    zones=st.lists(st.sampled_from([DEVICE, LAN, WORLD]), min_size=1, max_size=3),
)
def test_it_only_leaves_out_first_steps_at_home(
    seed: int, small: float, cloud: float, kind: int, attempts_max: int, zones: list[Zone]
) -> None:
    steps = tuple(deployment(name, zone) for name, zone in zip(("small", "large", "cloud"), zones, strict=False))
    outcomes = history(
        120, right={"small": (small, small), "large": (cloud, small), "cloud": (cloud, cloud)}, seed=seed
    )
    found = asked(outcomes, kind, *steps, attempts_max=attempts_max)
    assert found.spare + found.steps == steps
    assert found.steps
    assert len(found.spare) < max(1, attempts_max)
    assert all(step.zone in (DEVICE, LAN) for step in found.spare)
    assert [skip.deployment for skip in found.skips] == [step.name for step in found.spare]


def test_the_centre_is_taken_off() -> None:
    """Vectors of an embedder all point the same way: without their mean, all signs would be alike."""
    draw = random.Random(2)
    outcomes = [
        replace(each, question=tuple(3.0 + value for value in each.question)) for each in history(300, right=HOPELESS)
    ]
    known = remember(outcomes, question_model=MODEL)
    assert known is not None
    assert len(known.centre) == WIDTH
    question = tuple(3.0 + value for value in vector(HARD, draw))
    assert names(preroute(known, question, (SMALL, CLOUD), attempts_max=2, accept_at=0.7)) == ["cloud"]
