"""Which questions and pairs of models are replayed, and what decides between the two."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from freehold.domain.errors.evals import RouterImpossible
from freehold.domain.errors.replay import NothingToReplay
from freehold.evals.replay.options import Options, Score
from freehold.evals.replay.run import replay
from freehold.evals.replay.schema import Query, Recorded, Tables
from freehold.evals.replay.select import Workload, chosen, pair_of, workloads
from tests.support.recorded import tiny

TINY = tiny()


def one(tables: Tables, **options: Any) -> Workload:
    (found,) = workloads(tables, Options(**options))
    return found


def answered(*rows: tuple[str, str, float, float | None]) -> Tables:
    """Question, model, whether right, cost."""
    queries = [Query(qid=qid, benchmark="w") for qid in dict.fromkeys(row[0] for row in rows)]
    outcomes = [Recorded(qid=qid, model=model, correct=right, cost_usd=cost) for qid, model, right, cost in rows]
    return Tables(name="set", queries=queries, outcomes=outcomes)


def priced(**models: tuple[int, float | None]) -> Tables:
    """How many of ten answers are right, and what each costs."""
    return answered(
        *((f"q{at}", model, float(at < right), cost) for model, (right, cost) in models.items() for at in range(10))
    )


def test_the_test_split_is_taken_where_there_is_one() -> None:
    names, sums = workloads(TINY, Options())
    assert (names.name, sums.name) == ("names", "sums")
    assert {query.split for query in [*names.queries, *sums.queries]} == {"test"}
    assert (names.left_out, sums.left_out) == (0, 2)
    everything = one(TINY, workload="sums", split="all")
    assert {query.split for query in everything.queries} == {"test", "train"}
    assert one(priced(a=(5, 1.0))).split == "all"


def test_models_are_listed_best_first_with_what_they_cost() -> None:
    found = one(TINY, workload="sums")
    assert [model.name for model in found.models] == ["large", "medium", "small"]
    large = found.models[0]
    assert large.answered == len(found.queries)
    assert 0.0006 < (large.cost_usd or 0) < 0.0012
    assert one(answered(("q", "a", 1.0, None), ("r", "a", 1.0, 2.0))).models[0].cost_usd is None


def test_a_label_sought_by_chance_stands_for_many() -> None:
    tables = answered(("q", "a", 1.0, None), ("r", "a", 0.0, None))
    rare = [replace(tables.outcomes[0], sought=0.25), tables.outcomes[1]]
    assert one(replace(tables, outcomes=rare)).models[0].quality == 4 / 5


def test_labels_that_nobody_sought_by_chance_are_left_out_unless_there_are_no_others() -> None:
    rows = [replace(each, sought=0.0) if each.qid < "t-100" else each for each in TINY.outcomes]
    options = Options(workload="sums", weak="small", strong="large", resamples=0)
    asked = one(TINY, workload="sums").queries
    early = sum(query.qid < "t-100" for query in asked)
    found = replay([replace(TINY, outcomes=rows)], options).workloads[0]
    assert found.pairs[0].questions == len(asked) - early
    assert (
        f"small → large: {early} questions are left out, judged since somebody chose to, not by chance" in found.notes
    )
    rows = [replace(each, sought=0.0) for each in rows]
    found = replay([replace(TINY, outcomes=rows)], options).workloads[0]
    assert found.pairs[0].questions == len(asked)
    assert found.models == replay([TINY], options).workloads[0].models
    assert (
        f"small → large: {len(asked)} questions are all there is, judged since somebody chose to, not by chance"
        in found.notes
    )


def test_pairs_that_nobody_would_choose_are_left_out() -> None:
    tables = priced(a=(3, 1.0), dear=(3, 2.0), b=(6, 3.0), c=(9, 9.0), worse=(2, 4.0))
    pairs, told = chosen(one(tables), Options())
    assert pairs == [("a", "b"), ("a", "c"), ("b", "c")]
    assert told == "pairs of models that no cheaper one matches"


def test_pairs_that_hardly_differ_are_left_out_where_there_are_others() -> None:
    close = answered(
        *(
            (f"q{at}", m, float(at < right), cost)
            for m, right, cost in (("a", 40, 1.0), ("b", 60, 2.0), ("c", 61, 3.0))
            for at in range(100)
        )
    )
    assert chosen(one(close), Options()) == (
        [("a", "b"), ("a", "c")],
        "pairs of models that no cheaper one matches, at least 0.03 apart",
    )
    assert chosen(one(close), Options(weak="b"))[0] == [("b", "c")]
    alone = replace(close, outcomes=[each for each in close.outcomes if each.model != "a"])
    assert chosen(one(alone), Options())[0] == [("b", "c")]


def test_without_costs_the_best_model_is_the_strong_one() -> None:
    pairs, told = chosen(one(priced(a=(3, None), b=(6, None), c=(9, None))), Options())
    assert pairs == [("a", "c"), ("b", "c")]
    assert told == "each model with the best one, since costs are not recorded"


def test_named_models_are_taken_as_they_are() -> None:
    workload = one(priced(a=(3, 1.0), b=(6, 3.0), c=(9, 9.0)))
    assert chosen(workload, Options(weak="c", strong="a")) == ([("c", "a")], "")
    assert chosen(workload, Options(weak="b"))[0] == [("b", "c")]
    assert chosen(workload, Options(strong="b"))[0] == [("a", "b")]
    assert chosen(workload, Options(weak="x"))[0] == []


def test_the_score_is_the_first_that_is_recorded() -> None:
    workload = one(TINY, workload="sums")
    pair = pair_of(workload, "small", "large", Options())
    assert pair
    assert (pair.score, pair.scored_by) == (Score.CONFIDENCE, "confidence (logprob_answer)")
    first = workload.answers["small"][workload.queries[0].qid]
    assert pair.need[0] == -(first.conf or 0.0)
    assert pair.sure[0] == pytest.approx(math.exp(first.conf or 0.0))
    assert pair_of(workload, "small", "large", Options(score=Score.NONE)).need == ()  # pyright: ignore[reportOptionalMemberAccess]


def test_a_calibrated_probability_is_preferred() -> None:
    rows = [
        replace(each, probability=0.9 if each.correct else None) if each.model == "small" else each
        for each in TINY.outcomes
    ]
    pair = pair_of(one(replace(TINY, outcomes=rows), workload="sums"), "small", "large", Options())
    assert pair
    assert pair.score is Score.PROBABILITY
    assert pair.unscored == sum(right == 0 for right in pair.low)
    assert {need for need, right in zip(pair.need, pair.low, strict=True) if right} == {-0.9}
    assert {need for need, right in zip(pair.need, pair.low, strict=True) if not right} == {math.inf}


def test_agreement_counts_who_says_the_same() -> None:
    rows = {"weak": 0, "one": 0, "two": 1, "strong": 0}
    outcomes = [
        Recorded(qid=qid, model=model, correct=1.0, answer_id=said if qid == "q" else -1)
        for qid in ("q", "r")
        for model, said in rows.items()
    ]
    tables = Tables(name="s", queries=[Query(qid="q", benchmark="w"), Query(qid="r", benchmark="w")], outcomes=outcomes)
    for options, need in ((Options(), -1.0), (Options(helpers=("one",)), -1.0), (Options(helpers=("two",)), 0.0)):
        pair = pair_of(one(tables), "weak", "strong", options)
        assert pair
        assert (pair.score, list(pair.need)) == (Score.AGREEMENT, [need, math.inf])
        assert pair.sure == ()


def test_helpers_are_the_best_that_are_no_better() -> None:
    outcomes = [
        Recorded(qid=f"q{at}", model=model, correct=float(at < right), answer_id=0)
        for model, right in (("weak", 5), ("better", 6), ("near", 4), ("far", 1), ("strong", 9), ("equal", 5))
        for at in range(10)
    ]
    queries = [Query(qid=f"q{at}", benchmark="w") for at in range(10)]
    pair = pair_of(one(Tables(name="s", queries=queries, outcomes=outcomes)), "weak", "strong", Options())
    assert pair
    assert pair.scored_by == "agreement with equal, near"


def test_questions_that_one_of_both_did_not_answer_are_left_out_and_said() -> None:
    rows = [replace(each, correct=None) if each.qid == "t-001" else each for each in TINY.outcomes]
    found = replay(
        [replace(TINY, outcomes=rows)], Options(workload="sums", weak="small", strong="large", resamples=0)
    ).workloads[0]
    assert found.pairs[0].missing == 1
    assert any("1 question is left out" in note for note in found.notes)


def test_the_question_alone_is_learnt_from_half_and_measured_on_the_other() -> None:
    tables = tiny(questions=400)
    options = Options(workload="sums", score=Score.QUESTION)
    pair = pair_of(one(tables, workload="sums"), "small", "large", options)
    assert pair
    whole = len(one(tables, workload="sums").queries)
    assert pair.scored_by == f"the question alone, learnt from {whole // 2} others"
    assert len(pair.need) == len(pair.low) == whole - whole // 2
    again = pair_of(one(tables, workload="sums"), "small", "large", options)
    assert again == pair
    with pytest.raises(RouterImpossible):
        pair_of(one(tiny(questions=90), workload="sums"), "small", "large", options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weak": "tiny"}, "no model is called 'tiny'; there are: large, medium, small"),
        ({"helpers": ("x",)}, "no model is called 'x'"),
        ({"workload": "poems"}, "the tables have no questions of workload poems"),
        ({"split": "dev"}, "the tables have no questions of split dev"),
    ],
)
def test_names_that_are_not_there_are_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(NothingToReplay) as caught:
        replay([TINY], Options(**options))
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (answered(("q", "a", 1.0, None)), "no two models have questions in common"),
        (Tables(name="s", queries=[Query(qid="q", benchmark="w")], outcomes=[]), "of no answer it is known"),
    ],
)
def test_what_cannot_be_replayed_is_said(tables: Tables, message: str) -> None:
    with pytest.raises(NothingToReplay) as caught:
        replay([tables], Options())
    assert message in caught.value.message


def test_two_models_without_a_question_in_common() -> None:
    tables = answered(("q", "a", 1.0, None), ("r", "b", 1.0, None))
    with pytest.raises(NothingToReplay, match="a and b have no question in common"):
        replay([tables], Options(weak="a", strong="b"))
