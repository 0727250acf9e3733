"""What must hold of every replay: what a score is written in changes nothing, and nobody is better than the best."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.evals.curves import Curve
from freehold.evals.replay.measure import measured
from freehold.evals.replay.options import Options, Score
from freehold.evals.replay.schema import Query, Recorded, Tables
from freehold.evals.replay.select import Pair
from freehold.evals.replay.tables import read_tables, write

POINT = st.tuples(st.integers(0, 6), st.booleans(), st.booleans(), st.sampled_from([0.5, 1.0, 3.0]))
POINTS = st.lists(POINT, min_size=1, max_size=40)


@given(POINTS)
def test_no_score_beats_the_oracle_and_its_ends_are_the_models(points: list[tuple[int, bool, bool, float]]) -> None:
    scores, weak, strong, weights = ([float(each) for each in row] for row in zip(*points, strict=True))
    curve = Curve(scores, weak, strong, weights)
    best = Curve([high - low for low, high in zip(weak, strong, strict=True)], weak, strong, weights)
    assert curve.quality(0) == pytest.approx(curve.weak)
    assert curve.quality(1) == pytest.approx(curve.strong)
    for share in (0.1, 0.33, 0.5, 0.9):
        assert curve.quality(share) <= best.quality(share) + 1e-9
        turned = Curve([-each for each in scores], weak, strong, weights)
        # What goes to the strong model first and what goes last are all there is.
        gain = (curve.quality(share) - curve.weak) + (turned.quality(1 - share) - turned.weak)
        assert gain == pytest.approx(curve.strong - curve.weak, abs=1e-9)


@given(POINTS, st.integers(0, 3))
@settings(deadline=None, max_examples=25)
def test_only_the_order_of_scores_counts(points: list[tuple[int, bool, bool, float]], seed: int) -> None:
    scores, weak, strong, weights = ([float(each) for each in row] for row in zip(*points, strict=True))
    pair = Pair(
        weak="w", strong="s", low=weak, high=strong, weights=weights, need=scores, score=Score.AGREEMENT, scored_by="x"
    )
    options = Options(seed=seed, resamples=3)
    other = measured(replace(pair, need=[math.exp(each) - 7 for each in scores]), options)
    assert measured(pair, options).numbers == other.numbers


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAME = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=8)
SHARE = st.floats(0, 1, allow_nan=False)


@st.composite
def tables(draw: st.DrawFn) -> Tables:
    names = draw(st.lists(NAME, min_size=1, max_size=4, unique=True))
    queries = [
        Query(qid=name, benchmark=draw(NAME), subject=draw(TEXT), prompt=draw(TEXT), split=draw(TEXT)) for name in names
    ]
    pairs = draw(st.lists(st.tuples(st.sampled_from(names), NAME), min_size=1, max_size=6, unique=True))
    outcomes = [
        Recorded(
            qid=qid,
            model=model,
            correct=draw(st.none() | SHARE),
            conf=draw(st.none() | st.floats(-50, 0)),
            answer_id=draw(st.integers(-1, 9)),
            cost_usd=draw(st.none() | st.floats(0, 1e6)),
            accepted=draw(st.none() | st.booleans()),
            sought=draw(SHARE),
            signals=draw(st.dictionaries(NAME, st.floats(-1e6, 1e6), max_size=3)),
        )
        for qid, model in pairs
    ]
    return Tables(name="set", queries=queries, outcomes=outcomes)


@given(tables())
@settings(deadline=None, max_examples=60)
def test_what_is_written_is_what_is_read(made: Tables) -> None:
    with TemporaryDirectory() as folder:
        assert read_tables(write(made, Path(folder))) == made
