"""What several models answered to the same questions, written once they were calibrated."""

from dataclasses import replace

import pytest

from freehold.domain.deployment import ModelCard
from freehold.domain.response import TokenLogprob
from freehold.evals.answers import Answer
from freehold.evals.calibrate import Graded
from freehold.evals.pairing import Answered, forecast, pair
from freehold.evals.question import Grading, Part, Question
from freehold.routing.calibration import probability
from freehold.routing.forecast import scope_of_next
from freehold.routing.paired import from_json, to_json
from tests.support.routing import calibration

SAID = (TokenLogprob(token="a", logprob=-0.1, alternatives=()),) * 4


def graded(index: int, *, right: bool = True, **signals: float) -> Graded:
    question = Question(id=f"q{index}", kind="k", prompt=f"p{index}", grading=Grading.CONTAINS, answers=("a",))
    return Graded(
        question=question,
        answer=Answer(text="a", finish_reason=None, logprobs=SAID, input_tokens=30, busy_ms=250.0),
        signals={"logprob_mean": -0.5, "tokens_log": 1.0, "empty": 0.0, "refusal": 0.0} | signals,
        right=right,
    )


def answered(name: str, answers: list[Graded]) -> Answered:
    model = ModelCard(name=name, digest=f"sha256:{name}")
    return Answered(model=model, calibration=calibration(id=f"cal-{name}"), graded=answers)


FIRST = answered("small", [graded(index, right=index % 3 == 0) for index in range(300)])
SECOND = answered("large", [graded(index) for index in range(280)])


def test_only_questions_that_all_answered_and_no_map_was_fitted_on_are_in_it():
    table = pair([FIRST, SECOND])
    kept = [each for each in SECOND.graded if each.question.part is not Part.FIT]
    small, large = table.models
    assert len(small.right) == len(large.right) == len(kept) < 280
    assert small.right == tuple(float(int(each.question.id[1:]) % 3 == 0) for each in kept)
    assert (small.model_digest, small.calibration) == ("sha256:small", "cal-small")
    assert (small.input_tokens, small.output_tokens, small.latency_ms) == (30.0, 4.0, 250.0)


def test_it_survives_its_file_but_for_digits():
    table = pair([FIRST, SECOND])
    again = from_json(to_json(table))
    assert again.models[0].probability == pytest.approx(table.models[0].probability, abs=6e-4)
    assert [each.right for each in again.models] == [each.right for each in table.models]


def test_an_answer_that_is_never_accepted_has_no_chance():
    silent = replace(FIRST, graded=[graded(index, empty=1.0) for index in range(300)])
    assert set(pair([silent, SECOND]).models[0].probability) == {0.0}


def test_a_forecast_is_fitted_on_the_next_ones_outcomes():
    noise = [((index * 37) % 100) / 100 for index in range(400)]
    lower = answered("small", [graded(index, right=index % 2 == 0, logprob_mean=-at) for index, at in enumerate(noise)])
    upper = answered("large", [graded(index, right=at < 0.6) for index, at in enumerate(noise)])
    told = forecast(lower, upper)
    assert told.scope == scope_of_next(upper.model)
    assert told.model_digest == lower.calibration.model_digest
    sure, unsure = ({"logprob_mean": at, "tokens_log": 1.0, "empty": 0.0, "refusal": 0.0} for at in (-0.05, -0.95))
    assert probability(told, sure) > 0.8 > 0.2 > probability(told, unsure)
