"""How likely it is that passages hold an answer, and what is done when that is not likely."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace

import pytest

from bench.vault.support_fit import Searched, fair_threshold, fit_support, support_quality, threshold_for
from freehold.domain.vault import Hit
from freehold.vault.abstaining import AnswerSigns, should_abstain
from freehold.vault.cite import cite
from freehold.vault.support import features, from_json, probability, to_json
from freehold.vault.support_shipped import shipped_support, support, support_at, support_model
from tests.support.passages import passage

RIGHT = passage("Alan Turing, a mathematician, was born in London in 1912 and died in 1954.", number=1)
NEAR = passage("London is a city in England with nine million people. A mathematician lives there.", number=2)
FAR = passage("The moon is a long way off, and nobody goes there any more.", number=3)
QUESTION = "When was the mathematician Alan Turing born?"


def hits(*scores: float) -> list[Hit]:
    return [Hit(chunk_id=place, score=score) for place, score in enumerate(scores)]


def test_numbers_of_a_search_that_found_it_and_of_one_that_did_not() -> None:
    good = features(QUESTION, [RIGHT, NEAR, FAR], words=hits(9.0, 3.0, 1.0), vectors=hits(0.9, 0.7, 0.6))
    bad = features(QUESTION, [NEAR, FAR], words=hits(3.0, 2.9), vectors=hits(0.72, 0.71))
    for name in ("covered", "covered_lead", "near", "terms", "words_lead", "cosine", "cosine_lead"):
        assert good[name] > bad[name], name
    for name in ("sharp_missing", "nowhere"):
        assert good[name] < bad[name], name


def test_nothing_found_has_numbers_too() -> None:
    assert all(math.isfinite(each) for each in features(QUESTION, [], words=[]).values())
    assert all(math.isfinite(each) for each in features("", [FAR], words=hits(0.0)).values())
    assert support(QUESTION, [], words=[]) == 0.0


def test_the_shipped_model_tells_them_apart() -> None:
    good = support(QUESTION, [RIGHT, NEAR, FAR], words=hits(9.0, 3.0, 1.0))
    bad = support(QUESTION, [NEAR, FAR], words=hits(3.0, 2.9))
    assert good is not None
    assert bad is not None
    assert bad < support_at() < good


def test_of_vectors_that_nothing_was_learned_with_nothing_is_said() -> None:
    assert support(QUESTION, [RIGHT], words=hits(9.0), vectors=hits(0.9), embedder="unheard-of") is None
    assert support(QUESTION, [RIGHT], words=hits(9.0), vectors=(), embedder="unheard-of") is not None
    assert support_at("unheard-of") == 0.5
    assert support_model("unheard-of") is None


def test_what_ships_says_what_it_was_learned_on() -> None:
    names = {each.embedder for each in shipped_support()}
    assert "" in names
    for each in shipped_support():
        assert "XQuAD" in each.calibrated_on
        assert each.measured["n"] >= 200
        assert each.measured["abstained"] >= 0.8
        assert each.measured["answered"] >= 0.7


def searches(count: int) -> list[Searched]:
    chance = random.Random(5)
    made = ((chance.gauss(), chance.gauss(), place % 2 == 1) for place in range(count))
    return [
        Searched(numbers={"a": one + 2 * is_there, "b": other}, answerable=is_there) for one, other, is_there in made
    ]


def test_the_threshold_is_where_the_worst_language_is_best_off() -> None:
    model = fit_support(searches(400), embedder="", calibrated_on="made")
    lenient = [replace(each, numbers={**each.numbers, "a": each.numbers["a"] + 1.0}) for each in searches(300)]
    alone = fair_threshold(model, [searches(300)])
    both = fair_threshold(model, [searches(300), lenient])
    assert both > alone
    worst = min(support_quality(model, lenient, threshold=each).abstained for each in (alone, both))
    assert support_quality(model, lenient, threshold=both).abstained > worst


def test_learning() -> None:
    model = fit_support(searches(400), embedder="", calibrated_on="made")
    found = support_quality(model, searches(700)[400:], threshold=0.5)
    assert found.auc > 0.7
    assert found.ece < 0.12
    weights = {name: weight for name, _, _, weight in model.features}
    assert weights["a"] > 5 * abs(weights["b"])
    at = threshold_for(model, searches(400), abstained=0.9)
    assert support_quality(model, searches(400), threshold=at).abstained == pytest.approx(0.9, abs=0.02)
    with pytest.raises(ValueError, match="with and without"):
        fit_support([each for each in searches(20) if each.answerable], embedder="", calibrated_on="made")


def test_probability_rises_with_the_score_and_is_never_sure() -> None:
    model = fit_support(searches(200), embedder="", calibrated_on="made")
    told = [probability(model, {"a": step / 4 - 8, "b": 0.0}) for step in range(64)]
    assert told == sorted(told)
    assert 0 < told[0] < told[-1] < 1
    assert probability(model, {}) == pytest.approx(
        probability(model, {name: mean for name, mean, _, _ in model.features})
    )


def test_written_and_read() -> None:
    models = shipped_support()
    assert from_json(to_json(models)) == models


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["format"], 9),
        (["models", 0, "knots"], []),
        (["models", 0, "knots"], [[1.0, 0.5], [0.0, 0.6]]),
        (["models", 0, "features", 0, 2], 0.0),
        (["models", 0, "intercept"], float("nan")),
        (["models", 0, "features", 0], ["a"]),
        (["models"], None),
    ],
)
def test_broken_data_is_told(path: list[str | int], value: object) -> None:
    told = json.loads(to_json(shipped_support()))
    inner = told
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(ValueError, match="not"):
        from_json(json.dumps(told))


@pytest.mark.parametrize(
    ("answer", "support_told", "logprob", "abstains"),
    [
        ("Turing was born in 1912.", 0.9, -0.2, False),
        ("Turing was born in 1912.", 0.6, None, False),
        ("Turing was born in 1912.", None, None, False),
        ("Turing was born in 1912.", 0.3, -0.2, True),
        ("This is not in your documents.", 0.9, -0.2, True),
        ("Turing was born in 1913.", 0.6, -0.2, True),
        ("Turing was born in 1913.", None, -2.2, False),
        ("Turing was born in 1913.", 0.95, -0.2, False),
        ("Turing was born in 1913.", 0.95, -2.2, True),
    ],
)
def test_when_it_is_said_that_the_documents_do_not_say(
    answer: str, support_told: float | None, logprob: float | None, abstains: bool
) -> None:
    cited = cite(answer, [RIGHT])
    assert should_abstain(AnswerSigns(support=support_told, cited=cited, logprob=logprob)) is abstains
