"""How likely it is that passages hold the answer to a question: numbers of a search, and what was learned of such. Pure.

The numbers compare a search with itself (shares, margins, cosines), so that they mean the same in a small archive and a
large one. What was learned is data (``vault/data/support.json``) that says on what.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from freehold.domain.vault import Hit, Passage
from freehold.vault.align import Words, covered, has_word, words_of
from freehold.vault.sentences import sentences
from freehold.vault.words import asked_terms, kept_terms

FORMAT = 1
WORDS_ONLY = ""
"""In place of an embedder's name where there is none."""

_LOOKED_AT = 5
_TAIL = 10
_CLIP = 4.0
_WINDOW = 2
_LONG = 4
_NOTHING = words_of("")


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportModel:
    """What was learned for one way of searching.

    Attributes:
        embedder: Model of the vectors; ``WORDS_ONLY`` for none.
        features: Name, mean, scale and weight of each number; one that a search does not have counts as its mean.
        intercept: Constant of the score.
        knots: (score, probability), rising in both; linear in between.
        calibrated_on: What questions, and how many.
        measured: How good it is on further questions, as text: figures with what they were measured on.
    """

    embedder: str
    features: tuple[tuple[str, float, float, float], ...]
    intercept: float
    knots: tuple[tuple[float, float], ...]
    calibrated_on: str
    measured: Mapping[str, float]


def features(
    question: str,
    passages: Sequence[Passage],
    *,
    words: Sequence[Hit],
    vectors: Sequence[Hit] = (),
    reranked: Sequence[float] = (),
) -> dict[str, float]:
    """The numbers of a search.

    Args:
        question: What was asked.
        passages: What was found, best first; the first few are looked at.
        words: What its words found, best first, before anything was left out of it.
        vectors: The same of vectors; none where there are none.
        reranked: Scores of a reranker, best first; none where there is none.
    """
    asked = words_of(question[:1].lower() + question[1:])  # its first word is no name
    found = {"terms_log": math.log(1 + len(asked.weights)), **_coverage(asked, passages[:_LOOKED_AT])}
    found |= _terms(question, passages)
    found |= _margins("words", [each.score for each in words])
    if vectors:
        cosines = [each.score for each in vectors]
        found["cosine"] = cosines[0]
        found["cosine_lead"] = cosines[0] - cosines[1] if len(cosines) > 1 else 0.0
        found["cosine_tail"] = cosines[0] - cosines[min(_TAIL, len(cosines)) - 1]
        found |= _agreement(words, vectors)
    if reranked:
        found["reranked"] = reranked[0]
        found["reranked_lead"] = reranked[0] - reranked[1] if len(reranked) > 1 else 0.0
    return found


def _margins(name: str, scores: Sequence[float]) -> dict[str, float]:
    """How far the best is ahead, in shares of itself."""
    if not scores or scores[0] <= 0:
        return {f"{name}_lead": 0.0, f"{name}_tail": 0.0}
    best = scores[0]
    second = scores[1] if len(scores) > 1 else 0.0
    tail = scores[min(_TAIL, len(scores)) - 1] if len(scores) > 1 else 0.0
    return {f"{name}_lead": (best - second) / best, f"{name}_tail": (best - tail) / best}


def _agreement(words: Sequence[Hit], vectors: Sequence[Hit]) -> dict[str, float]:
    """Whether both halves find the same."""
    first = [each.chunk_id for each in words[:_LOOKED_AT]]
    second = [each.chunk_id for each in vectors[:_LOOKED_AT]]
    same = float(bool(first) and bool(second) and first[0] == second[0])
    return {"same_first": same, "same_few": len(set(first) & set(second)) / _LOOKED_AT}


def _coverage(asked: Words, passages: Sequence[Passage]) -> dict[str, float]:
    """What of the question stands in the passages: in the best one, near together, and of names and numbers."""
    parts = [[words_of(each.text[start:end]) for start, end in sentences(each.text)] for each in passages]
    texts = [_joined(each) for each in parts]
    shares = sorted((covered(asked, each) for each in texts), reverse=True)
    best = max(texts, key=lambda each: covered(asked, each), default=_joined(()))
    near = max((_near(asked, each) for each in parts), default=0.0)
    sharp = {*asked.names, *(number for number, _ in asked.numbers)}
    missing = sum(not has_word(best, each) for each in sharp)
    long_words = [word for word, weight in asked.weights.items() if weight >= 1.0 and len(word) > _LONG]
    nowhere = sum(not any(has_word(each, word) for each in texts) for word in long_words)
    return {
        "covered": shares[0] if shares else 0.0,
        "covered_lead": shares[0] - shares[1] if len(shares) > 1 else 0.0,
        "near": near,
        "sharp_missing": missing / len(sharp) if sharp else 0.0,
        "nowhere": nowhere / len(long_words) if long_words else 0.0,
    }


