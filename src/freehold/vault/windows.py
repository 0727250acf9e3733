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
_OF_PIECE, _ALONE = 0.4, 0.3
"""Weights of the piece's own score, and of the part without the ones beside it."""
_K1, _B = 1.2, 0.75


def parts_of(question: str, passages: Sequence[Passage]) -> list[Passage]:
    """The parts of passages, best first, scored from 0 to 1.

    A part's score is its passage's, and BM25 of it alone and with the ones before and behind it, counted among these: what tells them apart is what only few of them have, and whether many passages have it doesn't matter any more.
    """
    parts = [part for passage in passages for part in _cut(passage)]
    asked = asked_terms(question)
    terms = [Counter(kept_terms(part.text).split()) for part in parts]
    around = [_around(parts, terms, at) for at in range(len(parts))]
    idf = _rarity(asked, terms)
    alone, beside = _bm25(idf, terms), _bm25(idf, around)
    scored = [
        replace(part, score=(_OF_PIECE * part.score + _ALONE * one + both) / (_OF_PIECE + _ALONE + 1))
        for part, one, both in zip(parts, alone, beside, strict=True)
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


def _bm25(idf: dict[str, float], texts: Sequence[Counter[str]]) -> list[float]:
    """From 0 to 1: over the best of these texts."""
    mean = max(sum(each.total() for each in texts) / max(len(texts), 1), 1.0)
    scores: list[float] = []
    for terms in texts:
        norm = _K1 * (1 - _B + _B * terms.total() / mean)
        scores.append(
            math.fsum(rare * often * (_K1 + 1) / (often + norm) for term, rare in idf.items() if (often := terms[term]))
        )
    most = max(scores, default=0.0) or 1.0
    return [score / most for score in scores]
