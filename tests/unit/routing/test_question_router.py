"""Learning from outcomes which questions need the strong model."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from freehold.domain.errors.evals import RouterImpossible
from freehold.evals.curves import Curve
from freehold.routing.question_router import WITHOUT_NUMPY_MAX, Question, learn

SUMS, NAMES = "How much is {} plus {} times {}?", "Who wrote the {} about {} and {}?"
WORDS = ("letter", "poem", "song", "rivers", "horses", "winter", "islands", "bread")


def _questions(n: int, *, seed: int, vectors: bool = True, texts: bool = True) -> tuple[list[Question], list[float]]:
    """Sums, which only the strong model can do, and names, which both know; one in eight the other way round."""
    draw = random.Random(seed)
    found: list[Question] = []
    gains: list[float] = []
    for _ in range(n):
        is_sum = draw.random() < 0.5
        parts = [str(draw.randrange(100)) if is_sum else draw.choice(WORDS) for _ in range(3)]
        raw = [draw.gauss(1.0 if is_sum == (place == 0) else 0.0, 0.4) for place in range(4)]
        length = math.sqrt(sum(each * each for each in raw))
        found.append(
            Question(
                text=(SUMS if is_sum else NAMES).format(*parts) if texts else "",
                vector=tuple(each / length for each in raw) if vectors else (),
            )
        )
        gains.append(float(is_sum != (draw.random() < 0.125)))
    return found, gains


def _apgr(scores: list[float], gains: list[float]) -> float:
    return Curve(scores, [0.0] * len(gains), gains).apgr()


@pytest.mark.parametrize("module", [None, np])
@pytest.mark.parametrize("has", ["both", "texts", "vectors"])
def test_it_learns_what_needs_the_strong_model(module: object, has: str) -> None:
    kinds = {"vectors": has != "texts", "texts": has != "vectors"}
    questions, gains = _questions(120, seed=1, **kinds)
    router = learn(questions, gains, seed=1, numpy=module)
    asked, wanted = _questions(200, seed=2, **kinds)
    assert _apgr(router.scores(asked), wanted) > 0.65
    assert _apgr(list(router.crossed), gains) > 0.65
    views = {"texts": {"surface", "words"}, "vectors": {"vector", "neighbours"}}
    assert set(router.weights) == views.get(has, views["texts"] | views["vectors"])


def test_numpy_changes_the_speed_only() -> None:
    questions, gains = _questions(100, seed=3)
    plain, fast = learn(questions, gains, seed=1), learn(questions, gains, seed=1, numpy=np)
    assert np.allclose(plain.scores(questions), fast.scores(questions), atol=1e-3)


def test_nothing_is_learnt_from_gains_by_chance() -> None:
    questions, _ = _questions(150, seed=4)
    draw = random.Random(9)
    gains = [float(draw.random() < 0.5) for _ in questions]
    router = learn(questions, gains, seed=1, numpy=np)
    asked, _ = _questions(400, seed=5)
    others = [float(draw.random() < 0.5) for _ in asked]
    assert abs(_apgr(router.scores(asked), others) - 0.5) < 0.08


def test_the_same_outcomes_and_seed_give_the_same_router() -> None:
    questions, gains = _questions(80, seed=6)
    one, other = (learn(questions, gains, seed=7, numpy=np).scores(questions) for _ in range(2))
    assert one == other


def test_what_cannot_be_learnt_from_is_refused() -> None:
    questions, gains = _questions(WITHOUT_NUMPY_MAX + 1, seed=1)
    with pytest.raises(RouterImpossible, match="59 outcomes of questions, and 60"):
        learn(questions[:59], gains[:59], seed=1)
    with pytest.raises(RouterImpossible, match="without numpy"):
        learn(questions, gains, seed=1)
    mixed = [Question(text=each.text) if at % 2 else Question(vector=each.vector) for at, each in enumerate(questions)]
    with pytest.raises(RouterImpossible, match="no view sees all"):
        learn(mixed, gains, seed=1, numpy=np)


def test_no_questions_have_no_scores() -> None:
    questions, gains = _questions(60, seed=1)
    assert learn(questions, gains, seed=1, numpy=np).scores([]) == []