def _joined(parts: Sequence[Words]) -> Words:
    """The words of all of them; nothing else is looked at here."""
    weights: dict[str, float] = {}
    for each in parts:
        weights |= each.weights
    return replace(_NOTHING, weights=weights)


def _near(asked: Words, parts: Sequence[Words]) -> float:
    """The most of the question that stands in two sentences in a row."""
    return max((covered(asked, _joined(parts[place : place + _WINDOW])) for place in range(len(parts))), default=0.0)


def _terms(question: str, passages: Sequence[Passage]) -> dict[str, float]:
    """The same by the index's own terms; one that many of the passages have tells little of any."""
    asked = set(asked_terms(question))
    kept = [asked & set(kept_terms(each.text).split()) for each in passages[:_TAIL]]
    weights = {term: 1.0 / (1 + sum(term in each for each in kept)) for term in asked}
    whole = sum(weights.values())
    shares = sorted((sum(map(weights.__getitem__, each)) / whole for each in kept), reverse=True) if whole else []
    nowhere = sum(not any(term in each for each in kept) for term in asked)
    return {
        "terms": shares[0] if shares else 0.0,
        "terms_lead": shares[0] - shares[1] if len(shares) > 1 else 0.0,
        "terms_nowhere": nowhere / len(asked) if asked else 0.0,
    }


def score(model: SupportModel, found: Mapping[str, float]) -> float:
    """The linear score of a search's numbers."""
    total = model.intercept
    for name, mean, scale, weight in model.features:
        away = (found.get(name, mean) - mean) / scale
        total += weight * max(-_CLIP, min(_CLIP, away))
    return total


def probability(model: SupportModel, found: Mapping[str, float]) -> float:
    """Calibrated probability that the passages hold the answer; it never falls as the score rises."""
    value, knots = score(model, found), model.knots
    place = bisect_left(knots, (value,))
    if place == 0:
        return knots[0][1]
    if place == len(knots):
        return knots[-1][1]
    (low, low_p), (high, high_p) = knots[place - 1], knots[place]
    return low_p + (high_p - low_p) * (value - low) / (high - low)


def to_json(models: Sequence[SupportModel]) -> str:
    """Models as ``from_json`` reads them."""
    told = [
        {
            "embedder": each.embedder,
            "features": [list(feature) for feature in each.features],
            "intercept": each.intercept,
            "knots": [list(knot) for knot in each.knots],
            "calibrated_on": each.calibrated_on,
            "measured": dict(each.measured),
        }
        for each in models
    ]
    return json.dumps({"format": FORMAT, "models": told}, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> tuple[SupportModel, ...]:
    """Models that ``to_json`` wrote.

    Raises:
        ValueError: They are none, or their numbers cannot be computed with.
    """
    try:
        read = cast("dict[str, Any]", json.loads(text))
        if read.get("format") != FORMAT:
            raise ValueError(f"not of format {FORMAT}")
        models = tuple(map(_model, read["models"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not what was learned of support: {error}") from error
    return models


def _model(told: Mapping[str, Any]) -> SupportModel:
    found = SupportModel(
        embedder=str(told["embedder"]),
        features=tuple(
            (str(name), float(mean), float(scale), float(weight)) for name, mean, scale, weight in told["features"]
        ),
        intercept=float(told["intercept"]),
        knots=tuple((float(at), float(value)) for at, value in told["knots"]),
        calibrated_on=str(told["calibrated_on"]),
        measured={str(name): float(value) for name, value in told["measured"].items()},
    )
    numbers = [found.intercept, *(each for knot in found.knots for each in knot)]
    numbers += [each for feature in found.features for each in feature[1:]]
    rises = all(a[0] < b[0] and a[1] <= b[1] for a, b in zip(found.knots, found.knots[1:], strict=False))
    if not (found.knots and rises and all(map(math.isfinite, numbers)) and all(each[2] > 0 for each in found.features)):
        raise ValueError("not what was learned of support: numbers must be finite, scales positive, knots rising")
    return found
