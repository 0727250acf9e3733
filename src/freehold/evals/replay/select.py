"""Which questions, which pairs of models, and what decides between the two."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from freehold.domain.errors.replay import NothingToReplay
from freehold.evals.replay.learnt import learnt_need
from freehold.evals.replay.options import ALL, GAP_MIN, Options, Score
from freehold.evals.replay.schema import CONTAMINATED, Query, Recorded, Tables

TEST = "test"
HELPERS = 2
"""The second one adds a lot to the first, a third one nothing (recorded outcomes of ten models on MMLU-Pro)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a model is worth on a workload.

    Attributes:
        name: Its name.
        answered: Questions to which it is known whether it was right.
        quality: Mean of being right over these, each as often as it stands for.
        cost_usd: Mean cost of an answer; ``None`` where one is not recorded.
        latency_ms: Mean time of an answer; ``None`` where one is not recorded.
    """

    name: str
    answered: int
    quality: float
    cost_usd: float | None
    latency_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The questions of one workload, and what was answered.

    Attributes:
        set: Name of the set.
        name: Of the workload.
        split: Which questions: a split, or ``all``.
        queries: The questions.
        answers: By model, by question.
        models: The models, best first.
        left_out: Questions that are left out since they are known to be in training data.
    """

    set: str
    name: str
    split: str
    queries: Sequence[Query]
    answers: Mapping[str, Mapping[str, Recorded]]
    models: Sequence[Model]
    left_out: int

    def model(self, name: str) -> Model | None:
        """The model of that name."""
        return next((each for each in self.models if each.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two models' answers to the same questions, one place a question in every row.

    Attributes:
        weak: The model that is asked first.
        strong: The model that is asked where the score says so.
        low: How right the weak model was.
        high: How right the strong model was.
        weights: How many questions each stands for.
        need: How much each needs the strong model; empty where nothing says so.
        sure: Probability of the weak model's answer being right; empty where none was recorded, NaN where it is missing.
        score: What ``need`` is.
        scored_by: The same in words.
        missing: Questions that were left out, since not both are known to be right or wrong.
        by_choice: Questions whose label was sought by no chance that is known; left out, unless that is true of all.
        unscored: Questions without a score: these go to the strong model first.
        weak_cost_usd: Mean cost of the weak model's answer; ``None`` where one is not recorded.
        strong_cost_usd: The same of the strong model's.
    """

    weak: str
    strong: str
    low: Sequence[float]
    high: Sequence[float]
    weights: Sequence[float]
    need: Sequence[float] = ()
    sure: Sequence[float] = ()
    score: Score = Score.NONE
    scored_by: str = ""
    missing: int = 0
    by_choice: int = 0
    unscored: int = 0
    weak_cost_usd: float | None = None
    strong_cost_usd: float | None = None


def mean(values: Sequence[float | None]) -> float | None:
    """The mean; ``None`` where one is missing, or there are none."""
    known = [each for each in values if each is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def workloads(tables: Tables, options: Options) -> Iterator[Workload]:
    """The workloads of a set that were asked for, in order of their names."""
    names = sorted({query.benchmark for query in tables.queries})
    by_qid: dict[str, list[Recorded]] = {}
    for outcome in tables.outcomes:
        by_qid.setdefault(outcome.qid, []).append(outcome)
    for name in names:
        if options.workload in {"", name}:
            of_name = [query for query in tables.queries if query.benchmark == name]
            split = options.split or (TEST if any(query.split == TEST for query in of_name) else ALL)
            asked = [query for query in of_name if split in {ALL, query.split}]
            if asked:
                yield _workload(tables.name, name, split, asked, by_qid)


def _workload(
    set_name: str, name: str, split: str, asked: Sequence[Query], by_qid: Mapping[str, Sequence[Recorded]]
) -> Workload:
    kept = [query for query in asked if query.flag != CONTAMINATED]
    answers: dict[str, dict[str, Recorded]] = {}
    for query in kept:
        for outcome in by_qid.get(query.qid, ()):
            answers.setdefault(outcome.model, {})[query.qid] = outcome
    models = [
        _model(model, rows)
        for model, found in answers.items()
        if (rows := [each for each in found.values() if each.correct is not None])
    ]
    return Workload(
        set=set_name,
        name=name,
        split=split,
        queries=kept,
        answers=answers,
        models=sorted(models, key=lambda each: (-each.quality, each.name)),
        left_out=len(asked) - len(kept),
    )


def _model(name: str, labelled: Sequence[Recorded]) -> Model:
    rows = by_chance(labelled)
    weights = [weight_of(each) for each in rows]
    right = math.fsum((each.correct or 0.0) * weight for each, weight in zip(rows, weights, strict=True))
    return Model(
        name=name,
        answered=len(rows),
        quality=right / math.fsum(weights),
        cost_usd=mean([each.cost_usd for each in rows]),
        latency_ms=mean([each.latency_ms for each in rows]),
    )


def by_chance(rows: Sequence[Recorded]) -> Sequence[Recorded]:
    """Those whose label was sought by a chance that is known; all of them where none was.

    A label that came by no such chance, as from a user who complained, says nothing of answers without one.
    """
    return [each for each in rows if each.sought > 0] or rows


def weight_of(row: Recorded) -> float:
    """For how many answers it stands (Horvitz and Thompson 1952); for itself where that is not known."""
    return 1 / row.sought if row.sought > 0 else 1.0


def chosen(workload: Workload, options: Options) -> tuple[list[tuple[str, str]], str]:
    """The pairs of a workload that are replayed, weak model first, and in words how they were chosen.

    Named models are taken as they are. Else costs decide where all are recorded: a model for which there is a cheaper
    one that is as good is nobody's choice, and of the rest the cheaper one is asked first. Without costs the best model
    is the strong one.
    """
    names = [each.name for each in workload.models]
    if any(name and name not in names for name in (options.weak, options.strong)):
        return [], ""
    if options.weak and options.strong:
        return [(options.weak, options.strong)], ""
    models, told = workload.models, ""
    is_priced = all(each.cost_usd is not None for each in models)
    if not (options.weak or options.strong):
        if is_priced:
            models = [each for each in models if not any(_beats(other, each) for other in models)]
            told = "pairs of models that no cheaper one matches"
        else:
            told = "each model with the best one, since costs are not recorded"
    pairs = [
        (low.name, high.name)
        for high, low in combinations(models, 2)
        if options.weak in {"", low.name}
        and options.strong in {"", high.name}
        and high.quality > low.quality
        and (not is_priced or (high.cost_usd or 0.0) > (low.cost_usd or 0.0))
        and (is_priced or options.weak or options.strong or high is models[0])
    ]
    if told and (close := [each for each in pairs if _gap(workload, each) < GAP_MIN]) and len(close) < len(pairs):
        pairs = [each for each in pairs if each not in close]
        told += f", at least {GAP_MIN:g} apart"
    return sorted(pairs, key=lambda each: (names.index(each[0]) * -1, names.index(each[1]) * -1)), told


def _beats(other: Model, model: Model) -> bool:
    """Whether ``other`` costs less and is at least as good."""
    return (other.cost_usd or 0.0) < (model.cost_usd or 0.0) and other.quality >= model.quality


def _gap(workload: Workload, pair: tuple[str, str]) -> float:
    weak, strong = (workload.model(name) for name in pair)
    return strong.quality - weak.quality if weak and strong else 0.0


def pair_of(workload: Workload, weak: str, strong: str, options: Options, *, numpy: Any = None) -> Pair | None:
    """The answers of two models to the questions where both are known to be right or wrong; ``None`` for no question.

    Raises:
        RouterImpossible: What the question alone says is asked for, and there is too little to learn that from.
    """
    lows, highs = workload.answers[weak], workload.answers[strong]
    rows = [
        (query, low, high)
        for query in workload.queries
        if (low := lows.get(query.qid)) and (high := highs.get(query.qid))
        if low.correct is not None and high.correct is not None
    ]
    if not rows:
        return None
    missing = len(workload.queries) - len(rows)
    if any(low.sought > 0 for _, low, _ in rows):
        by_choice = sum(low.sought <= 0 for _, low, _ in rows)
        rows = [row for row in rows if row[1].sought > 0]
    else:
        by_choice = len(rows)
    if options.score is Score.QUESTION:
        gains = [(high.correct or 0.0) - (low.correct or 0.0) for _, low, high in rows]
        learnt = learnt_need([query for query, _, _ in rows], gains, seed=options.seed, numpy=numpy)
        rows = [rows[place] for place in learnt.places]
        score, need = Score.QUESTION, learnt.need
        told = f"the question alone, learnt from {learnt.learnt_from:,} others"
    else:
        score, need, told = _need(workload, [low for _, low, _ in rows], weak, strong, options)
    weak_rows = [low for _, low, _ in rows]
    return Pair(
        weak=weak,
        strong=strong,
        low=[low.correct or 0.0 for low in weak_rows],
        high=[high.correct or 0.0 for _, _, high in rows],
        weights=[weight_of(low) for low in weak_rows],
        need=need,
        sure=_sure(weak_rows, score),
        score=score,
        scored_by=told,
        missing=missing,
        by_choice=by_choice,
        unscored=sum(each == math.inf for each in need),
        weak_cost_usd=mean([low.cost_usd for low in weak_rows]),
        strong_cost_usd=mean([high.cost_usd for _, _, high in rows]),
    )


def _need(
    workload: Workload, rows: Sequence[Recorded], weak: str, strong: str, options: Options
) -> tuple[Score, Sequence[float], str]:
    """What the score is, its values (infinite where missing), and in words what it is of."""
    wanted = options.score
    if wanted in {Score.AUTO, Score.PROBABILITY} and any(each.probability is not None for each in rows):
        values = [math.inf if each.probability is None else -each.probability for each in rows]
        return Score.PROBABILITY, values, "calibrated probability"
    if wanted in {Score.AUTO, Score.CONFIDENCE} and any(each.conf is not None for each in rows):
        kinds = sorted({each.conf_kind for each in rows if each.conf is not None} - {""})
        values = [math.inf if each.conf is None else -each.conf for each in rows]
        return Score.CONFIDENCE, values, f"confidence ({', '.join(kinds) or 'of no stated kind'})"
    if wanted in {Score.AUTO, Score.AGREEMENT} and any(each.answer_id >= 0 for each in rows):
        helpers = options.helpers or _helpers(workload, weak, strong)
        if helpers:
            values = [_disagreement(workload, each, helpers) for each in rows]
            return Score.AGREEMENT, values, f"agreement with {', '.join(helpers)}"
    return Score.NONE, (), "no score is recorded" if wanted in {Score.AUTO, Score.NONE} else f"no {wanted} is recorded"


def _helpers(workload: Workload, weak: str, strong: str) -> tuple[str, ...]:
    """Models that would be asked for a second opinion: the best that are no better than the weak one, else the nearest."""
    able = [
        each
        for each in workload.models
        if each.name not in {weak, strong} and any(row.answer_id >= 0 for row in workload.answers[each.name].values())
    ]
    own = workload.model(weak)
    quality = own.quality if own else 0.0
    ranked = sorted(able, key=lambda each: (each.quality > quality, abs(each.quality - quality), each.name))
    return tuple(each.name for each in ranked[:HELPERS])


def _disagreement(workload: Workload, row: Recorded, helpers: Sequence[str]) -> float:
    """Minus how many helpers say the same. An answer that could not be read agrees with nothing."""
    if row.answer_id < 0:
        return math.inf
    said = (workload.answers.get(name, {}).get(row.qid) for name in helpers)
    return -float(sum(each is not None and each.answer_id == row.answer_id for each in said))


def _sure(rows: Sequence[Recorded], score: Score) -> Sequence[float]:
    if score is Score.PROBABILITY:
        return [math.nan if each.probability is None else each.probability for each in rows]
    if score is Score.CONFIDENCE:
        return [math.nan if each.conf is None else math.exp(each.conf) for each in rows]
    return ()


def refuse_unknown(found: Sequence[Workload], options: Options) -> None:
    """Say which names are not there.

    Raises:
        NothingToReplay: There is no such workload or split, or no workload has the model.
    """
    if not found:
        told = " ".join(
            part
            for part in (
                f"workload {options.workload}" * bool(options.workload),
                f"split {options.split}" * bool(options.split),
            )
            if part
        )
        raise NothingToReplay(
            reason=f"the tables have no questions of {told}" if told else "the tables have no questions"
        )
    names = sorted({each.name for workload in found for each in workload.models})
    for name in (options.weak, options.strong, *options.helpers):
        if name and name not in names:
            raise NothingToReplay(reason=f"no model is called {name!r}; there are: {', '.join(names) or 'none'}")
