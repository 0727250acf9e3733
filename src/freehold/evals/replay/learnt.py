"""What the question alone says: a router learnt from some of the outcomes, and its scores of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, cast

from freehold.evals.replay.options import LEARNT_MAX
from freehold.evals.replay.schema import Query
from freehold.routing.question_router import Question, learn

VECTOR = "vector"
"""The column of a user's own questions that holds what their embedder made of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """Scores of questions that nothing was learnt from.

    Attributes:
        places: Which questions these are.
        need: How much each needs the strong model.
        learnt_from: How many others the router was learnt from.
    """

    places: Sequence[int]
    need: Sequence[float]
    learnt_from: int


def learnt_need(queries: Sequence[Query], gains: Sequence[float], *, seed: int, numpy: Any = None) -> Learnt:
    """Learn from at most half of the questions, which only the seed chooses, and score the others.

    Args:
        queries: With prompts, or with vectors.
        gains: Quality of the strong answer less that of the weak one.
        seed: Chooses what is learnt from.
        numpy: The module, where it is installed.

    Raises:
        RouterImpossible: There are too few questions, or neither prompts nor vectors.
    """
    count = min(len(queries) // 2, LEARNT_MAX)
    order = sorted(range(len(queries)), key=lambda place: sha256(f"{seed}:{place}".encode()).digest())
    known, asked = order[:count], sorted(order[count:])
    questions = [_question(query) for query in queries]
    router = learn([questions[place] for place in known], [gains[place] for place in known], seed=seed, numpy=numpy)
    return Learnt(places=asked, need=router.scores([questions[place] for place in asked]), learnt_from=count)


def _question(query: Query) -> Question:
    vector = query.extra.get(VECTOR)
    numbers = cast("Sequence[float]", vector) if isinstance(vector, list | tuple) else ()
    return Question(text=query.prompt, vector=numbers)
