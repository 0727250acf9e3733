"""The part of a found piece that answers: a few lines of it, by the question's own words. Pure.

A piece is as long as finding it needs, which is longer than an answer. Where there is a budget, pieces give up their
parts one by one, best first, so that the same characters hold more answers. Decision 41 has what that measured.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from freehold.domain.vault import Passage
from freehold.vault.chunking import pieces_of
from freehold.vault.words import asked_terms, kept_terms

WINDOW_CHARACTERS = 300
"""Longest part: two or three sentences."""
SOURCES_MAX = 12
"""Pieces that are looked into: each costs about a millisecond."""
_OF_PIECE = 0.4
"""Weight of the piece's own score beside its part's."""
_K1, _B = 1.2, 0.75


def parts_of(question: str, passages: Sequence[Passage]) -> list[Passage]:
    """The parts of passages, best first, scored from 0 to 1.

    A part's score is its passage's and BM25 of the part with the ones before and behind it, counted among these parts:
    what tells them apart is what only few of them have, and whether many passages have it doesn't matter any more.
    """
    parts = [part for passage in passages for part in _cut(passage)]
    asked = asked_terms(question)
    terms = [Counter(kept_terms(part.text).split()) for part in parts]
    around = [_around(parts, terms, at) for at in range(len(parts))]
    idf = _rarity(asked, terms)
    mean = max(sum(each.total() for each in around) / max(len(around), 1), 1.0)
    scores = [_bm25(idf, each, mean) for each in around]
    most = max(scores, default=0.0) or 1.0
    scored = [
        replace(part, score=(_OF_PIECE * part.score + score / most) / (1 + _OF_PIECE))
        for part, score in zip(parts, scores, strict=True)
    ]
    return sorted(scored, key=lambda each: (-each.score, each.document.id, each.start))


def _cut(passage: Passage) -> list[Passage]:
    return [
        replace(passage, start=passage.start + start, end=passage.start + end, text=passage.text[start:end])
        for start, end in pieces_of(passage.text, WINDOW_CHARACTERS)
    ]


def _around(parts: Sequence[Passage], terms: Sequence[Counter[str]], at: int) -> Counter[str]:
    total = Counter(terms[at])
    for beside in (at - 1, at + 1):
        if 0 <= beside < len(parts) and parts[beside].chunk_id == parts[at].chunk_id:
            total.update(terms[beside])
    return total


def _rarity(asked: Sequence[str], terms: Sequence[Counter[str]]) -> dict[str, float]:
    having = {term: sum(term in each for each in terms) for term in asked}
    return {term: math.log(1 + (len(terms) - n + 0.5) / (n + 0.5)) for term, n in having.items()}


def _bm25(idf: dict[str, float], terms: Counter[str], mean: float) -> float:
    norm = _K1 * (1 - _B + _B * terms.total() / mean)
    return math.fsum(idf[term] * often * (_K1 + 1) / (often + norm) for term in idf if (often := terms[term]))
