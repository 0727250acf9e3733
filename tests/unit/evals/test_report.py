import json

from freehold.evals.answers import Answer
from freehold.evals.calibrate import Graded
from freehold.evals.question import Grading, Part, Question
from freehold.evals.report import as_text, report
from freehold.routing.calibration import probability
from tests.support.routing import calibration

FITTED = calibration(held_out=calibration().crossed)


def graded(index, right):
    question = Question(
        id=f"q{index}", kind=f"k{index % 2}", prompt=f"p{index}", grading=Grading.CONTAINS, answers=("a",)
    )
    signals = {"logprob_mean": -index / 50, "tokens_log": 1.0}
    return Graded(
        question=question, answer=Answer(text="a", finish_reason=None, logprobs=()), signals=signals, right=right
    )


SHOWN = [graded(index, index % 3 > 0) for index in range(100)]
REPORT = report(FITTED, SHOWN)


def test_only_the_parts_that_were_not_fitted_on_count():
    checked = [each for each in SHOWN if each.question.part is not Part.FIT]
    assert sum(row.answers for row in REPORT.reliability) == len(checked)
    row = next(row for row in REPORT.coverage if row.accept_at == 0.7)
    accepted = [each.right for each in checked if probability(FITTED, each.signals) >= 0.7]
    assert row.coverage == len(accepted) / len(checked)
    assert row.accuracy == sum(accepted) / len(accepted)


def test_coverage_falls_and_kinds_hold_all_answers():
    coverage = [row.coverage for row in REPORT.coverage]
    assert coverage == sorted(coverage, reverse=True)
    assert [(row.kind, row.answers) for row in REPORT.kinds] == [("k0", 50), ("k1", 50)]
    assert sum(row.right for row in REPORT.kinds) == sum(each.right for each in SHOWN)


def test_text_and_json_show_the_same_numbers():
    text, values = as_text(REPORT), json.loads(json.dumps(REPORT.as_json()))
    assert f"AUROC {values['crossed']['auroc']:.3f}" in text
    assert "held out" in text
    assert "k1" in text


def test_nothing_accepted_has_no_accuracy():
    empty = report(FITTED, [])
    assert [row.accuracy for row in empty.coverage] == [None] * len(empty.coverage)
    assert "-" in as_text(empty)
